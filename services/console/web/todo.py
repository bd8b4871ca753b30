"""To do: what a person must decide, whom to ask and to chase, what must come back; and the actions themselves."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.console import deeds, queries
from services.console.actions import Asked, Refused, act, inspection, reviewed
from services.console.case import MONEY, left_of, read_all
from services.console.domain import basis_of_action
from services.console.errands import doing
from services.console.facts import ClaimFacts
from services.console.queries import ClaimBrief
from services.console.web.claim import show
from services.console.web.desk import Anybody, Checked, Desk, Staff, TheDesk, answer, both, claim_path, wants_json
from services.console.web.sessions import Session
from shared import clock
from shared.db import Conn
from shared.events import ReadingShown

router = APIRouter(tags=["to do"])

SHOWN = 20


class Task(BaseModel):
    """A claim that waits for a person. `left`: what is left of the order's payments, in minor units; `acted`: who has
    already acted on it."""

    claim: ClaimBrief
    basis: str
    readings: list[ReadingShown]
    left: int | None
    acted: str | None


class Todo(BaseModel):
    """What is to be done: the first of each, and how many there are in all."""

    reviews: list[Task]
    sellers: list[Task]
    returns: list[Task]
    counts: dict[str, int]


class Done(BaseModel):
    """What was emitted: the review's, answer's or return's id."""

    event_id: str


Short = Annotated[str, Form(max_length=200)]
Long = Annotated[str, Form(max_length=10_000)]


@router.get("/todo", response_model=None, responses=both(Todo))
async def todo_page(request: Request, desk: TheDesk, _: Anybody) -> Response:
    """Everything that waits for a person, the longest waiting and the longest due first."""
    async with desk.pool.acquire(timeout=5) as conn:
        counters = await queries.counters(conn)
        page = Todo(
            reviews=await _tasks(conn, "review", with_left=True),
            sellers=await _tasks(conn, "awaiting_seller"),
            returns=await _tasks(conn, "awaiting_return"),
            counts={
                state: counters.get(f"state:{state}", 0) for state in ("review", "awaiting_seller", "awaiting_return")
            },
        )
    return answer(request, "todo.html", page, {"given": {}, "problem": None})


async def _tasks(conn: Conn, state: str, *, with_left: bool = False) -> list[Task]:
    found = await queries.waiting(conn, state, SHOWN, by_due=state != "review")
    kind = "claim.reviewed.v1" if state == "review" else "seller.answered.v1"
    keys = [(claim.merchant, claim.claim_id, f"{kind}:{basis_of_action(facts)}") for claim, facts in found]
    taken = await deeds.taken(conn, keys)
    orders = {(claim.merchant, claim.order_id) for claim, _ in found} if with_left else set()
    entries = await queries.entries_of_orders(conn, sorted(orders), MONEY) if orders else {}
    tasks = []
    for (claim, facts), key in zip(found, keys, strict=True):
        about = entries.get((claim.merchant, claim.order_id))
        tasks.append(
            Task(
                claim=claim,
                basis=basis_of_action(facts),
                readings=_readings(facts),
                left=None if about is None else left_of(read_all(about), claim.claim_id),
                acted=taken[key][0] if key in taken else None,
            )
        )
    return tasks


def _readings(facts: ClaimFacts) -> list[ReadingShown]:
    if facts.assessment is not None and facts.assessment.readings:
        return facts.assessment.readings
    return facts.referral.readings if facts.referral is not None else []


@router.post("/actions/review", response_model=None, responses=both(Done), dependencies=[Checked])
async def review(
    request: Request,
    desk: TheDesk,
    session: Staff,
    merchant: Short,
    claim_id: Short,
    basis: Short,
    verdict: Annotated[Literal["refund", "replacement", "reject"], Form()],
    reason: Long,
    amount: Short = "",
    currency: Short = "",
) -> Response:
    """Decide a claim: `claim.reviewed.v1`."""
    data = reviewed(currency, session, verdict, amount.strip(), reason.strip(), clock.now())
    asked = Asked("claim.reviewed.v1", merchant, claim_id, basis, data)
    return await _perform(request, desk, session, asked, {"verdict": verdict, "amount": amount, "reason": reason})


@router.post("/actions/answer", response_model=None, responses=both(Done), dependencies=[Checked])
async def seller_answer(
    request: Request,
    desk: TheDesk,
    session: Staff,
    merchant: Short,
    claim_id: Short,
    basis: Short,
    answer: Annotated[Literal["refund_full", "refund_partial", "resend", "require_return", "refuse"], Form()],
    amount: Short = "",
    currency: Short = "",
    note: Long = "",
) -> Response:
    """Record what the seller answered: `seller.answered.v1`."""
    data: dict[str, object] = {"answered_at": clock.now().isoformat(), "answer": answer, "note": note.strip() or None}
    if answer == "refund_partial":
        data["amount"] = {"amount": amount.strip(), "currency": currency}
    asked = Asked("seller.answered.v1", merchant, claim_id, basis, data)
    return await _perform(request, desk, session, asked, {"answer": answer, "amount": amount, "note": note})


@router.post("/actions/return", response_model=None, responses=both(Done), dependencies=[Checked])
async def goods_returned(
    request: Request,
    desk: TheDesk,
    session: Staff,
    merchant: Short,
    claim_id: Short,
    basis: Short,
    carton: Short = "",
    packaging_opened: Short = "",
    seal: Short = "",
    misuse: Short = "",
    fault_confirmed: Short = "",
    regional_variant: Short = "",
    fault: Short = "",
    postage: Short = "",
    paid_by: Short = "",
) -> Response:
    """Record goods that came back, and what the inspection found: `return.received.v1`. The fields `line.<id>` are the
    quantities."""
    form = await request.form()
    lines = [
        {"line_id": name.removeprefix("line."), "quantity": int(value)}
        for name, value in form.items()
        if name.startswith("line.") and isinstance(value, str) and value.isascii() and value.isdigit() and int(value)
    ]
    data: dict[str, object] = {
        "received_at": clock.now().isoformat(),
        "lines": lines,
        "inspection": inspection(carton, packaging_opened, seal, misuse, fault_confirmed, regional_variant),
        "fault": fault or None,
        "postage": {"amount": postage.strip(), "paid_by": paid_by} if postage.strip() else None,
    }
    asked = Asked("return.received.v1", merchant, claim_id, basis, data)
    return await _perform(request, desk, session, asked, {})


async def _perform(request: Request, desk: Desk, session: Session, asked: Asked, given: dict[str, str]) -> Response:
    """One transaction: the event in the outbox, the audit row, and the mark that the claim was acted on."""
    try:
        async with doing(desk.pool) as deed:
            event_id = await act(deed, session, asked)
    except Refused as refused:
        if wants_json(request):
            return JSONResponse({"error": refused.key, **refused.values}, refused.status)
        if refused.status == 404:
            return await show(request, desk, session, asked.merchant, asked.claim_id)
        return await show(request, desk, session, asked.merchant, asked.claim_id, problem=refused, given=given)
    if wants_json(request):
        return JSONResponse(Done(event_id=event_id).model_dump())
    return RedirectResponse(f"{claim_path(asked.merchant, asked.claim_id)}#story", 303)
