"""A claim in a file, for trying a policy on it: one object, or the events that would be published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.sending import of_line
from cli.stack.errors import StackError
from shared.events import BadEvent, Event, parse_data

_LISTS = {
    "answers": ("seller.answered.v1", "answer_id", "answered_at"),
    "returns": ("return.received.v1", "return_id", "received_at"),
}
_MEMBERS = ("order", "claim", "received_at", *_LISTS)


def read_case(path: Path) -> list[Event]:
    """The input events that a file tells of, in their order.

    Either lines of JSON as `claims publish` takes them, or one object: `order` (data of order.placed, or the order of
    claim.admitted), `claim` (data of claim.submitted), and where known `received_at`, `answers`, `returns` (data of
    seller.answered and return.received; ids and times may be left out). Raises StackError.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"cannot read {path}: {error}") from None
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None
    try:
        if isinstance(whole, dict) and "order" in whole:
            return list(_of_object(whole))
        return [_of_line(line) for line in text.splitlines() if line.strip()]
    except BadEvent as bad:
        flaws = "; ".join(f"{where}: {message}" for where, message in bad.flaws)
        raise StackError(f"{path}: {flaws}") from None


def _of_line(text: str) -> Event:
    outgoing = of_line(text)
    return parse_data(outgoing.type, outgoing.value)


def _of_object(whole: dict[str, Any]) -> Iterator[Event]:
    for member in whole:
        if member not in (*_MEMBERS, "claim_id", "merchant", "order_id", "admitted_at", "units"):
            raise BadEvent(f"$.{member}", f"is no member of a case; there are {', '.join(_MEMBERS)}")
    order, claim = _object(whole, "order"), _object(whole, "claim")
    ids = {name: claim.get(name) or order.get(name) for name in ("merchant", "order_id")}
    yield _event("order.placed.v1", {**ids, **order}, "$.order")
    received = whole.get("received_at") or order.get("received_at")
    if received is not None:
        yield _event("order.delivered.v1", {**ids, "received_at": received}, "$.received_at")
    claim = {"claim_id": "c-1", "channel": "web", **ids, **claim}
    yield _event("claim.submitted.v1", claim, "$.claim")
    for member, (type_, id_, at) in _LISTS.items():
        for index, one in enumerate(whole.get(member) or []):
            place = f"$.{member}[{index}]"
            if not isinstance(one, dict):
                raise BadEvent(place, "has to be an object")
            given = {"claim_id": claim["claim_id"], **ids, id_: f"{member}-{index + 1}", at: claim.get("reported_at")}
            yield _event(type_, given | one, place)


def _object(whole: dict[str, Any], member: str) -> dict[str, Any]:
    found = whole.get(member)
    if not isinstance(found, dict):
        raise BadEvent(f"$.{member}", "is missing, or no object")
    return found


def _event(type_: str, data: dict[str, Any], place: str) -> Event:
    try:
        return parse_data(type_, json.dumps(data).encode())
    except BadEvent as bad:
        raise BadEvent(f"{place}{bad.path.removeprefix('$')}", bad.message) from None
