"""The SQL of what people did: the audit, and who has acted on which standing of a claim."""

import json
from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from services.console.queries import PAGE
from shared.db import Conn


class AuditRow(BaseModel):
    """Who did what."""

    id: int
    at: datetime
    actor: str
    role: str
    action: str
    merchant: str | None
    claim_id: str | None
    subject: str | None
    detail: dict[str, str]


async def audit(
    conn: Conn,
    *,
    actor: str = "",
    action: str = "",
    claim: tuple[str, str] | None = None,
    before: int | None = None,
    limit: int = PAGE,
) -> list[AuditRow]:
    """What people did, the latest first."""
    rows = await conn.fetch(
        "SELECT * FROM audit WHERE ($1 = '' OR actor = $1) AND ($2 = '' OR action = $2) "
        "AND ($3::text IS NULL OR (merchant = $3 AND claim_id = $4)) AND ($5::bigint IS NULL OR id < $5) "
        "ORDER BY id DESC LIMIT $6",
        actor,
        action,
        None if claim is None else claim[0],
        None if claim is None else claim[1],
        before,
        limit,
    )
    return [AuditRow(**{**dict(row), "detail": json.loads(row["detail"])}) for row in rows]


async def note(
    conn: Conn,
    at: datetime,
    actor: str,
    role: str,
    action: str,
    *,
    merchant: str | None = None,
    claim_id: str | None = None,
    subject: str | None = None,
    detail: dict[str, str] | None = None,
) -> None:
    """Write a row of the audit."""
    clean = {key: value.replace("\0", "␀") for key, value in (detail or {}).items()}
    await conn.execute(
        "INSERT INTO audit (at, actor, role, action, merchant, claim_id, subject, detail) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        at,
        actor.replace("\0", "␀"),
        role,
        action,
        merchant,
        claim_id,
        subject,
        json.dumps(clean, ensure_ascii=False),
    )


async def take(
    conn: Conn, merchant: str, claim_id: str, standing: str, event_id: str, actor: str, at: datetime
) -> bool:
    """Note a person's action on one standing of a claim; False when somebody has already acted on it."""
    done = await conn.execute(
        "INSERT INTO action_taken VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        merchant,
        claim_id,
        standing,
        event_id,
        actor,
        at,
    )
    return done.endswith(" 1")


async def taken(conn: Conn, keys: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str, str], tuple[str, datetime]]:
    """Who acted when on which standing, of the standings asked for."""
    rows = await conn.fetch(
        "SELECT a.merchant, a.claim_id, a.standing, a.actor, a.at FROM action_taken a "
        "JOIN unnest($1::text[], $2::text[], $3::text[]) AS k (merchant, claim_id, standing) "
        "USING (merchant, claim_id, standing)",
        [k[0] for k in keys],
        [k[1] for k in keys],
        [k[2] for k in keys],
    )
    return {(r["merchant"], r["claim_id"], r["standing"]): (r["actor"], r["at"]) for r in rows}
