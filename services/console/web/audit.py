"""Audit: who did what when."""

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from services.console import deeds, queries
from services.console.deeds import AuditRow
from services.console.web import formats
from services.console.web.desk import Staff, TheDesk, answer, both, words_of
from shared.events.fields import normalise_amount
from shared.money import MoneyError

router = APIRouter(tags=["audit"])

ACTIONS = (
    "claim.reviewed.v1",
    "seller.answered.v1",
    "return.received.v1",
    "redrive",
    "drop",
    "unmask",
    "raw_unmasked",
    "dead_letters_read",
    "csv",
    "backtest",
    "sign_in",
    "sign_in_failed",
    "sign_out",
)


class AuditPage(BaseModel):
    """What people did, the latest first. `next`: what to give as `before` for the page after this one, or null."""

    actor: str
    action: str
    rows: list[AuditRow]
    next: int | None


@router.get("/audit", response_model=None, responses=both(AuditPage))
async def audit_page(
    request: Request,
    desk: TheDesk,
    _: Staff,
    actor: Annotated[str, Query(max_length=200)] = "",
    action: Annotated[str, Query(max_length=50)] = "",
    before: int | None = None,
) -> Response:
    """By person and action. The rows are only ever added."""
    async with desk.pool.acquire(timeout=5) as conn:
        rows = await deeds.audit(conn, actor=actor.strip(), action=action, before=before, limit=queries.PAGE + 1)
    shown = rows[: queries.PAGE]
    page = AuditPage(actor=actor, action=action, rows=shown, next=shown[-1].id if len(rows) > queries.PAGE else None)
    language = words_of(request).language
    values = {
        "actions": ACTIONS,
        "tree_of": tree_of,
        "amt_typed": lambda amount, currency: typed(amount, currency, language),
    }
    return answer(request, "audit.html", page, values)


def tree_of(text: str) -> object:
    """What a detail says, where it is JSON; None where it is not (any more: long ones are cut)."""
    try:
        tree: object = json.loads(text)
    except ValueError:
        return None
    return tree


def typed(amount: object, currency: object, language: str) -> str:
    """An amount as a person typed it, in the reader's form; as it is, where it is none."""
    try:
        return formats.amount_of(normalise_amount(str(amount)), str(currency), language)
    except (MoneyError, ValueError):
        return formats.visible(f"{amount} {currency}")
