"""The rules of one reason, laid out once per policy so that judging a claim looks nothing up twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from shared.policy.rules import (
    Condition,
    EligibilityRule,
    Exclusion,
    MoneyRule,
    Rule,
    Situation,
    Wait,
    eligibility_rule,
    money_rule,
)
from shared.policy.tariff import Readable, Tariff, make_tariff

Combination = Mapping[str, str]
"""Entry → the reading under which it is looked at."""

MOST_TARIFFS: Final = 500
"""Situations differ by carrier, and carriers have whatever names order systems give them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`rules` of a reason in order; `judged` and `priced` are those of each side, `asks` the clause under which a rule
    asks for a fact. `review_judged` and `review_priced` are the open points whose readings are all evaluated.
    `asks_for_whole`: a money rule asks whether the whole order is claimed."""

    rules: tuple[Rule, ...]
    judged: tuple[EligibilityRule, ...]
    priced: tuple[MoneyRule, ...]
    waits_for_seller: bool
    waits_for_return: tuple[Wait, ...]
    asks: Mapping[str, str]
    review_judged: tuple[str, ...]
    review_priced: tuple[str, ...]
    asks_for_whole: bool
    register: Mapping[str, Readable]
    _cache: dict[tuple[str, ...], tuple[tuple[Combination, frozenset[str]], ...]] = field(default_factory=dict)
    _tariffs: dict[Situation, Tariff] = field(default_factory=dict)

    def tariff(self, situation: Situation) -> Tariff:
        """How claims are priced in this situation."""
        found = self._tariffs.get(situation)
        if found is None:
            if len(self._tariffs) >= MOST_TARIFFS:
                self._tariffs.clear()
            found = self._tariffs[situation] = make_tariff(self.priced, self.register, situation)
        return found

    def combinations(self, entries: tuple[str, ...]) -> tuple[tuple[Combination, frozenset[str]], ...]:
        """All combinations of the readings of these entries, each with the names of the rules that hold under it."""
        found = self._cache.get(entries)
        if found is None:
            every = product(*(tuple(self.register[entry].readings) for entry in entries))
            readings = [dict(zip(entries, one, strict=True)) for one in every]
            found = tuple((one, self.holding(one)) for one in readings)
            self._cache[entries] = found
        return found

    def holding(self, readings: Mapping[str, str] | None) -> frozenset[str]:
        """The names of the rules that hold under these readings; an entry not named is read as it was chosen."""
        return frozenset(rule.id for rule in self.rules if holds(rule, self.register, readings))


def holds(rule: Rule, register: Mapping[str, Readable], readings: Mapping[str, str] | None) -> bool:
    """Whether every entry that a rule depends on is read as the rule wants. An entry that is neither in `readings` nor
    chosen in the register makes its rules not hold."""
    return all(
        (readings[entry] if readings is not None and entry in readings else register[entry].chosen) == reading
        for entry, reading in rule.under.items()
    )


def lay_out(rules: Sequence[Rule], register: Mapping[str, Readable]) -> Plan:
    """The plan of a reason that has these rules."""
    judged = tuple(found for rule in rules if (found := eligibility_rule(rule)) is not None)
    priced = tuple(money for rule in rules if (money := money_rule(rule)) is not None)
    waits = [rule for rule in judged if isinstance(rule, Wait)]
    asks: dict[str, str] = {}
    for rule in judged:
        if isinstance(rule, Condition | Exclusion):
            asks.setdefault(rule.fact, rule.clause)
    return Plan(
        rules=tuple(rules),
        judged=judged,
        priced=priced,
        waits_for_seller=any(rule.for_ == "seller" for rule in waits),
        waits_for_return=tuple(rule for rule in waits if rule.for_ == "return"),
        asks=asks,
        review_judged=_open(judged, register),
        review_priced=_open(priced, register),
        asks_for_whole=any(rule.kind == "share" and rule.of == "order" for rule in priced),
        register=register,
    )


def _open(rules: Sequence[Rule], register: Mapping[str, Readable]) -> tuple[str, ...]:
    used = {entry for rule in rules for entry in rule.under}
    return tuple(name for name, entry in register.items() if name in used and entry.on_difference == "review")
