"""Refund-calculation's own structs of events: the same members as the contract's models, and the same bytes."""

import types
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from services.refund_calculation import reading, writing
from services.refund_calculation.domain import take
from services.refund_calculation.reading import Taken, read
from services.refund_calculation.state import Order
from services.refund_calculation.writing import Said, write
from shared import pricing
from shared.events import TYPES, BadEvent, ClaimDecided, Event, dump, parse_data
from shared.events.parts import Alternative
from shared.events.parts import ReadingShown as ContractReading
from tests.unit.calculation_stage import Line, Stage, book


def bare(kind: Any) -> Any:
    """A type without what narrows it."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind


def choices(kind: Any) -> list[Any]:
    kind = bare(kind)
    members = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return [bare(one) for one in members]


def differences(ours: Any, theirs: Any, where: str, *, whole: bool) -> Iterator[str]:
    """Where a struct's type is not that of the model; `whole`: it has all its members, in their order."""
    none = type(None)
    if (none in choices(ours)) != (none in choices(theirs)):
        yield f"{where}: one may be null, the other not"
    [model] = [one for one in choices(theirs) if one is not none]
    for kind in (one for one in choices(ours) if one not in (none, msgspec.Raw)):
        yield from _one(kind, model, where, whole=whole)


def _one(kind: Any, model: Any, where: str, *, whole: bool) -> Iterator[str]:
    if isinstance(model, type) and issubclass(model, BaseModel):
        yield from members(kind, model, where, whole=whole)
    elif get_origin(model) in (list, tuple):
        if not issubclass(get_origin(kind), (list, tuple, Sequence)):
            yield f"{where}: no list"
        yield from differences(get_args(kind)[0], get_args(model)[0], f"{where}[]", whole=whole)
    elif get_origin(model) is dict:
        yield from differences(get_args(kind)[1], get_args(model)[1], f"{where}{{}}", whole=whole)
    elif get_origin(model) is Literal and get_origin(kind) is Literal:
        if set(get_args(model)) != set(get_args(kind)):
            yield f"{where}: other values"
    elif kind is not (str if get_origin(model) is Literal else model):
        yield f"{where}: {kind} for {model}"


def members(struct: Any, model: type[BaseModel], where: str, *, whole: bool) -> Iterator[str]:
    fields = msgspec.structs.fields(struct)
    if whole and [one.name for one in fields] != list(model.model_fields):
        yield f"{where}: other members, or in another order"
    for one in fields:
        theirs = model.model_fields.get(one.name)
        if theirs is None:
            yield f"{where}.{one.name}: no member of {model.__name__}"
            continue
        if one.required and not theirs.is_required() and not whole:
            yield f"{where}.{one.name}: may be left out"
        if not one.required:
            default = one.default if one.default_factory is msgspec.NODEFAULT else one.default_factory()
            expected = theirs.get_default(call_default_factory=True)
            if expected is PydanticUndefined or default != expected:
                yield f"{where}.{one.name}: another default"
        yield from differences(one.type, theirs.annotation, f"{where}.{one.name}", whole=whole)


@pytest.mark.parametrize("struct", get_args(Taken), ids=lambda struct: struct.type)
def test_what_is_read_has_members_of_the_contract(struct: Any) -> None:
    assert list(members(struct, TYPES[struct.type], "$", whole=False)) == []


@pytest.mark.parametrize("struct", get_args(Said), ids=lambda struct: struct.type)
def test_what_is_written_has_the_members_of_the_contract_in_their_order(struct: Any) -> None:
    assert list(members(struct, TYPES[struct.type], "$", whole=True)) == []


def test_a_reading_is_shown_as_the_contract_has_it() -> None:
    assert list(members(pricing.ReadingShown, ContractReading, "$", whole=True)) == []
    assert list(members(pricing.Alternative, Alternative, "$", whole=True)) == []


def test_the_comparison_sees_what_it_is_for() -> None:
    class Lacking(msgspec.Struct):
        claim_id: str | None
        decision_no: str
        outcome: Literal["refund"]
        nobody: int
        revision: int | None = 1

    found = "\n".join(members(Lacking, ClaimDecided, "$", whole=True))
    for said in (
        "other members",
        "null",
        "decision_no: <class 'str'>",
        "other values",
        "nobody: no",
        "another default",
    ):
        assert said in found


class _Recording(Stage):
    """A stage that keeps what was written, byte for byte."""

    written: list[tuple[str, bytes]]

    def take(self, event: Event) -> list[Event]:
        data = dump(event)
        took = take(self.order or Order(self.merchant, "o-1"), read(event.type, data), data, book(), self.clock)
        self.__dict__.setdefault("written", []).extend((said.type, write(said)) for said in took.events)
        return super().take(event)


def test_what_is_written_is_what_the_contract_s_models_would_write() -> None:
    stage = _Recording(lines=(Line(10_000_000, 2), Line(500_000)), exchange=("USD", "42000"))
    stage.admit("a", "withdrawal", {1: [1]})
    stage.assess("a")
    stage.review("refund", 9_000_000, "a")
    stage.review("refund", 1, "a")
    stage.settle("failed", "a")
    stage.admit("b", "technical_fault", {1: [2]}, {1: "Akku „groß“\n"})
    stage.assess("b", remedy="replacement")
    stage.admit("c", "technical_fault", {2: [1]})
    stage.assess("c", status="awaiting", remedy=None, awaiting="seller")
    stage.cancel("c")
    assert {type_ for type_, _ in stage.written} == {struct.type for struct in get_args(Said)}
    for type_, data in stage.written:
        assert data == dump(parse_data(type_, data))


@pytest.mark.parametrize(
    ("data", "path", "says"),
    [
        (b"{", "$", "not JSON"),
        (b"\xff", "$", "JSON"),
        (b'{"claim_id": 1}', "$.claim_id", "JSON number"),
        (b'{"claim_id":"c","merchant":"m","order_id":"o","cancelled_at":"2026-10-01T09:00:00Z"}', "$.by", "missing"),
    ],
)
def test_what_cannot_be_read_is_explained_in_the_contract_s_words(data: bytes, path: str, says: str) -> None:
    with pytest.raises(BadEvent, match=says) as bad:
        read("claim.cancelled.v1", data)
    assert bad.value.path == path


def test_what_only_the_contract_s_models_can_read_is_a_dead_letter_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.events.reading.parse_data", lambda type_, value: None)
    with pytest.raises(BadEvent, match="Expected `str`") as bad:
        read("claim.cancelled.v1", b'{"claim_id":"c","merchant":"m","order_id":7,"by":"c"}')
    assert (bad.value.path, bad.value.message) == ("$.order_id", "Expected `str`, got `int`")


def test_an_instant_keeps_its_offset() -> None:
    settled = reading.Settled("r", "m", "o", "c", "failed", datetime.fromisoformat("2026-10-01T12:30:00.5+03:30"))
    told = writing.SettlementTold(
        settled.refund_id, "m", "o", "c", settled.status, None, settled.settled_at, failure_reason="no such account"
    )
    assert b'"settled_at":"2026-10-01T12:30:00.500000+03:30"' in write(told)
    assert write(told) == dump(parse_data(told.type, write(told)))
