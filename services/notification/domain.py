"""At which turns of a claim its customer is told, and how the letter reads. Pure.

A customer hears of a claim once at its first turn (refused; received, where the seller or a person has to be waited
for; awaiting delivery; awaiting return; or decided at once), again when something is wanted of them (a return), at
each decision, and when a promised refund could not be paid. Nothing is said of turns that change nothing for the
customer: a reminder to staff, a seller's answer that is still being judged, a refund that a bank has confirmed.
"""

from hashlib import sha1
from typing import Final, Literal, NamedTuple
from uuid import UUID

from services.notification import letters
from services.notification.letters import Desk, Letter, Sheet
from services.notification.reading import (
    ClaimAdmitted,
    ClaimAssessed,
    ClaimDecided,
    ClaimRefused,
    ClaimSettled,
    Occasion,
)
from services.notification.wording import Catalog

Template = Literal["refused", "received", "awaiting_delivery", "awaiting_return", "decided", "refund_delayed"]

_NAMESPACE: Final = UUID("8f1c0c1e-6b4e-5d53-9f59-2f0f0a8f7c11").bytes
_KEY_BYTES: Final = 16
NOTICES_KEPT: Final = 64
"""Of so many notices a claim remembers that they were told; a claim has five or six."""


class Notice(NamedTuple):
    """Something to tell. The same turn of the same claim has the same id, however often it is met; `key` is its 16
    bytes."""

    notification_id: str
    template: Template
    key: bytes


class Told(NamedTuple):
    """What the customer has been told of a claim so far: that it waits for something, that it is decided, and every
    notice by the 16 bytes of its id, the latest last. Refusals are no part of it: each is an event of its own."""

    waiting: bool = False
    decided: bool = False
    notices: bytes = b""

    def knows(self, notice: Notice) -> bool:
        """Whether this notice is one of those told."""
        key, notices = notice.key, self.notices
        if key not in notices:
            return False
        return any(notices[at : at + _KEY_BYTES] == key for at in range(0, len(notices), _KEY_BYTES))

    def having(self, notice: Notice) -> "Told":
        """The same with one notice more."""
        return Told(self.waiting, self.decided, (self.notices + notice.key)[-NOTICES_KEPT * _KEY_BYTES :])


NOTHING: Final = Told()


def turn(told: Told, event: Occasion, event_id: str) -> tuple[Told, Notice | None]:
    """What an event means for the customer. `event_id` tells two refusals of one claim id apart: after a refusal the id
    may be used again. Once a claim is decided, an assessment that is read late is no news any more."""
    match event:  # the frequent ones first: that a model is not of a class takes long to find out
        case ClaimAssessed():
            return _assessed(told, event)
        case ClaimDecided():
            return Told(told.waiting, True, told.notices), _notice(event, "decided", str(event.decision_no))
        case ClaimRefused():
            return told, _notice(event, "refused", event_id)
        case ClaimSettled():
            return told, _notice(event, "refund_delayed", event.refund_id) if event.status == "failed" else None


def compose(event: Occasion, desk: Desk) -> Letter:
    """The letter for a turn, in the desk's language. Raises nothing for an event that the contract allows."""
    match event:
        case ClaimRefused():
            return letters.refused(desk, event)
        case ClaimDecided():
            return letters.decided(desk, event)
        case ClaimSettled():
            return letters.refund_delayed(desk, event)
        case ClaimAssessed():
            return letters.awaiting(desk, event)


def sheet_of(admitted: ClaimAdmitted) -> Sheet:
    """What letters say of the claim itself; holds no personal data."""
    return Sheet(
        reason=admitted.claim.reason,
        reported_at=admitted.claim.reported_at,
        locale=admitted.order.customer.locale,
        titles={line.line_id: line.title for line in admitted.order.lines},
        parts={line.line_id: line.part for line in admitted.claim.lines if line.part},
    )


def _assessed(told: Told, event: ClaimAssessed) -> tuple[Told, Notice | None]:
    if event.status != "awaiting" or told.decided:
        return told, None
    now_waiting = Told(True, told.decided, told.notices)
    match event.awaiting:
        case "return":
            return now_waiting, _notice(event, "awaiting_return", event.authorization or "")
        case "delivery":
            return now_waiting, _notice(event, "awaiting_delivery", "")
        case "seller" | "review":
            return now_waiting, None if told.waiting else _notice(event, "received", "")
        case None:
            return told, None


def _notice(event: Occasion, template: Template, which: str) -> Notice:
    """With the id that `uuid5` gives (RFC 9562, 5.5), which takes three times as long for its object."""
    name = "\0".join((event.merchant, event.claim_id, template, which))
    key = bytearray(sha1(_NAMESPACE + name.encode(), usedforsecurity=False).digest()[:_KEY_BYTES])
    key[6] = key[6] & 0x0F | 0x50
    key[8] = key[8] & 0x3F | 0x80
    digits = key.hex()
    notification_id = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    return Notice(notification_id, template, bytes(key))


__all__ = [
    "Catalog",
    "Desk",
    "Letter",
    "Notice",
    "Occasion",
    "Sheet",
    "Template",
    "Told",
    "compose",
    "sheet_of",
    "turn",
]
