"""A merchant's policy: what a policy file says, checked and immutable.

A policy is made of clauses (number → short wording), a register of open points (entry → readings), rules by name, and
for each reason the names of its rules in order. Amounts of a policy are percentages only: what an order cost is in its
ledger. `shared.policy.load` reads files and checks what a model cannot see; `shared.policy.book` chooses the version.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints

from shared.policy.rules import (
    Cap,
    Clause,
    Cost,
    EligibilityRule,
    Fee,
    MoneyRule,
    Name,
    Part,
    Reason,
    Remedy,
    Rule,
    Share,
    Situation,
    Wait,
    eligibility_rule,
    money_rule,
)

Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class Deadlines(Part):
    """How long a claim waits before staff are told, in days from the assessment's `since`."""

    seller_days: int = Field(ge=1, le=365)
    return_days: int = Field(ge=1, le=365)


class Wording(Part):
    """A clause in our own words: English, and the merchant's language."""

    en: Text
    local: Text


class Entry(Part):
    """An open point of the source: how it can be read, which reading counts, and what happens when they differ.

    `on_difference: decide` takes `chosen`. `review` evaluates every reading: where all lead to the same, it is decided;
    where they differ, a person decides, `at_once` (no inspection can change it) or `after_inspection`.
    """

    clause: Clause | None = None
    readings: dict[Name, Text] = Field(min_length=1)
    chosen: Name | None = None
    on_difference: Literal["decide", "review"]
    when: Literal["at_once", "after_inspection"] | None = None


class OtherReasons(Part):
    """What a reason without rules of its own leads to: review; `clause` where one says so. `rules` are exclusions that
    hold whatever the reason is, because they are about what was ordered (a gift)."""

    clause: Clause | None = None
    rules: tuple[Name, ...] = ()


class Policy(Part):
    """One version of one merchant's policy, in force for orders placed from `in_force_from` on (included) until
    `in_force_until` (excluded; left out: until the next version, or for good)."""

    merchant: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,127}$")]
    version: int = Field(ge=1)
    in_force_from: AwareDatetime
    in_force_until: AwareDatetime | None = None
    currency: Currency
    locale: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}-[A-Z]{2}$")]
    rounding: Literal["half_up"]
    deadlines: Deadlines
    clauses: dict[Clause, Wording] = Field(min_length=1)
    register_: dict[Name, Entry] = Field(alias="register", default_factory=dict)
    rules: dict[Name, Rule]
    reasons: dict[Reason, tuple[Name, ...]]
    other_reasons: OtherReasons = OtherReasons()

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of the policy's canonical form: JSON, keys sorted, nothing left out."""
        form = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(form.encode()).hexdigest()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy that may say something else, and so has a digest of its own."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("digest", None)
        return copied

    def covers(self, placed_at: datetime) -> bool:
        """Whether this version was in force at that instant."""
        return self.in_force_from <= placed_at and (self.in_force_until is None or placed_at < self.in_force_until)

    def reading(self, entry: str, readings: Mapping[str, str] | None = None) -> str | None:
        """How an entry is read: as `readings` says, else as the register has chosen, else None."""
        if readings is not None and entry in readings:
            return readings[entry]
        return self.register_[entry].chosen

    def holds(self, rule: Rule, readings: Mapping[str, str] | None = None) -> bool:
        """Whether a rule holds under these readings (entry → reading). An entry that is neither in `readings` nor
        chosen in the register makes its rules not hold."""
        return all(self.reading(entry, readings) == reading for entry, reading in rule.under.items())

    def names_of(self, reason: str) -> tuple[str, ...]:
        """The names of a reason's rules, in order; those of `other_reasons` for a reason without a clause."""
        return next((names for of, names in self.reasons.items() if of == reason), self.other_reasons.rules)

    def has_clause_for(self, reason: str) -> bool:
        return any(of == reason for of in self.reasons)

    def rules_of(self, reason: str) -> tuple[Rule, ...]:
        """All rules of a reason, in order; those of `other_reasons` for a reason without a clause."""
        return tuple(self.rules[name] for name in self.names_of(reason))

    def eligibility_rules(self, reason: str) -> tuple[EligibilityRule, ...]:
        return tuple(found for rule in self.rules_of(reason) if (found := eligibility_rule(rule)) is not None)

    def money_rules(
        self, reason: str, situation: Situation, readings: Mapping[str, str] | None = None
    ) -> tuple[MoneyRule, ...]:
        """The money rules of a reason that hold in this situation under these readings, in order.

        For a review-entry (such as `withdrawal-fee-base`) call it once for each of `review_entries`' readings.
        """
        found = (money_rule(rule) for rule in self.rules_of(reason) if self.holds(rule, readings))
        return tuple(rule for rule in found if rule is not None and rule.when.holds(situation))

    def review_entries(self, reason: str, side: Literal["eligibility", "money"]) -> tuple[str, ...]:
        """The entries with `on_difference: review` that rules of this side and reason depend on, in register order."""
        of_side = eligibility_rule if side == "eligibility" else money_rule
        used = {entry for rule in self.rules_of(reason) if of_side(rule) is not None for entry in rule.under}
        return tuple(name for name, entry in self.register_.items() if name in used and entry.on_difference == "review")

    def waits_for_seller(self, reason: str) -> bool:
        return any(isinstance(rule, Wait) and rule.for_ == "seller" for rule in self.rules_of(reason))

    def wording(self, clause: str | None) -> str:
        """A clause's English wording; empty for none."""
        return "" if clause is None else self.clauses[clause].en


__all__ = [
    "Cap",
    "Cost",
    "Deadlines",
    "Entry",
    "Fee",
    "MoneyRule",
    "OtherReasons",
    "Policy",
    "Reason",
    "Remedy",
    "Rule",
    "Share",
    "Situation",
    "Wording",
]
