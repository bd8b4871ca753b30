"""At which turns a customer hears something, and that a repeat is known as one."""

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
import msgspec.structs
import pytest

from services.notification.domain import NOTICES_KEPT, Told, sheet_of, turn
from services.notification.reading import (
    ClaimAdmitted,
    ClaimAssessed,
    ClaimDecided,
    ClaimRefused,
    ClaimSettled,
    Occasion,
    read,
)
from tests import console_samples as samples

AT = datetime(2026, 11, 5, tzinfo=UTC)
ABOUT = {"claim_id": "c-1", "merchant": "hakago", "order_id": "o-1"}


def assessed(awaiting: str | None, status: str = "awaiting", **about: Any) -> ClaimAssessed:
    return msgspec.convert(
        ABOUT
        | {
            "status": status,
            "awaiting": awaiting,
            "since": AT,
            "due": None,
            "overdue": False,
            "authorization": None,
            "lines": [],
            "remedy": None,
            "readings": [],
            "policy": None,
        }
        | about,
        ClaimAssessed,
    )


def decided(number: int = 1, outcome: str = "refund") -> ClaimDecided:
    return msgspec.convert(
        ABOUT
        | {
            "decision_no": number,
            "follows": number - 1 or None,
            "outcome": outcome,
            "lines": [],
            "refund": None,
            "replacement": None,
            "policy": None,
            "readings": [],
            "decided_by": "policy",
            "decided_at": AT,
        },
        ClaimDecided,
    )


def refused() -> ClaimRefused:
    return msgspec.convert(
        ABOUT | {"errors": [{"code": "unknown_line", "path": "$.lines[0].line_id", "message": "no such line"}]},
        ClaimRefused,
    )


def settled(status: str, refund_id: str = "r-1") -> ClaimSettled:
    return msgspec.convert(
        ABOUT
        | {
            "refund_id": refund_id,
            "status": status,
            "provider_reference": None,
            "settled_at": AT,
            "failure_reason": None,
        },
        ClaimSettled,
    )


def told(*events: Occasion) -> list[str]:
    """The templates that a claim's events lead to; a notification of an id that was there already is told once."""
    state, templates = Told(), list[str]()
    for number, event in enumerate(events):
        state, notice = turn(state, event, f"/makegood/x#0-{number}")
        if notice is not None and not state.knows(notice):
            state = state.having(notice)
            templates.append(notice.template)
    return templates


@pytest.mark.parametrize(
    ("events", "templates"),
    [
        ([refused()], ["refused"]),
        ([assessed("delivery")], ["awaiting_delivery"]),
        ([assessed("return", authorization="RA-1")], ["awaiting_return"]),
        ([assessed("return")], ["awaiting_return"]),
        ([assessed("return", authorization="RA-1"), assessed("review")], ["awaiting_return"]),
        ([assessed("delivery"), assessed("seller")], ["awaiting_delivery"]),
        ([assessed("seller")], ["received"]),
        ([assessed("review")], ["received"]),
        ([assessed(None, "eligible")], []),
        ([assessed(None, "rejected")], []),
        ([decided()], ["decided"]),
        ([settled("failed")], ["refund_delayed"]),
        ([settled("succeeded")], []),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
def test_each_turn(events: list[Occasion], templates: list[str]) -> None:
    assert told(*events) == templates


def test_a_sellers_claim_from_end_to_end_is_told_once_at_each_turn() -> None:
    ways: list[Occasion] = [
        assessed("seller"),
        assessed("seller", overdue=True),
        assessed("return", authorization="RA-1"),
        assessed("return", authorization="RA-1", overdue=True),
        assessed("seller"),
        assessed("review"),
        assessed(None, "eligible"),
        decided(1),
        assessed("review"),
        decided(2),
    ]
    assert told(*ways) == ["received", "awaiting_return", "decided", "decided"]


def test_another_authorization_is_another_message() -> None:
    first, second = assessed("return", authorization="RA-1"), assessed("return", authorization="RA-2")
    assert told(first, first, second, first) == ["awaiting_return", "awaiting_return"]


def test_an_assessment_that_is_read_after_the_decision_is_no_news() -> None:
    assert told(decided(), assessed("return", authorization="RA-1"), assessed("delivery"), assessed("seller")) == [
        "decided"
    ]


def test_decisions_read_twice_or_out_of_order_are_told_once_each() -> None:
    assert told(decided(2), decided(1), decided(2), decided(1)) == ["decided", "decided"]


def test_every_refund_that_fails_is_told_once() -> None:
    assert told(settled("failed"), settled("failed"), settled("failed", "r-2")) == ["refund_delayed", "refund_delayed"]


def test_a_refused_id_that_is_used_again_is_refused_again_but_the_same_refusal_is_one() -> None:
    _, first = turn(Told(), refused(), "/makegood/intake#0-1")
    _, again = turn(Told(), refused(), "/makegood/intake#0-1")
    _, later = turn(Told(), refused(), "/makegood/intake#0-9")
    assert first == again
    assert first is not None
    assert later is not None
    assert first.notification_id != later.notification_id


def test_ids_tell_merchants_and_claims_apart() -> None:
    ids = set()
    for merchant, claim in (("a", "b"), ("a", "c"), ("ab", ""), ("a", "bb")):
        _, notice = turn(Told(), msgspec.structs.replace(decided(), merchant=merchant, claim_id=claim), "")
        assert notice is not None
        ids.add(notice.notification_id)
        namespace = uuid.UUID("8f1c0c1e-6b4e-5d53-9f59-2f0f0a8f7c11")
        assert uuid.UUID(notice.notification_id) == uuid.uuid5(namespace, f"{merchant}\0{claim}\0decided\0001")
        assert uuid.UUID(notice.notification_id).bytes == notice.key
    assert len(ids) == 4


def test_a_claim_remembers_its_latest_notices_and_no_more_than_so_many() -> None:
    state, notices = Told(), []
    for number in range(1, NOTICES_KEPT + 2):
        _, notice = turn(state, decided(number), "")
        assert notice is not None
        notices.append(notice)
        state = state.having(notice)
    assert [state.knows(notice) for notice in notices] == [False] + [True] * NOTICES_KEPT


def test_a_claim_s_sheet_has_its_titles_and_the_parts_that_are_claimed() -> None:
    order = samples.order("O-1")
    claim = samples.claim("C-1", order)
    lines = [{"line_id": "1", "quantity": 1, "part": "lid"}, {"line_id": "2", "quantity": 1, "part": None}]
    admitted = read("claim.admitted.v1", msgspec.json.encode(samples.admitted(claim | {"lines": lines}, order)))
    assert isinstance(admitted, ClaimAdmitted)
    sheet = sheet_of(admitted)
    assert (sheet.reason, sheet.locale, sheet.parts) == ("withdrawal", "fa-IR", {"1": "lid"})
    assert list(sheet.titles) == ["1"]
