"""The page of one claim: its story, its money, and what a person may do about it."""

import json
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Query, Request
from pydantic import BaseModel, JsonValue
from starlette.responses import Response

from services.console import deeds, queries
from services.console.actions import Refused, load_case
from services.console.deeds import AuditRow
from services.console.mails import TextMissing
from services.console.shown import Case, NoticeShown
from services.console.store import Entry
from services.console.web.desk import Anybody, Checked, Desk, Staff, TheDesk, answer, both
from services.console.web.sessions import Session
from shared import clock
from shared.db import Conn
from shared.events.personal import masked

router = APIRouter(tags=["claim"])


class ClaimPage(BaseModel):
    """A claim and what people did about it. `acted`: who has acted on its present standing."""

    case: Case
    audit: list[AuditRow]
    acted: str | None


class RawEvent(BaseModel):
    """One event as it came; contact data masked unless it was asked for and may be seen."""

    topic: str
    partition: int
    offset: int
    type: str
    source: str
    event_id: str
    traceparent: str
    value: str
    masked: bool


Name = Annotated[str, Form(max_length=200)]


@router.post("/unmask", response_model=None, responses=both(ClaimPage), dependencies=[Checked])
async def unmask(request: Request, desk: TheDesk, session: Staff, merchant: Name, claim_id: Name) -> Response:
    """The claim with the customer's contact data; who saw it is in the audit first."""
    async with desk.pool.acquire(timeout=5) as conn:
        await deeds.note(conn, clock.now(), session.name, session.role, "unmask", merchant=merchant, claim_id=claim_id)
    return await show(request, desk, session, merchant, claim_id, unmasked=True)


@router.get("/raw", response_model=None, responses=both(RawEvent))
async def raw(
    request: Request,
    desk: TheDesk,
    _: Anybody,
    merchant: Annotated[str, Query(max_length=200)],
    order_id: Annotated[str, Query(max_length=200)],
    topic: Annotated[str, Query(max_length=200)],
    partition: int,
    offset: int,
) -> Response:
    """One event as it came, with contact data and free text masked."""
    async with desk.pool.acquire(timeout=5) as conn:
        found = await _entry(conn, merchant, order_id, topic, partition, offset)
    return answer(request, "_raw.html", _raw_event(found), {"entry": found})


@router.post("/raw/unmask", response_model=None, responses=both(RawEvent), dependencies=[Checked])
async def raw_unmasked(
    request: Request,
    desk: TheDesk,
    session: Staff,
    merchant: Name,
    order_id: Name,
    topic: Name,
    partition: Annotated[int, Form()],
    offset: Annotated[int, Form()],
) -> Response:
    """One event as it came, whole; who saw it is in the audit first."""
    async with desk.pool.acquire(timeout=5) as conn, conn.transaction():
        found = await _entry(conn, merchant, order_id, topic, partition, offset)
        await deeds.note(
            conn,
            clock.now(),
            session.name,
            session.role,
            "raw_unmasked",
            merchant=merchant,
            claim_id=found.claim_id,
            subject=f"{topic}/{partition}/{offset}",
            detail={"type": found.type, "order": found.order_id},
        )
    return answer(request, "_raw.html", _raw_event(found, unmasked=True), {"entry": found})


async def _entry(conn: Conn, merchant: str, order_id: str, topic: str, partition: int, offset: int) -> Entry:
    for entry in await queries.entries(conn, merchant, order_id):
        if (entry.topic, entry.lane, entry.offset) == (topic, partition, offset):
            return entry
    raise HTTPException(404)


def _raw_event(entry: Entry, *, unmasked: bool = False) -> RawEvent:
    try:
        tree: JsonValue = json.loads(entry.value)
    except (ValueError, RecursionError):
        shown, hidden = "", True
    else:
        tree, hidden = (tree, False) if unmasked else masked(entry.type, tree)
        shown = json.dumps(tree, ensure_ascii=False, indent=2)
    return RawEvent(
        topic=entry.topic,
        partition=entry.lane,
        offset=entry.offset,
        type=entry.type,
        source=entry.source,
        event_id=entry.event_id,
        traceparent=entry.traceparent,
        value=shown,
        masked=hidden,
    )


@router.get("/claims/{merchant}/{claim_id:path}", response_model=None, responses=both(ClaimPage))
async def claim_page(request: Request, desk: TheDesk, session: Anybody, merchant: str, claim_id: str) -> Response:
    """Everything about one claim."""
    return await show(request, desk, session, merchant, claim_id)


async def show(
    request: Request,
    desk: Desk,
    session: Session,
    merchant: str,
    claim_id: str,
    *,
    unmasked: bool = False,
    problem: Refused | None = None,
    given: dict[str, str] | None = None,
) -> Response:
    """The claim's page; with what went wrong and what had been filled in, if anything."""
    async with desk.pool.acquire(timeout=5) as conn:
        case = await load_case(conn, merchant, claim_id, unmasked=unmasked)
        if case is None:
            raise HTTPException(404)
        audit = await deeds.audit(conn, claim=(merchant, claim_id))
        acted = await _acted(conn, case)
    if not session.may("staff"):
        case = case.without_free_text()
    if unmasked:
        case = await _with_mails(desk, case)
    page = ClaimPage(case=case, audit=audit, acted=acted)
    shown = {
        "problem": problem,
        "given": given or {},
        "trace_url": desk.settings.console_trace_url,
        "policy": desk.book.version(merchant, int(case.policy.rpartition("@")[2])) if case.policy else None,
    }
    return answer(request, "claim.html", page, shown, 200 if problem is None else problem.status)


async def _acted(conn: Conn, case: Case) -> str | None:
    keys = [
        (case.merchant, case.claim_id, f"{type_}:{case.basis}") for type_ in ("claim.reviewed.v1", "seller.answered.v1")
    ]
    found = await deeds.taken(conn, keys)
    return next((actor for actor, _ in found.values()), None)


async def _with_mails(desk: Desk, case: Case) -> Case:
    """The claim with the texts of the mails that were sent, or why there are none."""
    if not any(notice.sent for notice in case.notices):
        return case
    found = await desk.mails.of(case.merchant, case.claim_id)
    return case.model_copy(update={"notices": [_with_text(notice, found) for notice in case.notices]})


def _with_text(notice: NoticeShown, found: dict[str, tuple[str, str]] | TextMissing) -> NoticeShown:
    if not notice.sent:
        return notice
    if isinstance(found, str):
        return notice.model_copy(update={"text_missing": found})
    mail = found.get(notice.notification_id)
    if mail is None:
        return notice.model_copy(update={"text_missing": "not_kept"})
    return notice.model_copy(update={"subject": mail[0], "body": mail[1]})
