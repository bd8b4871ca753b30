"""The events that say what became of a message, written without the models; a test holds them against the models."""

from itertools import product
from typing import Final, Literal, get_args

import msgspec

from services.notification.domain import Template
from services.notification.queue import Outcome
from shared import metrics
from shared.bus import Work, order_key
from shared.events.topics import NOTIFICATIONS

SENT: Final = "notification.sent.v1"
FAILED: Final = "notification.failed.v1"


class Sent(msgspec.Struct, frozen=True, gc=False):
    """The data of `notification.sent.v1`."""

    notification_id: str
    claim_id: str
    merchant: str
    order_id: str
    template: str
    locale: str
    channel: Literal["email"]
    recipient_hash: str


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The data of `notification.failed.v1`."""

    notification_id: str
    claim_id: str
    merchant: str
    order_id: str
    template: str
    locale: str
    channel: Literal["email"]
    recipient_hash: str | None
    reason: str


_ENCODE: Final = msgspec.json.Encoder().encode

for _ended, _template in product(("sent", "failed"), get_args(Template)):  # a rise from nothing is none that is seen
    metrics.NOTIFICATIONS.labels(_ended, _template)


def data_of(outcome: Outcome) -> Sent | Failed:
    """The data of the event that tells of an outcome."""
    o = outcome
    if o.accepted:
        hashed = o.recipient_hash or ""
        return Sent(o.notification_id, o.claim_id, o.merchant, o.order_id, o.template, o.locale, "email", hashed)
    return Failed(
        o.notification_id,
        o.claim_id,
        o.merchant,
        o.order_id,
        o.template,
        o.locale,
        "email",
        o.recipient_hash,
        o.reason or "unknown",
    )


def publish(work: Work, outcome: Outcome) -> None:
    """Tell the pipeline what became of a message."""
    work.emit(
        NOTIFICATIONS,
        SENT if outcome.accepted else FAILED,
        _ENCODE(data_of(outcome)),
        key=order_key(outcome.merchant, outcome.order_id),
        subject=outcome.claim_id,
        lane=outcome.lane,
        traceparent=outcome.traceparent,
    )
    what = "told" if outcome.accepted else "not told"
    work.history(outcome.merchant, outcome.claim_id, f"{what}: {outcome.template}", lane=outcome.lane)
    work.count("sent" if outcome.accepted else "failed")
    work.tally(metrics.NOTIFICATIONS, "sent" if outcome.accepted else "failed", outcome.template)


__all__ = ["FAILED", "SENT", "Failed", "Sent", "data_of", "publish"]
