"""Whether every claim of a reason finds a way to an end, and no two rules stand in each other's way.

A reason is tried in every situation that its own rules can tell apart, under every reading of its open points: what
the seller may answer, what the claimant wants, each carrier and category that a rule names and one that none names.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Final, TypeVar, assert_never, get_args

from shared.events.parts import Fault, Wants
from shared.policy.model import Policy
from shared.policy.rules import (
    Answer,
    Cap,
    Condition,
    Cost,
    Exclusion,
    Fee,
    Remedy,
    Rule,
    Share,
    Situation,
    Wait,
    When,
    Window,
)

T = TypeVar("T")

TRAITS: Final = frozenset({"gift", "carrier"})
_ANSWERS: Final[tuple[Answer, ...]] = get_args(Answer)
_WANTS: Final[tuple[Wants, ...]] = get_args(Wants)
_FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
_MOST_COMBINATIONS: Final = 64


@dataclass(frozen=True, slots=True)
class _Way:
    """The rules of a reason that hold together in one situation under one set of readings."""

    situation: Situation
    rules: tuple[Rule, ...]

    def any(self, kind: type[T], **members: object) -> T | None:
        for rule in self.rules:
            if isinstance(rule, kind) and all(getattr(rule, name) == value for name, value in members.items()):
                return rule
        return None


def ways(policy: Policy, reason: str) -> Iterator[str]:
    """What is wrong with the rules of a reason, each said once. All rules and entries named are there."""
    rules = policy.rules_of(reason)
    readings = _readings(policy, rules)
    if len(readings) > _MOST_COMBINATIONS:
        yield f"{reason} depends on {len(readings)} combinations of readings; the most is {_MOST_COMBINATIONS}."
        return
    tried = [
        _Way(situation, tuple(rule for rule in rules if policy.holds(rule, one) and rule.when.holds(situation)))
        for situation in _situations(rules)
        for one in readings
    ]
    said: dict[str, None] = {}
    for way in tried:
        said.update(dict.fromkeys(_gaps(reason, way, waits=policy.waits_for_seller(reason))))
        said.update(dict.fromkeys(_conflicts(reason, way)))
    said.update(dict.fromkeys(_dead(reason, rules, tried)))
    yield from said


def _readings(policy: Policy, rules: Sequence[Rule]) -> list[Mapping[str, str]]:
    """All combinations of the readings that the rules depend on; the chosen one alone does not do, because a reading
    that is chosen tomorrow has to lead somewhere too."""
    entries = [entry for entry in policy.register_ if any(entry in rule.under for rule in rules)]
    every = product(*(tuple(policy.register_[entry].readings) for entry in entries))
    return [dict(zip(entries, one, strict=True)) for one in every]


def _situations(rules: Sequence[Rule]) -> Iterator[Situation]:
    whens = [rule.when for rule in rules]
    seller = any(isinstance(rule, Wait) and rule.for_ == "seller" for rule in rules)
    for answer, carrier, category, sealed, wants, fault in product(
        _ANSWERS if seller or any(when.answer for when in whens) else (None,),
        (None, *_named(whens, "carrier")),
        (None, *_named(whens, "category")),
        (False, True) if any(when.sealed is not None for when in whens) else (None,),
        _WANTS,
        (None, *_FAULTS) if any(when.fault for when in whens) else (None,),
    ):
        yield Situation(answer=answer, carrier=carrier, wants=wants, category=category, sealed=sealed, fault=fault)


def _named(whens: Sequence[When], member: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for when in whens for value in getattr(when, member) or ()))


def _gaps(reason: str, way: _Way, *, waits: bool) -> Iterator[str]:
    """What keeps a claim from an end in this situation."""
    where = f"{reason} ({_shown(way.situation, waits=waits)})"
    inspected = [rule for rule in way.rules if isinstance(rule, Condition | Exclusion) and rule.fact not in TRAITS]
    back = way.any(Wait, for_="return")
    if waits and way.situation.answer == "require_return" and back is None:
        yield f"{where}: gap: the seller wants the goods back, and no rule waits for them. Add a wait for: return."
    if inspected and back is None and not waits:
        names = ", ".join(rule.id for rule in inspected)
        yield f"{where}: gap: nothing would ever tell what {names} asks for. Add a wait for: return."
    if waits and way.situation.answer == "require_return":
        return
    remedy = way.any(Remedy)
    if remedy is None:
        yield f"{where}: gap: no remedy, so the claim has no way to an end. Add a remedy, or one that gives review."
        return
    gives = way.situation.wants if remedy.gives == "as_wanted" else remedy.gives
    if gives == "refund" and way.any(Share) is None:
        yield f"{where}: gap: {remedy.id} gives a refund, and no share says what it is made of. Add a share."
    if gives == "replacement" and way.any(Cost, item="replacement_shipping") is None:
        yield f"{where}: gap: {remedy.id} gives a replacement, and no cost says who pays for sending it. Add one."
    answered = way.any(Share, of="answer")
    if answered is not None and way.situation.answer != "refund_partial":
        yield f"{where}: gap: {answered.id} takes the seller's amount, which only refund_partial has. Add `when`."


def _conflicts(reason: str, way: _Way) -> Iterator[str]:
    """Rules that hold together and say two things about one."""
    for one, other in combinations(way.rules, 2):
        subject = _subject(one)
        if subject is not None and subject == _subject(other):
            yield (
                f"{reason}: conflict: {one.id} and {other.id} hold together, and both are a {one.kind} "
                f"of the same thing. Part them with `when` or `under`, or remove one."
            )
        for asks, ends in ((one, other), (other, one)):
            if _contradict(asks, ends):
                yield (
                    f"{reason}: conflict: {asks.id} asks for what {ends.id} rules out, so that nothing could pass "
                    f"both. Correct one of them."
                )


def _subject(rule: Rule) -> Hashable | None:
    """What a rule is alone about; None for kinds of which several may hold (of costs the first counts)."""
    match rule:
        case Window() | Remedy() | Fee():
            return (rule.kind,)
        case Wait():
            return (rule.kind, rule.for_)
        case Condition():
            return (rule.kind, rule.fact)
        case Share():
            return (rule.kind, rule.item)
        case Cap():
            return (rule.kind, rule.item)
        case Exclusion() | Cost():
            return None
        case _:
            assert_never(rule)


def _contradict(condition: Rule, exclusion: Rule) -> bool:
    return (
        isinstance(condition, Condition)
        and isinstance(exclusion, Exclusion)
        and condition.fact == exclusion.fact
        and set(condition.is_) <= set(exclusion.is_)
    )


def _dead(reason: str, rules: Sequence[Rule], tried: Sequence[_Way]) -> Iterator[str]:
    """Rules that never come to anything in this reason."""
    alive: set[str] = set()
    for way in tried:
        taken: set[str] = set()
        for rule in way.rules:
            if isinstance(rule, Cost):
                if rule.item in taken:
                    continue
                taken.add(rule.item)
            alive.add(rule.id)
    for rule in rules:
        if rule.id not in alive:
            yield (
                f"{reason}: conflict: {rule.id} can never apply: its `when` does not come up here, or an earlier cost "
                f"always counts before it. Correct it or take it out of {reason}."
            )


def _shown(situation: Situation, *, waits: bool) -> str:
    parts = [f"wants {situation.wants}"]
    if waits:
        parts.append(f"answer {situation.answer}")
    if situation.carrier is not None:
        parts.append(f"carrier {situation.carrier}")
    return ", ".join(parts)
