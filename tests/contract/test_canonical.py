"""The digest: the same for the same data however written, another for other data."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import BadEvent
from shared.events.canonical import digest

NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False))
VALUES: st.SearchStrategy[object] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(st.characters(exclude_categories=["Cs"]), max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=4),
    ),
    max_leaves=12,
)


def _shuffled(value: object, chance: random.Random) -> object:
    if isinstance(value, dict):
        members = list(value.items())
        chance.shuffle(members)
        return {name: _shuffled(member, chance) for name, member in members}
    return [_shuffled(member, chance) for member in value] if isinstance(value, list) else value


def _written(value: object) -> str:
    """A canonical text to compare by: members sorted, one spelling of each number."""
    if isinstance(value, dict):
        members = [f"{json.dumps(name)}:{_written(value[name])}" for name in sorted(value)]
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)


@given(VALUES, st.randoms(use_true_random=False), st.booleans(), st.sampled_from([None, 2]))
def test_spelling_does_not_matter(value: object, chance: random.Random, ascii_: bool, indent: int | None) -> None:
    other = json.dumps(_shuffled(value, chance), ensure_ascii=ascii_, indent=indent)
    assert digest(json.dumps(value).encode()) == digest(other.encode())


@given(VALUES, VALUES)
def test_other_data_have_another_digest(one: object, other: object) -> None:
    same = _written(one) == _written(other)
    assert (digest(json.dumps(one).encode()) == digest(json.dumps(other).encode())) == same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('{"a": 1, "b": [2]}', '{ "b":[2],\n"a":1 }', True),
        ('"A"', '"\\u0041"', True),
        ('{"x": 1.0}', '{"x": 1}', True),
        ('{"x": 1e2}', '{"x": 100}', True),
        ('{"x": -0.0}', '{"x": 0}', True),
        ('{"x": "1"}', '{"x": 1}', False),
        ('{"x": "1"}', '{"x": "۱"}', False),
        ('{"x": "é"}', '{"x": "e\\u0301"}', False),
        ('{"x": true}', '{"x": 1}', False),
        ('{"x": null}', "{}", False),
        ("[1, 2]", "[2, 1]", False),
        ('{"x": 18446744073709551616}', '{"x": 18446744073709551617}', False),
        ('{"x": 1e400}', '{"x": 1e401}', False),
    ],
)
def test_what_is_the_same(one: str, other: str, same: bool) -> None:
    assert (digest(one.encode()) == digest(other.encode())) is same


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"a": 1, "a": 1}', "$.a"),
        ('[{"b": {"c d": 1, "c d": 2}}]', "$[0].b['c d']"),
        ('{"a": ":", "b": [{"c": 1, "c": ":::"}]}', "$.b[0].c"),
        ('{"a": "\\u003a", "b": "\\u003A", "b": 2}', "$.b"),
        ('{"a": 1, "\\u0061": 1}', "$.a"),
        ('{"a": NaN}', "$.a"),
        ("[1, -Infinity]", "$[1]"),
        ("{", "$"),
        ("", "$"),
        ("[" * 5000, "$"),
        ("9" * 5000, "$"),
    ],
)
def test_what_has_no_canonical_form(text: str, path: str) -> None:
    with pytest.raises(BadEvent) as refusal:
        digest(text.encode())
    assert refusal.value.path == path


@given(VALUES, st.text("ab:\\", max_size=3), VALUES, VALUES, st.booleans())
def test_a_member_twice_has_no_canonical_form(
    before: object, name: str, one: object, other: object, ascii_: bool
) -> None:
    """Also where texts are full of colons, by which the short way tells that a member is missing."""
    spelt = json.dumps(name).replace(":", "\\u003a")
    members = f"{json.dumps(name)}: {json.dumps(one, ensure_ascii=ascii_)}, {spelt}: {json.dumps(other)}"
    with pytest.raises(BadEvent):
        digest(f'[{json.dumps(before, ensure_ascii=ascii_)}, {{"z": 1, {members}}}]'.encode())


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(BadEvent):
        digest(b'"\xff"')
