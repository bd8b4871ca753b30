"""What `claims schema check` takes for a breaking change, and for whom; and what it lets pass."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.schema import app
from shared.events import TYPES
from shared.events.breaking import Way, breaks
from shared.events.published import RELEASED, broken, schema
from shared.events.topics import INPUT_TOPIC_OF
from tests.contract.samples import DOCS

Tree = dict[str, Any]
Change = Callable[[Tree], object]


def found(type_: str, change: Change, *, backwards: bool = False) -> list[str]:
    """What the change of the type's schema breaks; `backwards`: the change is what the release had."""
    before: Tree = copy.deepcopy(dict(schema(type_)))
    after = copy.deepcopy(before)
    change(after)
    if backwards:
        before, after = after, before
    way: Way = "input" if type_ in INPUT_TOPIC_OF else "output"
    return [str(one) for one in breaks(type_, way, before, after)]


def require(name: str) -> Change:
    def change(tree: Tree) -> None:
        tree["properties"][name] = {"type": "string"}
        tree["required"] = [*tree["required"], name]

    return change


def put(value: object, *steps: str) -> Change:
    def change(tree: Tree) -> None:
        for step in steps[:-1]:
            tree = tree[step]
        tree[steps[-1]] = value

    return change


def drop(*steps: str) -> Change:
    def change(tree: Tree) -> None:
        for step in steps[:-1]:
            tree = tree[step]
        if isinstance(tree, list):
            tree.remove(steps[-1])
        else:
            del tree[steps[-1]]

    return change


P = "properties"
BREAKING: list[tuple[str, Change, str]] = [
    ("claim.reviewed.v1", drop(P, "amount"), "$.amount: the member is gone; breaks its senders"),
    ("claim.decided.v1", drop(P, "lines"), "$.lines: the member is gone; breaks its readers"),
    ("claim.reviewed.v1", put("integer", P, "reason", "type"), "$.reason: was string, is integer; breaks its senders"),
    ("claim.decided.v1", put("string", P, "decision_no", "type"), "was integer, is string; breaks its readers"),
    ("claim.reviewed.v1", require("desk"), "$.desk: has to be there now; breaks its senders"),
    ("claim.decided.v1", drop("required", "follows"), "$.follows: may be missing now; breaks its readers"),
    (
        "claim.reviewed.v1",
        put(["refund", "reject"], P, "verdict", "enum"),
        "$.verdict: takes replacement no more; breaks its senders",
    ),
    (
        "claim.decided.v1",
        put(["refund", "rejected", "cancelled"], P, "outcome", "enum"),
        "$.outcome: is never replacement any more",
    ),
    (
        "claim.decided.v1",
        put(["refund", "replacement", "rejected", "cancelled", "voucher"], P, "outcome", "enum"),
        "$.outcome: may be voucher now",
    ),
    ("claim.decided.v1", drop(P, "outcome", "enum"), "may be anything now; breaks its readers"),
    ("claim.reviewed.v1", put(["a"], P, "actor", "enum"), "$.actor: takes only a now; breaks its senders"),
    ("claim.reviewed.v1", put(100, P, "reason", "maxLength"), "maxLength was 10000, is 100; breaks its senders"),
    ("claim.reviewed.v1", put(2, P, "actor", "minLength"), "$.actor: minLength was 1, is 2; breaks its senders"),
    ("claim.reviewed.v1", put("^[a-z]+$", P, "actor", "pattern"), "$.actor: pattern has changed; breaks its senders"),
    ("claim.reviewed.v1", put({}, "then"), "$: then has changed; breaks its senders"),
    (
        "claim.reviewed.v1",
        put(["IRR", "VND"], "$defs", "Money", P, "currency", "enum"),
        "$.amount.currency: takes AED, AFN",
    ),
    (
        "claim.reviewed.v1",
        put([{"$ref": "#/$defs/Money"}], P, "amount", "anyOf"),
        "$.amount: was null, is object; breaks its senders",
    ),
    (
        "claim.decided.v1",
        put({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}, P, "decision_no"),
        "$.decision_no: was integer, is null; breaks its readers",
    ),
    (
        "claim.admitted.v1",
        put("string", P, "units", "additionalProperties", "items", "type"),
        "$.units.*[*]: was integer, is string; breaks its readers",
    ),
]


