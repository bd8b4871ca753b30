"""What the parts of a policy say of each other: citations, the register, gaps, conflicts, dead rules.

Every check gives (way to the value, message) pairs; the loader adds file and line. A reason is tried in every situation
that its rules can tell apart and under every reading of its open points.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shared.money import is_currency
from shared.policy.model import Policy
from shared.policy.rules import Cap, Condition, Exclusion, Fee, Rule, Share, Value
from shared.policy.ways import TRAITS, ways

Where = Sequence[str | int]
Found = Iterator[tuple[Where, str]]

_TRUTH: Final = frozenset({True, False})
FACTS: Final[Mapping[str, frozenset[Value] | None]] = {
    "carton": frozenset({"intact", "marked", "torn", "missing"}),
    "seal": frozenset({"unopened", "opened", "none"}),
    "packaging_opened": _TRUTH,
    "misuse": _TRUTH,
    "regional_variant": _TRUTH,
    "fault_confirmed": _TRUTH,
    "gift": _TRUTH,
    "carrier": None,
}
"""Every fact with the values that it can have; None: any text."""


def check(policy: Policy) -> Found:
    """Everything that is wrong between the parts of a policy."""
    if not is_currency(policy.currency):
        yield ("currency",), f"{policy.currency} is not an ISO 4217 currency code. Correct it."
    if policy.in_force_until is not None and policy.in_force_until <= policy.in_force_from:
        yield ("in_force_until",), "ends before it begins. Correct one of the two instants."
    yield from _citations(policy)
    yield from _register(policy)
    yield from _rules(policy)
    for name in policy.other_reasons.rules:
        rule = policy.rules.get(name)
        if not isinstance(rule, Exclusion) or rule.fact not in TRAITS:
            text = (
                f"{name!r} is no exclusion of what the order says (gift, carrier). Only such rules hold for any reason."
            )
            yield ("other_reasons", "rules"), text
    for reason, names in policy.reasons.items():
        unknown = [name for name in names if name not in policy.rules]
        for name in unknown:
            where = ("reasons", reason, names.index(name))
            yield where, f"{reason} names the rule {name!r}, which is not there. Write it or correct the name."
        for name, times in Counter(names).items():
            if times > 1:
                yield ("reasons", reason), f"{reason} names the rule {name!r} twice. Keep one."
        if not unknown and all(_known(policy, policy.rules[name]) for name in names):
            yield from ((("reasons", reason), message) for message in ways(policy, reason))


def _known(policy: Policy, rule: Rule) -> bool:
    return all(entry in policy.register_ for entry in rule.under)


def _citations(policy: Policy) -> Found:
    def cited(where: Where, clause: str | None) -> Found:
        if clause is not None and clause not in policy.clauses:
            yield where, f"cites the clause {clause}, which is not listed. Add it to `clauses` or correct the number."

    yield from cited(("other_reasons", "clause"), policy.other_reasons.clause)
    for name, entry in policy.register_.items():
        yield from cited(("register", name, "clause"), entry.clause)
    for name, rule in policy.rules.items():
        yield from cited(("rules", name, "clause"), rule.clause)
        for index, example in enumerate(rule.examples):
            expect = ("rules", name, "examples", index, "expect")
            yield from cited((*expect, "clause"), example.expect.clause)
            for key, entry_name in (("entry", example.expect.entry), ("refers", example.expect.refers)):
                if entry_name is not None and entry_name not in policy.register_:
                    yield (*expect, key), f"names the entry {entry_name!r}, which is not in the register. Correct it."


def _register(policy: Policy) -> Found:
    used = {entry for rule in policy.rules.values() for entry in rule.under}
    floors = {rule.below_zero for rule in policy.rules.values() if isinstance(rule, Fee)}
    for name, entry in policy.register_.items():
        where = ("register", name)
        if entry.chosen is not None and entry.chosen not in entry.readings:
            yield (*where, "chosen"), f"chooses {entry.chosen!r}, which is none of its readings. Correct it."
        if entry.on_difference == "decide":
            if entry.chosen is None:
                yield where, f"the entry {name} is decided, so it has to say which reading is chosen. Add `chosen`."
            if entry.when is not None:
                yield (*where, "when"), "`when` says when a person looks at it; a decided entry has none. Remove it."
        else:
            if entry.when is None:
                yield where, f"the entry {name} goes to review: add `when: at_once` or `when: after_inspection`."
            if len(entry.readings) < 2 and name not in floors:
                yield where, f"the entry {name} has one reading, so nothing can differ. Add a reading or decide it."
        if name not in used | floors:
            yield where, f"no rule depends on the entry {name}. Tie one to it with `under`, or remove it."


def _rules(policy: Policy) -> Found:
    named = {name for names in policy.reasons.values() for name in names} | set(policy.other_reasons.rules)
    for name, rule in policy.rules.items():
        where = ("rules", name)
        if name not in named:
            yield where, f"no reason names the rule {name}. Add it to a reason or remove it."
        for entry, reading in rule.under.items():
            if entry not in policy.register_:
                yield (*where, "under"), f"{entry!r} is not in the register. Add the entry or correct the name."
            elif reading not in policy.register_[entry].readings:
                yield (*where, "under"), f"{reading!r} is none of the readings of {entry}. Correct it."
        yield from _values(where, rule)
        if isinstance(rule, Fee) and rule.below_zero not in policy.register_:
            yield (*where, "below_zero"), f"{rule.below_zero!r} is not in the register. Add the entry."
        if not rule.examples:
            yield where, f"the rule {name} has no worked example. Add one that shows it."
        for index, example in enumerate(rule.examples):
            if name not in policy.names_of(example.reason):
                at = (*where, "examples", index, "reason")
                yield at, f"the example is about {example.reason}, which does not have the rule {name}. Correct it."


def _values(where: Where, rule: Rule) -> Found:
    """Values that a fact can never have, items that a rule cannot be about."""
    if isinstance(rule, Condition | Exclusion):
        given = (*rule.is_, *(rule.review if isinstance(rule, Condition) else ()))
        allowed = FACTS[rule.fact]
        for value in given if allowed is not None else ():
            if not any(value is one or (isinstance(value, str) and value == one) for one in allowed or ()):
                can = ", ".join(sorted(str(one).lower() for one in allowed or ()))
                yield (*where, "is"), f"{rule.fact} is never {value!r}. It can be: {can}."
        if isinstance(rule, Condition) and set(rule.is_) & set(rule.review):
            yield (*where, "review"), "a value is in `is` and in `review`. Keep it in one of them."
    if isinstance(rule, Cap) and (rule.item == "withdrawal_fee") != (rule.at == "once_per_order"):
        yield (*where, "at"), "a fee is capped `once_per_order`, a compensation at `units_value`. Correct it."
    if isinstance(rule, Share):
        if (rule.item == "compensation") != (rule.of == "answer"):
            yield (*where, "of"), "a compensation is `of: answer`, and nothing else is. Correct it."
        if rule.by == "units" and (rule.of != "units" or rule.item == "goods"):
            yield (*where, "by"), "`by: units` is for shipping and transaction_fee `of: units`. Remove it."
