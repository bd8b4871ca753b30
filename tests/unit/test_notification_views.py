"""What the notification service reads and writes without the models, held against the models."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel

from services.notification.letters import Sheet
from services.notification.outcomes import Failed, Sent, data_of
from services.notification.queue import DueMessage, Outcome
from services.notification.reading import VIEWS, View, read
from shared.events import TYPES, BadEvent, NotificationFailed, NotificationSent, dump, parse_data

EXAMPLES = Path(__file__).parents[2] / "shared/events/examples"


def example(type_: str) -> bytes:
    return (EXAMPLES / f"{type_}.json").read_bytes()


def differences(view: Any, model: Any, path: str = "$") -> Iterator[str]:
    """Members of a view that are not what the model has there."""
    if isinstance(view, View):
        assert isinstance(model, BaseModel), path
        for name in view.__struct_fields__:
            yield from differences(getattr(view, name), getattr(model, name), f"{path}.{name}")
    elif isinstance(view, list):
        if len(view) != len(model):
            yield f"{path}: {len(view)} and {len(model)}"
        for number, (one, other) in enumerate(zip(view, model, strict=False)):
            yield from differences(one, other, f"{path}[{number}]")
    elif view != model:
        yield f"{path}: {view!r} and {model!r}"


@pytest.mark.parametrize("type_", VIEWS)
def test_a_view_holds_what_the_model_holds(type_: str) -> None:
    assert list(differences(read(type_, example(type_)), parse_data(type_, example(type_)))) == []


@pytest.mark.parametrize("type_", VIEWS)
def test_a_view_needs_only_what_the_model_needs_and_takes_null_where_it_may_be(type_: str) -> None:
    needed = json.loads(example(type_))
    for name, field in TYPES[type_].model_fields.items():
        if not field.is_required():
            needed.pop(name, None)
    read(type_, json.dumps(needed).encode())
    for name in needed:
        emptied = json.dumps(needed | {name: None}).encode()
        try:
            parse_data(type_, emptied)
        except BadEvent:
            continue
        read(type_, emptied)


@pytest.mark.parametrize(
    ("type_", "change", "path"),
    [
        ("claim.decided.v1", {"claim_id": 7}, "$.claim_id"),
        ("claim.decided.v1", {"outcome": "nothing"}, "$.outcome"),
        ("claim.assessed.v1", {"lines": None}, "$.lines"),
        ("claim.assessed.v1", {"awaiting": "rain"}, "$.awaiting"),
        ("claim.admitted.v1", {"order": {}}, "$.order.merchant"),
        ("customer.contact.v1", {"order_id": None}, "$.order_id"),
    ],
)
def test_what_a_view_refuses_is_explained_by_the_model(type_: str, change: dict[str, Any], path: str) -> None:
    with pytest.raises(BadEvent) as refusal:
        read(type_, json.dumps(json.loads(example(type_)) | change).encode())
    assert refusal.value.path == path


def test_what_is_no_json_is_refused() -> None:
    for value in (b"", b"{", b"[]", b'{"claim_id": "\xff"}'):
        with pytest.raises(BadEvent):
            read("claim.refused.v1", value)


def test_what_only_the_view_refuses_is_refused_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.events.reading.parse_data", lambda type_, value: None)
    with pytest.raises(BadEvent, match="missing required field") as refusal:
        read("claim.refused.v1", b"{}")
    assert refusal.value.path == "$"


def outcome(*, accepted: bool, recipient_hash: str | None, reason: str | None) -> Outcome:
    return Outcome(
        merchant="hakago",
        claim_id="c-1",
        place=1,
        lane=0,
        notification_id="n-1",
        order_id="o-1",
        template="decided",
        traceparent="",
        accepted=accepted,
        locale="vi-VN",
        recipient_hash=recipient_hash,
        reason=reason,
    )


@pytest.mark.parametrize(
    ("one", "model"),
    [
        (outcome(accepted=True, recipient_hash="ab", reason=None), NotificationSent),
        (outcome(accepted=False, recipient_hash="ab", reason="mail server: 550"), NotificationFailed),
        (outcome(accepted=False, recipient_hash=None, reason="no address"), NotificationFailed),
        (outcome(accepted=False, recipient_hash=None, reason=None), NotificationFailed),
    ],
)
def test_an_outcome_is_written_as_its_model_would_write_it(one: Outcome, model: type[BaseModel]) -> None:
    written = msgspec.json.encode(data_of(one))
    read_back = model.model_validate_json(written)
    assert isinstance(read_back, NotificationSent | NotificationFailed)
    assert written == dump(read_back)


def test_outcomes_have_the_members_of_their_models() -> None:
    assert list(NotificationSent.model_fields) == list(Sent.__struct_fields__)
    assert list(NotificationFailed.model_fields) == list(Failed.__struct_fields__)


@pytest.mark.parametrize(
    ("template", "has_contact", "has_sheet", "complete"),
    [
        ("decided", True, True, True),
        ("decided", True, False, False),
        ("decided", False, True, False),
        ("refused", True, False, True),
        ("refused", False, False, False),
    ],
)
def test_a_letter_waits_for_the_contact_and_but_for_a_refusal_for_the_claim(
    template: str, has_contact: bool, has_sheet: bool, complete: bool
) -> None:
    at = datetime.fromisoformat("2026-11-05T10:00:00+03:30")
    sheet = Sheet("withdrawal", at, None, {}, {}) if has_sheet else None
    due = DueMessage(
        sheet, "m", "c", 1, 0, UUID(int=0), "n", "o", template, "t", b"", "", at, 0, None, has_contact, None, None, None
    )
    assert due.complete is complete
