"""A merchant's policy: what a policy file says, checked and immutable.

A policy is made of clauses (number → short wording), a register of open points (entry → readings), rules by name, and
for each reason the names of its rules in order. Amounts of a policy are percentages only: what an order cost is in its
ledger. `shared.policy.load` reads files and checks what a model cannot see; `shared.policy.book` chooses the version.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints

from shared.policy.plan import Plan, holds, lay_out
from shared.policy.rules import Clause, MoneyRule, Name, Part, Reason, Rule, Situation

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
        """sha256 (hex) of the policy's canonical form: JSON, keys sorted, without members that say what is so anyway.
        So a key that a later Makegood knows in addition changes no digest of a file that does not use it."""
        said = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        form = json.dumps(said, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(form.encode()).hexdigest()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy that may say something else, and so has a digest and plans of its own."""
        copied = super().model_copy(update=update, deep=deep)
        for cached in ("digest", "_plans"):
            copied.__dict__.pop(cached, None)
        return copied

    def plan(self, reason: str) -> Plan:
        """The rules of a reason, laid out; for a reason without a clause those of `other_reasons`."""
        plan = self._plans.get(reason)
        if plan is None:
            rules = [self.rules[name] for name in self.names_of(reason)]
            plan = self._plans[reason] = lay_out(rules, self.register_)
        return plan

    @cached_property
    def _plans(self) -> dict[str, Plan]:
        return {}

    def holds(self, rule: Rule, readings: Mapping[str, str] | None = None) -> bool:
        """Whether a rule holds under these readings (entry → reading; one not named is read as it was chosen)."""
        return holds(rule, self.register_, readings)

    def names_of(self, reason: str) -> tuple[str, ...]:
        """The names of a reason's rules, in order; those of `other_reasons` for a reason without a clause."""
        return next((names for of, names in self.reasons.items() if of == reason), self.other_reasons.rules)

    def has_clause_for(self, reason: str) -> bool:
        """Whether the reason has rules of its own."""
        return reason in self.reasons

    def rules_of(self, reason: str) -> tuple[Rule, ...]:
        """All rules of a reason, in order; those of `other_reasons` for a reason without a clause."""
        return self.plan(reason).rules

    def money_rules(
        self, reason: str, situation: Situation, readings: Mapping[str, str] | None = None
    ) -> tuple[MoneyRule, ...]:
        """The money rules of a reason that hold in this situation under these readings, in order.

        For a review-entry (such as `withdrawal-fee-base`) call it once for each of its readings.
        """
        rules = self.plan(reason).priced
        return tuple(rule for rule in rules if rule.when.holds(situation) and self.holds(rule, readings))

    def review_entries(self, reason: str, side: Literal["eligibility", "money"]) -> tuple[str, ...]:
        """The entries with `on_difference: review` that rules of this side and reason depend on, in register order."""
        plan = self.plan(reason)
        return plan.review_judged if side == "eligibility" else plan.review_priced

    def waits_for_seller(self, reason: str) -> bool:
        """Whether claims of this reason wait for a seller's answer."""
        return self.plan(reason).waits_for_seller

    def wording(self, clause: str | None) -> str:
        """A clause's English wording; empty for none."""
        return "" if clause is None else self.clauses[clause].en
