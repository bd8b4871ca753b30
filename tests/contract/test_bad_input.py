"""Every refusal that one event alone can earn, as data, in every mode of transport."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import pytest
import yaml

from shared.events import BadEvent
from shared.events.envelope import VALUE_LIMIT, open_input
from shared.events.topics import INPUT_TOPIC_OF
from tests.contract.samples import STRUCTURED, binary, example, spoil, structured, topic_of


class Case(TypedDict, total=False):
    name: str
    type: str
    put: dict[str, object]
    drop: list[str]
    replace: list[str]
    path: str
    says: str


CASES: list[Case] = yaml.safe_load((Path(__file__).parent / "bad_input.yaml").read_text(encoding="utf-8"))


def spoilt(case: Case) -> str:
    """The example of the case's type, spoilt as it says."""
    text = json.dumps(spoil(example(case["type"]), case.get("put", {}), case.get("drop", [])))
    if "replace" in case:
        old, new = case["replace"]
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def in_binary(type_: str, text: str) -> None:
    """Open it as a record in binary mode."""
    open_input(topic_of(type_), binary(type_), text.encode())


def _in_structured(type_: str, text: str) -> None:
    open_input(topic_of(type_), STRUCTURED, structured(type_, f'"data": {text}'))


def _in_base64(type_: str, text: str) -> None:
    encoded = base64.b64encode(text.encode()).decode()
    open_input(topic_of(type_), STRUCTURED, structured(type_, f'"data_base64": "{encoded}"'))


MODES = pytest.mark.parametrize("open_it", [in_binary, _in_structured, _in_base64])


@MODES
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_refusal_names_path_and_reason(case: Case, open_it: Callable[[str, str], None]) -> None:
    with pytest.raises(BadEvent) as refusal:
        open_it(case["type"], spoilt(case))
    assert refusal.value.path == case["path"]
    assert case["says"] in refusal.value.message
    assert refusal.value.flaws[0] == (refusal.value.path, refusal.value.message)


@MODES
@pytest.mark.parametrize("type_", INPUT_TOPIC_OF)
def test_unspoilt_examples_are_taken(type_: str, open_it: Callable[[str, str], None]) -> None:
    open_it(type_, json.dumps(example(type_)))


def test_names_of_cases_differ() -> None:
    assert len({(case["name"], case["type"]) for case in CASES}) == len(CASES)


def test_every_flaw_is_told() -> None:
    data = spoil(example("order.placed.v1"), {"$.currency": "IRT", "$.lines[0].quantity": 0}, ["$.merchant"])
    with pytest.raises(BadEvent) as refusal:
        in_binary("order.placed.v1", json.dumps(data))
    assert [path for path, _ in refusal.value.flaws] == ["$.merchant", "$.currency", "$.lines[0].quantity"]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "no value"),
        (b"", "not JSON"),
        (b"\x00\x01\x02", "not JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
        (b'{"merchant": "\xff"}', "not JSON"),
        (b'{"\xff": 1}', "not JSON"),
        ('{"merchant": "x"}'.encode("utf-16"), "not JSON"),
        (b"[" * 100_000, "32 levels"),
        (b'{"a":' * 50_000, "32 levels"),
        (b'{"a": ' + b"9" * 6000 + b"}", "is missing|not JSON"),
        (b" " * (VALUE_LIMIT + 1), "262144"),
    ],
    ids=lambda value: repr(value)[:30],
)
@pytest.mark.parametrize("headers", [binary("order.placed.v1"), STRUCTURED], ids=["binary", "structured"])
def test_values_that_are_no_event_at_all(headers: list[tuple[str, bytes]], value: bytes | None, says: str) -> None:
    with pytest.raises(BadEvent, match=says) as refusal:
        open_input("orders.v1", headers, value)
    assert refusal.value.path == "$" or refusal.value.path.startswith("$.")


def _nested(levels: int) -> str:
    """The example of a delivery with an unknown member, so that the whole is that many levels deep."""
    inside = "[" * (levels - 1) + "]" * (levels - 1)
    return json.dumps(example("order.delivered.v1"))[:-1] + f', "more": {inside}}}'


@MODES
def test_depth_is_limited(open_it: Callable[[str, str], None]) -> None:
    open_it("order.delivered.v1", _nested(32))
    with pytest.raises(BadEvent, match="32 levels") as refusal:
        open_it("order.delivered.v1", _nested(33))
    assert refusal.value.path == "$.more" + "[0]" * 31


def test_brackets_in_texts_are_not_depth() -> None:
    data = spoil(example("claim.submitted.v1"), {"$.note": "[{" * 200}, [])
    in_binary("claim.submitted.v1", json.dumps(data))


def test_many_lines_are_not_depth() -> None:
    lines = [{"line_id": str(number), "quantity": 1} for number in range(500)]
    in_binary("claim.submitted.v1", json.dumps(spoil(example("claim.submitted.v1"), {"$.lines": lines}, [])))


def test_value_of_the_largest_size_is_taken() -> None:
    text = json.dumps(example("order.delivered.v1")).encode()
    open_input("orders.v1", binary("order.delivered.v1"), text + b" " * (VALUE_LIMIT - len(text)))
