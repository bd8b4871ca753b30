"""Every single change of a published policy file that a test should notice: a rule left out, an hour more, a payer.

Imports the project: only after the mutants that are met afresh.
"""

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.policy import load
from shared.policy.check import check
from shared.policy.model import Policy
from shared.policy.source import Plain, read, rules_of
from shared.policy.trial import try_examples
from tests.mutants.arena import ROOT, Arena, End
from tests.mutants.rooms import JUDGING

Tree = dict[str, Plain]
Edit = Callable[[Tree], None]

OTHERS: Final[dict[str, tuple[str, ...]]] = {
    "otherwise": ("reject", "review"),
    "if_confirmed": ("reject", "review"),
    "gives": ("refund", "replacement", "as_wanted", "review"),
    "of": ("units", "order"),
    "by": ("value", "units"),
    "payer": ("merchant", "customer"),
    "when": ("at_once", "after_inspection"),
}


@dataclass(frozen=True, slots=True)
class PolicyMutant:
    """One change of one policy file."""

    path: Path
    line: int
    change: str
    edit: Edit

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.change}"

    def policy(self) -> Policy:
        """The policy with the change, whatever the loader would say of it."""
        data = _data(self.path)
        self.edit(data)
        return Policy.model_validate_json(json.dumps(data))


def mutants_of_policies() -> Iterator[PolicyMutant]:
    """All mutants of all published policies."""
    for path in sorted(load.POLICIES.glob("*/*.yaml")):
        source, _ = read(path)
        for where, change, edit in _edits(_data(path)):
            yield PolicyMutant(path, source.line(where), change, edit)


def meet(arena: Arena, mutant: PolicyMutant) -> End:
    """Against the tests first, then against what the loader checks: the examples in the file, what is missing there."""
    policy = mutant.policy()
    kept = load.load_book()

    def change() -> None:
        others = tuple(one for one in kept.all() if one.merchant != policy.merchant)

        def load_files(paths: Iterable[Path]) -> tuple[Policy, ...]:
            return (*others, policy) if list(paths) else ()

        load.load_files = load_files

    end = arena.against(arena.reaching((), JUDGING), change)
    if end == "survived" and (any(check(policy)) or any(try_examples(policy))):
        return "killed"
    return end


def _data(path: Path) -> Tree:
    source, _ = read(path)
    data = copy.deepcopy(source.data)
    assert isinstance(data, dict)
    for name, rule in rules_of(data):
        rule["id"] = name
    return data


def _edits(data: Tree) -> Iterator[tuple[tuple[str | int, ...], str, Edit]]:
    for reason, names in _tree(data["reasons"]).items():
        for name in _list(names):
            yield ("reasons", reason), f"{reason} without the rule {name}", _without(("reasons", reason), name)
    other = _tree(data.get("other_reasons", {}))
    for name in _list(other.get("rules", [])):
        yield ("other_reasons",), f"other reasons without the rule {name}", _without(("other_reasons", "rules"), name)
    for deadline, days in _tree(data["deadlines"]).items():
        yield ("deadlines",), f"{deadline} {days} → one more", _set(("deadlines", deadline), _int(days) + 1)
    for name, rule in rules_of(data):
        for change, edit in _rule_edits(("rules", name), rule):
            yield ("rules", name), f"rule {name}: {change}", edit
    for name, entry in _tree(data["register"]).items():
        for change, edit in _entry_edits(("register", name), _tree(entry)):
            yield ("register", name), f"entry {name}: {change}", edit


def _rule_edits(where: tuple[str, ...], rule: Tree) -> Iterator[tuple[str, Edit]]:
    if "hours" in rule:
        for hours in (_int(rule["hours"]) + 1, _int(rule["hours"]) - 1):
            yield f"hours {rule['hours']} → {hours}", _set((*where, "hours"), hours)
    if "percent" in rule:
        yield f"percent {rule['percent']} → 2.6", _set((*where, "percent"), "2.6")
    for key in ("is", "review"):
        values = _list(rule.get(key, []))
        for value in values if len(values) > 1 or key == "review" else ():
            yield f"{key} without {value}", _without((*where, key), value)
    for key in ("otherwise", "if_confirmed", "gives", "payer", "by"):
        now = rule.get(key, OTHERS[key][0])
        if key in rule or (key == "otherwise" and rule["kind"] == "condition"):
            for value in OTHERS[key]:
                if value != now:
                    yield f"{key} {now} → {value}", _set((*where, key), value)
    if rule["kind"] == "share" and rule["of"] != "answer":
        value = "order" if rule["of"] == "units" else "units"
        yield f"of {rule['of']} → {value}", _set((*where, "of"), value)
    if rule["kind"] == "fee":
        value = "units_deposit" if rule["of"] == "deposit" else "deposit"
        yield f"of {rule['of']} → {value}", _set((*where, "of"), value)
    for member, wanted in _tree(rule.get("when", {})).items():
        yield f"without when {member}", _drop((*where, "when"), member)
        for value in wanted if isinstance(wanted, list) and len(wanted) > 1 else ():
            yield f"when {member} without {value}", _without((*where, "when", member), value)
    for entry in _tree(rule.get("under", {})):
        yield f"not under {entry}", _drop((*where, "under"), entry)


def _entry_edits(where: tuple[str, ...], entry: Tree) -> Iterator[tuple[str, Edit]]:
    readings = list(_tree(entry["readings"]))
    if entry["on_difference"] == "review":

        def decided(data: Tree) -> None:
            _set((*where, "on_difference"), "decide")(data)
            _set((*where, "chosen"), readings[0])(data)

        yield "review → decided", decided
        other = "at_once" if entry["when"] == "after_inspection" else "after_inspection"
        yield f"{entry['when']} → {other}", _set((*where, "when"), other)
    elif len(readings) > 1:

        def reviewed(data: Tree) -> None:
            _set((*where, "on_difference"), "review")(data)
            _set((*where, "when"), "at_once")(data)

        yield "decided → review", reviewed
    for reading in readings:
        if reading != entry.get("chosen") and entry.get("chosen") is not None:
            yield f"chosen → {reading}", _set((*where, "chosen"), reading)


def _at(data: Plain, where: tuple[str, ...]) -> Plain:
    for step in where:
        data = _tree(data)[step]
    return data


def _without(where: tuple[str, ...], value: Plain) -> Edit:
    return lambda data: _list(_at(data, where)).remove(value)


def _drop(where: tuple[str, ...], key: str) -> Edit:
    def edit(data: Tree) -> None:
        del _tree(_at(data, where))[key]

    return edit


def _set(where: tuple[str, ...], value: Plain) -> Edit:
    def edit(data: Tree) -> None:
        _tree(_at(data, where[:-1]))[where[-1]] = value

    return edit


def _tree(value: Plain) -> Tree:
    assert isinstance(value, dict)
    return value


def _list(value: Plain) -> list[Plain]:
    assert isinstance(value, list)
    return value


def _int(value: Plain) -> int:
    assert isinstance(value, int)
    return value
