"""Claims: search, past due, saved as URL, CSV."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, get_args

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from services.console import deeds, queries
from services.console.facts import State
from services.console.queries import ClaimBrief, Search
from services.console.web.desk import Anybody, TheDesk, answer, both
from services.console.web.formats import parse_duration
from shared import clock
from shared.events.fields import normalise_id
from shared.events.parts import ClaimReason, Outcome
from shared.money import text

router = APIRouter(tags=["claims"])

CSV_ROWS = 100_000
STUCK_MS = 60_000


class ClaimsPage(BaseModel):
    """Claims that fit a search. `next`: what to add as `after` for the next page, or null."""

    q: str
    merchant: str
    reason: str
    state: str
    outcome: str
    clause: str
    older: str
    due: str
    claims: list[ClaimBrief]
    next: str | None


Short = Annotated[str, Query(max_length=200)]


@router.get("/claims", response_model=None, responses=both(ClaimsPage))
async def claims_page(
    request: Request,
    desk: TheDesk,
    _: Anybody,
    q: Short = "",
    merchant: Short = "",
    reason: Short = "",
    state: Short = "",
    outcome: Short = "",
    clause: Short = "",
    older: Short = "",
    due: Short = "",
    after: Short = "",
) -> Response:
    """Search by claim, order or customer (`q`), merchant, reason, state, outcome, clause, age (`older=36h`), past due
    (`due=past`), or stuck in the pipeline for a minute (`due=stuck`)."""
    search = _search(q, merchant, reason, state, outcome, clause, older, due, clock.now())
    async with desk.pool.acquire(timeout=5) as conn:
        found = await queries.claims(conn, search.model_copy(update={"after": _place(after)}), queries.PAGE + 1)
        merchants = sorted({policy.merchant for policy in desk.book.all()})
    more = len(found) > queries.PAGE
    shown = found[: queries.PAGE]
    page = ClaimsPage(
        q=q,
        merchant=merchant,
        reason=reason,
        state=state,
        outcome=outcome,
        clause=clause,
        older=older,
        due=due,
        claims=shown,
        next=_name(shown[-1], by_due=due == "past") if more else None,
    )
    choices = {
        "merchants": merchants,
        "reasons": get_args(ClaimReason),
        "states": get_args(State),
        "outcomes": get_args(Outcome),
        "clauses": sorted({number for policy in desk.book.all() for number in policy.clauses}),
        "filters": {k: v for k, v in request.query_params.items() if k != "after" and v},
    }
    part = request.headers.get("hx-target") == "found"
    return answer(request, "_claims.html" if part else "claims.html", page, choices)


@router.get("/claims.csv", response_model=None)
async def claims_csv(
    desk: TheDesk,
    session: Anybody,
    q: Short = "",
    merchant: Short = "",
    reason: Short = "",
    state: Short = "",
    outcome: Short = "",
    clause: Short = "",
    older: Short = "",
    due: Short = "",
) -> Response:
    """The same search as CSV (UTF-8, at most 100,000 rows); who took it is in the audit."""
    search = _search(q, merchant, reason, state, outcome, clause, older, due, clock.now())
    async with desk.pool.acquire(timeout=5) as conn:
        await deeds.note(
            conn,
            clock.now(),
            session.name,
            session.role,
            "csv",
            detail={k: str(v) for k, v in search.model_dump(exclude_defaults=True).items()},
        )
    name = f'attachment; filename="claims-{clock.now():%Y%m%d-%H%M}.csv"'
    return StreamingResponse(
        _rows(desk, search), media_type="text/csv; charset=utf-8", headers={"content-disposition": name}
    )


_COLUMNS = [
    "merchant",
    "claim_id",
    "order_id",
    "customer_id",
    "reason",
    "state",
    "outcome",
    "refunded",
    "currency",
    "first_seen",
    "since",
    "due",
    "clauses",
    "policy",
]


async def _rows(desk: TheDesk, search: Search) -> AsyncIterator[str]:
    yield "\ufeff" + _line(_COLUMNS)
    for _ in range(CSV_ROWS // 1000):
        async with desk.pool.acquire(timeout=5) as conn:
            found = await queries.claims(conn, search, 1000)
        yield "".join(_line(_cells(claim)) for claim in found)
        if len(found) < 1000:
            return
        by_due = search.due_before_ms is not None
        search = search.model_copy(update={"after": _place(_name(found[-1], by_due=by_due))})


def _cells(claim: ClaimBrief) -> list[str]:
    return [
        claim.merchant,
        claim.claim_id,
        claim.order_id,
        claim.customer_id or "",
        claim.reason or "",
        claim.state,
        claim.outcome or "",
        text(claim.refunded, claim.currency) if claim.currency else "",
        claim.currency or "",
        _instant(claim.first_ms),
        _instant(claim.since_ms),
        "" if claim.due_ms is None else _instant(claim.due_ms),
        " ".join(claim.clauses),
        claim.policy or "",
    ]


def _line(cells: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([harmless(cell) for cell in cells])
    return out.getvalue()


def harmless(cell: str) -> str:
    """A cell that a spreadsheet takes for text: ids come from outside, and `=…` would be a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def _search(
    q: str, merchant: str, reason: str, state: str, outcome: str, clause: str, older: str, due: str, now: datetime
) -> Search:
    age = parse_duration(older) if older else None
    now_ms = int(now.timestamp() * 1000)
    return Search(
        q=_id(q),
        merchant=_id(merchant),
        reason=reason,
        state=state,
        outcome=outcome,
        clause=clause,
        older_than_ms=None if age is None else now_ms - int(age / timedelta(milliseconds=1)),
        due_before_ms=now_ms if due == "past" else None,
        stuck_before_ms=now_ms - STUCK_MS if due == "stuck" else None,
    )


def _id(text_: str) -> str:
    """As ids are stored, so that one typed with Persian digits is found."""
    try:
        return normalise_id(text_.strip()) if text_.strip() else ""
    except ValueError:
        return "\u2014"


def _name(claim: ClaimBrief, *, by_due: bool) -> str:
    first = claim.due_ms if by_due and claim.due_ms is not None else claim.first_ms
    return f"{first}~{claim.merchant}~{claim.claim_id}"


def _place(after: str) -> tuple[int, str, str] | None:
    ms, _, rest = after.partition("~")
    merchant, _, claim_id = rest.partition("~")
    return (int(ms), merchant, claim_id) if ms.isascii() and ms.isdigit() and len(ms) < 19 and claim_id else None
