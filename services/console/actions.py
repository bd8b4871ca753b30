"""What a person does to a claim, as an event for intake's door: built, checked as strictly as intake will, and emitted
in the same transaction as its audit row."""

import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import uuid4

from services.console import deeds, queries
from services.console.case import case_of, read_all
from services.console.errands import Doing
from services.console.shown import Case
from services.console.web.sessions import Session
from shared.bus import order_key
from shared.db import Conn
from shared.events import BadEvent, Inspection
from shared.events.envelope import open_data
from shared.events.fields import normalise_amount
from shared.events.topics import INPUT_TOPIC_OF
from shared.money import MoneyError, minor


class Refused(Exception):  # noqa: N818 - read as a sentence
    """The action cannot be taken. `key` names the words that say why, `values` go into them."""

    def __init__(self, key: str, status: int = 422, **values: str) -> None:
        super().__init__(key)
        self.key = key
        self.status = status
        self.values = values


@dataclass(frozen=True, slots=True)
class Asked:
    """An action as a person asked for it. `data`: the event's members without the claim's names."""

    type: Literal["claim.reviewed.v1", "seller.answered.v1", "return.received.v1"]
    merchant: str
    claim_id: str
    basis: str
    data: dict[str, object]


_ID_MEMBER = {
    "claim.reviewed.v1": "review_id",
    "seller.answered.v1": "answer_id",
    "return.received.v1": "return_id",
}


async def act(doing: Doing, session: Session, asked: Asked) -> str:
    """Emit the event and write its audit row; returns the event's own id (review, answer or return id).

    Raises:
        Refused: the claim is not there or has moved on, somebody has acted already, or the event would not be taken.
    """
    found = await load_case(doing.conn, asked.merchant, asked.claim_id)
    if found is None:
        raise Refused("problem.no_claim", 404)
    _check(found, asked)
    own_id = str(uuid4())
    data = {
        _ID_MEMBER[asked.type]: own_id,
        "claim_id": asked.claim_id,
        "merchant": asked.merchant,
        "order_id": found.order_id,
        **asked.data,
    }
    value = json.dumps(data, ensure_ascii=False).encode()
    try:
        open_data(asked.type, value)
    except BadEvent as bad:
        raise Refused("problem.bad", path=bad.path, why=bad.message) from bad
    standing = f"{asked.type}:{asked.basis}"
    if asked.type != "return.received.v1" and not await deeds.take(
        doing.conn, asked.merchant, asked.claim_id, standing, own_id, session.name, doing.now
    ):
        raise Refused("problem.taken", 409)
    trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    await doing.emit(
        INPUT_TOPIC_OF[asked.type],
        asked.type,
        value,
        key=order_key(asked.merchant, found.order_id),
        subject=asked.claim_id,
        traceparent=trace,
    )
    await deeds.note(
        doing.conn,
        doing.now,
        session.name,
        session.role,
        asked.type,
        merchant=asked.merchant,
        claim_id=asked.claim_id,
        subject=own_id,
        detail={key: _short(value) for key, value in asked.data.items() if value is not None},
    )
    return own_id


async def load_case(conn: Conn, merchant: str, claim_id: str, *, unmasked: bool = False) -> Case | None:
    """The claim from the events about its order."""
    found = await queries.entries_of_claim(conn, merchant, claim_id)
    return case_of(read_all(found), claim_id, unmasked=unmasked) if found else None


def _check(found: Case, asked: Asked) -> None:
    if found.currency is None or not any(moment.type == "claim.admitted.v1" for moment in found.timeline):
        raise Refused("problem.not_admitted", 409)
    if found.basis != asked.basis:
        raise Refused("problem.moved", 409)
    if asked.type == "claim.reviewed.v1" and asked.data["verdict"] == "refund":
        _check_amount(found, asked.data["amount"])


def _check_amount(found: Case, amount: object) -> None:
    """Staff give the claim's total: no more than it already got and what is left, no less than it already got."""
    given = amount.get("amount") if isinstance(amount, dict) else None
    if not isinstance(amount, dict) or amount.get("currency") != found.currency:
        raise Refused("problem.currency")
    try:
        units = minor(normalise_amount(str(given)), found.currency or "")
    except (MoneyError, ValueError) as error:
        raise Refused("problem.amount", why=str(error)) from error
    if found.left is None or units > found.refunded + found.left:
        raise Refused("problem.above_left")
    if units <= found.refunded:
        raise Refused("problem.below_refunded")


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 500 else text[:499] + "…"


def reviewed(
    case_currency: str | None, session: Session, verdict: str, amount: str, reason: str, now: datetime
) -> dict[str, object]:
    """Members of `claim.reviewed.v1`; the amount counts with `refund` alone."""
    return {
        "reviewed_at": now.isoformat(),
        "actor": session.name,
        "reason": reason,
        "verdict": verdict,
        "amount": {"amount": amount, "currency": case_currency} if verdict == "refund" else None,
    }


def inspection(carton: str, opened: str, seal: str, misuse: str, fault: str, variant: str) -> dict[str, object]:
    """An inspection from form fields; what was left open is not known."""
    flags = {"": None, "yes": True, "no": False}
    found: dict[str, object] = {
        "carton": carton or None,
        "packaging_opened": flags.get(opened),
        "seal": seal or None,
        "misuse": flags.get(misuse),
        "fault_confirmed": flags.get(fault),
        "regional_variant": flags.get(variant),
    }
    assert found.keys() == Inspection.model_fields.keys()
    return found
