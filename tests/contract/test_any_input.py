"""Whatever comes: an envelope or a `BadEvent`, never another exception; what is taken can be written and read again."""

import contextlib
import json
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.events import BadEvent, dump, parse_data
from shared.events.envelope import open_input
from shared.events.topics import INPUT_TOPIC_OF, INPUT_TOPICS
from tests.contract.samples import STRUCTURED, binary, example, spoil, structured, topic_of

TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "0", "1e5", "۱۲", "\x00", "IRT", "9" * 20, "2026-11-05T10:00:00+23:59", "8999-12-31T23:59:60Z"]
    ),
)
JSON: st.SearchStrategy[object] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
TYPES = st.sampled_from(sorted(INPUT_TOPIC_OF))


def _paths(value: object, path: str = "$") -> Iterator[str]:
    """Every place in a JSON value."""
    yield path
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _paths(member, f"{path}.{name}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _paths(member, f"{path}[{index}]")


@settings(max_examples=400)
@given(st.data(), TYPES, st.booleans())
def test_any_value_at_any_place(data: st.DataObject, type_: str, in_structure: bool) -> None:
    whole = example(type_)
    places = data.draw(st.lists(st.sampled_from(sorted(_paths(whole))), min_size=1, max_size=2))
    spoilt = whole
    for place in places:
        with contextlib.suppress(AssertionError, KeyError, IndexError):  # the place went with the one before it
            spoilt = spoil(spoilt, {place: data.draw(JSON)}, [])  # type: ignore[assignment]
    text = json.dumps(spoilt)
    try:
        if in_structure:
            envelope = open_input(topic_of(type_), STRUCTURED, structured(type_, f'"data": {text}'))
        else:
            envelope = open_input(topic_of(type_), binary(type_), text.encode("utf-8", "surrogatepass"))
    except BadEvent as refusal:
        event = None
        told = (refusal.path, refusal.message)
    else:
        event = envelope.data
        told = ("$", "taken")
    assert told[0].startswith("$")
    assert told[1]
    if event is not None:
        assert parse_data(type_, dump(event)) == event


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes(value: bytes, in_structure: bool) -> None:
    taken = True
    try:
        open_input("orders.v1", STRUCTURED if in_structure else binary("order.delivered.v1"), value)
    except BadEvent:
        taken = False
    assert not taken


NAMES = st.sampled_from(
    ["ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time", "content-type", "traceparent", "x"]
)
CONTENTS = st.one_of(
    st.none(), st.binary(max_size=12), st.sampled_from([b"1.0", b"order.delivered.v1", b"application/json"])
)


@given(st.lists(st.tuples(NAMES, CONTENTS), max_size=8), st.sampled_from(INPUT_TOPICS))
def test_any_headers(headers: list[tuple[str, bytes | None]], topic: str) -> None:
    value = json.dumps(example("order.delivered.v1")).encode()
    try:
        taken = open_input(topic, headers, value).type
    except BadEvent as refusal:
        taken = refusal.path
    assert taken in ("$", "order.delivered.v1")
