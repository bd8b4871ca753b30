"""The narrow shapes that eligibility reads and writes by do not drift from the contract."""

import json
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import get_args, get_type_hints

import msgspec
import pytest
from msgspec import NODEFAULT, Raw, Struct
from msgspec.structs import fields
from pydantic import BaseModel

from services.eligibility import said
from services.eligibility.reading import DECODERS, read
from shared.events import TYPES, BadEvent, ClaimAssessed, dump, parse_data
from shared.events.basis import Basis
from tests.contract.samples import example, spoil


def parts(shape: object) -> Iterator[type]:
    """The classes within a type, however they are wrapped."""
    if isinstance(shape, type) and not get_args(shape):
        yield shape
    for inner in get_args(shape):
        yield from parts(inner)


def pairs(shape: type[Struct], model: type[BaseModel]) -> Iterator[tuple[type[Struct], type[BaseModel]]]:
    """A shape and its model, and those of their members."""
    yield shape, model
    hints = get_type_hints(shape, include_extras=True)
    for name in shape.__struct_fields__:
        structs = [one for one in parts(hints[name]) if issubclass(one, Struct)]
        models = [one for one in parts(model.model_fields[name].annotation) if issubclass(one, BaseModel)]
        if structs:
            assert len(structs) == len(models) == 1, (shape, name)
            yield from pairs(structs[0], models[0])


READ = [pair for type_ in DECODERS for pair in pairs(getattr(DECODERS[type_], "type"), TYPES[type_])]  # noqa: B009
SAID = list(pairs(said.Assessed, ClaimAssessed))


@pytest.mark.parametrize(("shape", "model"), READ)
def test_what_the_contract_lets_be_left_out_may_be_left_out_here(shape: type[Struct], model: type[BaseModel]) -> None:
    for member in fields(shape):
        theirs = model.model_fields[member.name]
        assert (member.default is NODEFAULT and member.default_factory is NODEFAULT) == theirs.is_required(), member
        nothing = NoneType in parts_of_union(member.type)
        assert nothing or NoneType not in parts_of_union(theirs.annotation), f"{member.name} may be null"


def parts_of_union(shape: object) -> tuple[object, ...]:
    return get_args(shape) if isinstance(shape, UnionType) or NoneType in get_args(shape) else (shape,)


def test_what_is_said_has_the_members_of_the_contract_in_its_order() -> None:
    assert {shape for shape, _ in SAID} >= {said.Assessed, said.Basis, said.BasisAnswer, said.BasisPostage}
    for shape, model in SAID:
        assert list(shape.__struct_fields__) == list(model.model_fields)


@pytest.mark.parametrize("type_", DECODERS)
def test_what_is_read_is_what_was_written(type_: str) -> None:
    written = dump(parse_data(type_, json.dumps(example(type_)).encode()))
    assert_within(json.loads(msgspec.json.encode(read(type_, written))), json.loads(written))


def assert_within(narrow: object, wide: object) -> None:
    if isinstance(narrow, dict):
        assert isinstance(wide, dict)
        for name, value in narrow.items():
            assert_within(value, wide[name])
    elif isinstance(narrow, list):
        assert isinstance(wide, list)
        assert len(narrow) == len(wide)
        for one, other in zip(narrow, wide, strict=True):
            assert_within(one, other)
    else:
        assert narrow == wide


@pytest.mark.parametrize(
    ("put", "path"),
    [
        ({"$.claim.reason": "boredom"}, "$.claim.reason"),
        ({"$.claim.reported_at": "2026-11-05T10:00:00"}, "$.claim.reported_at"),
        ({"$.order.lines[0].gift": "yes"}, "$.order.lines[0].gift"),
        ({"$.claim.lines": None}, "$.claim.lines"),
    ],
)
def test_a_flaw_is_told_in_the_words_of_the_contract(put: dict[str, object], path: str) -> None:
    value = json.dumps(spoil(example("claim.admitted.v1"), put, ())).encode()
    with pytest.raises(BadEvent) as ours:
        read("claim.admitted.v1", value)
    with pytest.raises(BadEvent) as theirs:
        parse_data("claim.admitted.v1", value)
    assert (ours.value.path, ours.value.message) == (theirs.value.path, theirs.value.message)
    assert ours.value.path == path


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"\xff\xfe", b'{"merchant": "\xff"}'])
def test_what_is_no_event_at_all_is_told_so(value: bytes) -> None:
    with pytest.raises(BadEvent):
        read("claim.decided.v1", value)


def test_what_only_the_narrow_shape_refuses_is_refused_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.events.reading.parse_data", lambda *_: None)
    with pytest.raises(BadEvent, match="merchant"):
        read("claim.decided.v1", b"{}")


def test_a_policy_and_its_absence_are_said_as_the_contract_has_them() -> None:
    assert said.policy("hakago", 1, "d") == Raw(b'{"id":"hakago","version":1,"digest":"d"}')
    assert Raw(b"null") == said.NO_POLICY
    assert {name for name in Basis.model_fields if name in said.Basis.__struct_fields__} == set(Basis.model_fields)