@pytest.mark.parametrize(("type_", "change", "said"), BREAKING)
def test_a_breaking_change_is_told_with_its_place_and_whom_it_breaks(type_: str, change: Change, said: str) -> None:
    told = found(type_, change)
    assert len(told) == 1
    assert told[0].startswith(f"{type_} ")
    assert said in told[0]


@pytest.mark.parametrize(
    ("type_", "change"),
    [
        ("claim.reviewed.v1", put({"type": "string"}, P, "desk")),
        ("claim.decided.v1", require("desk")),
        ("claim.reviewed.v1", drop("required", "reason")),
        ("claim.reviewed.v1", put(20_000, P, "reason", "maxLength")),
        ("claim.reviewed.v1", put(["refund", "replacement", "reject", "wait"], P, "verdict", "enum")),
        ("claim.reviewed.v1", put({"anyOf": [{"type": "string"}, {"type": "integer"}]}, P, "actor")),
        ("claim.decided.v1", put([{"type": "null"}], P, "refund", "anyOf")),
        ("claim.decided.v1", put(5, P, "decision_no", "minimum")),
        ("claim.decided.v1", put("said otherwise", P, "decision_no", "description")),
    ],
)
def test_a_change_that_breaks_nobody_passes(type_: str, change: Change) -> None:
    assert found(type_, change) == []


@pytest.mark.parametrize("type_", TYPES)
def test_nothing_breaks_against_itself(type_: str) -> None:
    assert found(type_, lambda tree: None) == []


def test_a_type_that_is_gone_breaks_who_used_it() -> None:
    for type_, way, whom in (("claim.reviewed.v1", "input", "senders"), ("claim.decided.v1", "output", "readers")):
        assert way in ("input", "output")
        (one,) = breaks(type_, "input" if way == "input" else "output", schema(type_), None)
        assert str(one) == f"{type_} $: the type is gone; breaks its {whom}"


def test_the_last_release_is_committed_whole() -> None:
    released = json.loads((DOCS / RELEASED / "topics.json").read_text(encoding="utf-8"))
    assert {file.stem for file in (DOCS / RELEASED).glob("*.v*.json")} == {
        t for types in released.values() for t in types
    }
    assert broken(DOCS) == []


def test_what_is_passed_on_may_neither_take_less_nor_say_more(docs: Path) -> None:
    file = docs / RELEASED / "claim.cancelled.v1.json"
    tree = json.loads(file.read_text(encoding="utf-8"))
    tree["properties"]["by"] = {"type": "integer"}
    file.write_text(json.dumps(tree), encoding="utf-8")
    assert [str(one) for one in broken(docs)] == [
        f"claim.cancelled.v1 $.by: was integer, is string; breaks its {whom}" for whom in ("senders", "readers")
    ]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    shutil.copytree(DOCS / "schemas", tmp_path / "schemas")
    shutil.copy(DOCS / "asyncapi.yaml", tmp_path)
    return tmp_path


def test_the_command_fails_on_a_breaking_change_and_names_it(docs: Path) -> None:
    file = docs / RELEASED / "claim.decided.v1.json"
    tree = json.loads(file.read_text(encoding="utf-8"))
    tree["properties"]["voucher"] = {"type": "string"}
    file.write_text(json.dumps(tree), encoding="utf-8")
    for command in ("check", "release"):
        failed = CliRunner().invoke(app, [command, "--docs", str(docs)])
        assert failed.exit_code == 1
        assert "breaking: claim.decided.v1 $.voucher: the member is gone; breaks its readers" in failed.output


def test_the_command_fails_where_a_type_has_moved_or_the_release_is_missing(docs: Path) -> None:
    topics = docs / RELEASED / "topics.json"
    topics.write_text(topics.read_text(encoding="utf-8").replace("reviews.v1", "desks.v1"), encoding="utf-8")
    failed = CliRunner().invoke(app, ["check", "--docs", str(docs)])
    assert failed.exit_code == 1
    assert "claim.reviewed.v1 $: is on desks.v1 no more" in failed.output
    topics.unlink()
    assert "is missing" in CliRunner().invoke(app, ["check", "--docs", str(docs)]).output
    shutil.rmtree(docs / RELEASED)
    assert CliRunner().invoke(app, ["release", "--docs", str(docs)]).exit_code == 0
    assert CliRunner().invoke(app, ["check", "--docs", str(docs)]).exit_code == 0
