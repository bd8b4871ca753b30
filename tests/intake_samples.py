"""Events for intake's tests, as the JSON data that outside systems send; keyword arguments replace members."""

import json
from dataclasses import dataclass
from typing import Any

from shared.events import ClaimAdmitted, ClaimParked, ClaimRefused, CustomerContact, Event
from shared.events.topics import DECISIONS, INPUT_TOPIC_OF

Data = dict[str, Any]
Lines = dict[str, int] | list[Data]


@dataclass(frozen=True)
class Sample:
    """An event as its sender writes it."""

    type: str
    data: Data

    @property
    def topic(self) -> str:
        return INPUT_TOPIC_OF.get(self.type, DECISIONS)

    @property
    def value(self) -> bytes:
        return json.dumps(self.data, ensure_ascii=False).encode()


GEJET, HAKAGO = "gejet-mall", "hakago"


def order(order_id: str = "o-1", merchant: str = GEJET, quantity: int = 2, **members: Any) -> Sample:
    """An order with line 1 of `quantity` units at 100 and line 2 of one unit at 50; nothing else costs anything."""
    currency = "IRR" if merchant == GEJET else "VND"
    data: Data = {
        "merchant": merchant,
        "order_id": order_id,
        "placed_at": "2026-11-01T09:00:00+03:30",
        "currency": currency,
        "customer": {"customer_id": "k-1", "name": "Sara", "email": "sara@example.org", "phone": "+98", "locale": "fa"},
        "lines": [
            {"line_id": "1", "sku": "SW-9", "title": "Watch", "quantity": quantity, "unit_price": "100"},
            {"line_id": "2", "sku": "ST-1", "title": "Strap", "quantity": 1, "unit_price": "50"},
        ],
        "shipping": {"amount": "0", "carrier": "post", "collect": False},
        "payments": [{"payment_id": "p-1", "provider": "bank", "amount": str(100 * quantity + 50)}],
    }
    return Sample("order.placed.v1", data | members)


def delivered(order_id: str = "o-1", **members: Any) -> Sample:
    return Sample(
        "order.delivered.v1",
        {"merchant": GEJET, "order_id": order_id, "received_at": "2026-11-04T10:00:00+03:30"} | members,
    )


def order_cancelled(order_id: str = "o-1", **members: Any) -> Sample:
    return Sample(
        "order.cancelled.v1",
        {"merchant": GEJET, "order_id": order_id, "cancelled_at": "2026-11-02T10:00:00Z"} | members,
    )


def claim(claim_id: str = "c-1", order_id: str = "o-1", lines: Lines | None = None, **members: Any) -> Sample:
    """A claim of one unit of line 1, or of `lines`: a list as it is sent, or line id → quantity."""
    lines = lines or {"1": 1}
    data: Data = {
        "claim_id": claim_id,
        "merchant": GEJET,
        "order_id": order_id,
        "reported_at": "2026-11-05T10:00:00+03:30",
        "channel": "web",
        "reason": "technical_fault",
        "lines": [{"line_id": each, "quantity": n} for each, n in lines.items()] if isinstance(lines, dict) else lines,
    }
    return Sample("claim.submitted.v1", data | members)


def _about(claim_id: str, order_id: str, members: Data, **own: Any) -> Data:
    return {"claim_id": claim_id, "merchant": GEJET, "order_id": order_id} | own | members


def cancelled(claim_id: str = "c-1", order_id: str = "o-1", **members: Any) -> Sample:
    return Sample(
        "claim.cancelled.v1", _about(claim_id, order_id, members, cancelled_at="2026-11-06T10:00:00Z", by="customer")
    )


def answer(claim_id: str = "c-1", order_id: str = "o-1", answer_id: str = "a-1", **members: Any) -> Sample:
    own = {"answer_id": answer_id, "answered_at": "2026-11-06T10:00:00Z", "answer": "refund_full"}
    return Sample("seller.answered.v1", _about(claim_id, order_id, members, **own))


def shipped(claim_id: str = "c-1", order_id: str = "o-1", **members: Any) -> Sample:
    return Sample(
        "return.shipped.v1", _about(claim_id, order_id, members, shipped_at="2026-11-06T10:00:00Z", tracking="T1")
    )


def returned(claim_id: str = "c-1", order_id: str = "o-1", return_id: str = "r-1", **members: Any) -> Sample:
    own = {"return_id": return_id, "received_at": "2026-11-09T10:00:00Z", "lines": [{"line_id": "1", "quantity": 1}]}
    return Sample("return.received.v1", _about(claim_id, order_id, members, **own))


def review(claim_id: str = "c-1", order_id: str = "o-1", review_id: str = "v-1", **members: Any) -> Sample:
    own = {"review_id": review_id, "reviewed_at": "2026-11-09T10:00:00Z", "actor": "mina", "reason": "seen it"}
    return Sample("claim.reviewed.v1", _about(claim_id, order_id, members, **own, verdict="reject"))


def settled(claim_id: str = "c-1", order_id: str = "o-1", refund_id: str = "f-1", **members: Any) -> Sample:
    own = {"refund_id": refund_id, "status": "succeeded", "settled_at": "2026-11-10T10:00:00Z"}
    return Sample("refund.settled.v1", _about(claim_id, order_id, members, **own))


def decided(
    claim_id: str = "c-1",
    order_id: str = "o-1",
    outcome: str = "rejected",
    no: int = 1,
    verdicts: dict[str, tuple[str, int]] | None = None,
    **members: Any,
) -> Sample:
    """A decision; `verdicts` gives line id → (verdict, quantity)."""
    lines = [
        {"line_id": line, "quantity": quantity, "verdict": verdict, "reasons": []}
        for line, (verdict, quantity) in (verdicts or {}).items()
    ]
    own = {
        "decision_no": no,
        "follows": no - 1 or None,
        "outcome": outcome,
        "lines": lines,
        "refund": None,
        "replacement": None,
        "policy": None,
        "readings": [],
        "decided_by": "policy",
        "decided_at": "2026-11-10T10:00:00Z",
    }
    return Sample("claim.decided.v1", _about(claim_id, order_id, members, **own))


def in_short(event: Event) -> str:
    """What an event says, as the scenarios write it."""
    match event:
        case ClaimAdmitted():
            units = " ".join(f"{line}:{','.join(map(str, units))}" for line, units in event.units.items())
            return f"admitted {event.claim_id} {units}"
        case ClaimRefused():
            return " ".join([f"refused {event.claim_id}", *(f"{e.code}@{e.path}" for e in event.errors)])
        case ClaimParked():
            return f"parked {event.claim_id}"
        case CustomerContact():
            return f"contact {event.order_id}"
    about = getattr(event, "claim_id", None) or getattr(event, "order_id", "")
    return f"{event.type.removesuffix('.v1')} {about}"
