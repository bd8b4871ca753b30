"""What an event says in a line: labelled values for the timeline. Pure."""

from datetime import UTC
from typing import Literal

from pydantic import BaseModel

from shared.events import (
    ClaimAdmitted,
    ClaimAssessed,
    ClaimCancelled,
    ClaimDecided,
    ClaimParked,
    ClaimReferred,
    ClaimRefused,
    ClaimReviewed,
    ClaimSettled,
    ClaimSubmitted,
    Event,
    NotificationFailed,
    NotificationSent,
    OrderCancelled,
    OrderDelivered,
    OrderPlaced,
    RefundInstructed,
    RefundSettled,
    ReturnReceived,
    ReturnShipped,
    ReviewRefused,
    SellerAnswered,
)


class Said(BaseModel):
    """A labelled value. `kind` says how it is shown: a code that has a name in each language, an amount, an instant
    (RFC 3339), or plain text."""

    label: str
    kind: Literal["code", "amount", "instant", "text"]
    value: str
    currency: str | None = None


def says(event: Event) -> list[Said]:
    """What matters of an event, in short."""
    return [said for said in _says(event) if said.value]


def _says(event: Event) -> list[Said]:  # noqa: PLR0911 - an arm for each type
    match event:
        case OrderPlaced() | OrderDelivered() | OrderCancelled():
            return _of_order(event)
        case ClaimSubmitted():
            return [_code("reason", event.reason), _code("wants", event.wants), _code("channel", event.channel)]
        case ClaimAdmitted():
            return [_code("reason", event.claim.reason)]
        case ClaimAssessed():
            due = [] if event.due is None else [_instant("due", event.due.astimezone(UTC).isoformat())]
            return [_code("status", event.status), _code("awaiting", event.awaiting), *due]
        case ClaimDecided():
            money = [] if event.refund is None else [_amount("refund", event.refund.amount, event.refund.currency)]
            return [_code("outcome", event.outcome), *money, _text("decided_by", event.decided_by)]
        case RefundInstructed():
            return [_amount("refund", event.amount, event.currency), _text("refund_id", event.refund_id)]
        case RefundSettled() | ClaimSettled():
            return [_code("status", event.status), _text("why", event.failure_reason)]
        case NotificationSent() | NotificationFailed():
            why = event.reason if isinstance(event, NotificationFailed) else None
            return [_code("template", event.template), _text("why", why)]
        case _:
            return _of_people(event)


def _of_order(event: OrderPlaced | OrderDelivered | OrderCancelled) -> list[Said]:
    match event:
        case OrderPlaced():
            return [_instant("placed_at", event.placed_at.isoformat())]
        case OrderDelivered():
            return [_instant("received_at", event.received_at.isoformat())]
        case OrderCancelled():
            return [_instant("cancelled_at", event.cancelled_at.isoformat())]


def _of_people(event: Event) -> list[Said]:  # noqa: PLR0911 - an arm for each type
    match event:
        case SellerAnswered():
            money = [] if event.amount is None else [_amount("amount", event.amount.amount, event.amount.currency)]
            return [_code("answer", event.answer), *money]
        case ReturnShipped():
            return [_text("tracking", event.tracking)]
        case ReturnReceived():
            return [_text("quantity", str(sum(line.quantity for line in event.lines))), _code("fault", event.fault)]
        case ClaimReviewed():
            money = [] if event.amount is None else [_amount("amount", event.amount.amount, event.amount.currency)]
            return [_code("verdict", event.verdict), *money, _text("actor", event.actor), _text("why", event.reason)]
        case ClaimReferred():
            return [_text("entry", event.entry)]
        case ClaimCancelled():
            return [_text("actor", event.by)]
        case _:
            return _of_refusals(event)


def _of_refusals(event: Event) -> list[Said]:
    match event:
        case ClaimRefused():
            return [_code("why", error.code) for error in event.errors]
        case ReviewRefused():
            return [_text("why", error.message) for error in event.errors]
        case ClaimParked():
            return [_instant("until", event.until.isoformat())]
        case _:
            return []


def _code(label: str, value: str | None) -> Said:
    return Said(label=label, kind="code", value=value or "")


def _text(label: str, value: str | None) -> Said:
    return Said(label=label, kind="text", value=value or "")


def _instant(label: str, value: str) -> Said:
    return Said(label=label, kind="instant", value=value)


def _amount(label: str, value: str, currency: str) -> Said:
    return Said(label=label, kind="amount", value=value, currency=currency)
