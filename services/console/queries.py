"""The SQL of the screens: one function a query, each by an index."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import asyncpg
import ormsgpack
from pydantic import BaseModel

from services.console.facts import ClaimFacts
from services.console.letters import Letter
from services.console.store import Entry
from shared.db import Conn

PAGE = 50
ORDER_EVENTS = 5000
"""Most events of one order that a page reads."""


class ClaimBrief(BaseModel):
    """A claim in a list. `refunded` in minor units of `currency`."""

    merchant: str
    claim_id: str
    order_id: str
    customer_id: str | None
    reason: str | None
    currency: str | None
    first_ms: int
    state: str
    since_ms: int
    stuck_ms: int | None
    due_ms: int | None
    outcome: str | None
    refunded: int
    clauses: list[str]
    policy: str | None


class Search(BaseModel):
    """What claims are looked for; `after` is the place after which a page begins."""

    q: str = ""
    merchant: str = ""
    reason: str = ""
    state: str = ""
    outcome: str = ""
    clause: str = ""
    older_than_ms: int | None = None
    due_before_ms: int | None = None
    stuck_before_ms: int | None = None
    after: tuple[int, str, str] | None = None


_BRIEF = (
    "merchant, claim_id, order_id, customer_id, reason, currency, first_ms, state, since_ms, stuck_ms, due_ms, "
    "outcome, refunded, clauses, policy"
)


async def claims(conn: Conn, search: Search, limit: int = PAGE) -> list[ClaimBrief]:
    """Claims that fit all of the search, the latest first (past due: the longest due first)."""
    where: list[str] = []
    values: list[object] = []

    def add(condition: str, value: object) -> None:
        values.append(value)
        where.append(condition.replace("?", f"${len(values)}"))

    if search.q:
        add("(claim_id = ? OR order_id = ? OR customer_id = ?)", search.q)
    for column in ("merchant", "reason", "state", "outcome"):
        if value := getattr(search, column):
            add(f"{column} = ?", value)
    if search.clause:
        add("clauses @> ARRAY[?]::text[]", search.clause)
    if search.older_than_ms is not None:
        add("first_ms <= ?", search.older_than_ms)
    if search.stuck_before_ms is not None:
        add("stuck_ms < ?", search.stuck_before_ms)
    order = "first_ms DESC, merchant DESC, claim_id DESC"
    if search.due_before_ms is not None:
        add("due_ms < ?", search.due_before_ms)
        order = "due_ms, merchant, claim_id"
    if search.after is not None:
        key = (
            "(due_ms, merchant, claim_id) >" if search.due_before_ms is not None else "(first_ms, merchant, claim_id) <"
        )
        n = len(values)
        values.extend(search.after)
        where.append(f"{key} (${n + 1}, ${n + 2}, ${n + 3})")
    values.append(limit)
    rows = await conn.fetch(
        f"SELECT {_BRIEF} FROM claim {'WHERE ' if where else ''}{' AND '.join(where)} "  # noqa: S608 - columns are ours
        f"ORDER BY {order} LIMIT ${len(values)}",
        *values,
    )
    return [ClaimBrief(**dict(row)) for row in rows]


async def waiting(conn: Conn, state: str, limit: int, *, by_due: bool) -> list[tuple[ClaimBrief, ClaimFacts]]:
    """Claims in a state, the longest waiting (or the longest due) first, with what is known of them."""
    order = f"{'coalesce(due_ms, since_ms)' if by_due else 'since_ms'}, merchant, claim_id"
    rows = await conn.fetch(
        f"SELECT {_BRIEF}, facts FROM claim WHERE state = $1 "  # noqa: S608 - columns are ours
        f"AND state IN ('awaiting_delivery', 'awaiting_seller', 'awaiting_return', 'review') ORDER BY {order} LIMIT $2",
        state,
        limit,
    )
    return [
        (ClaimBrief(**{k: v for k, v in row.items() if k != "facts"}), ClaimFacts.model_validate_json(row["facts"]))
        for row in rows
    ]


async def stuck(conn: Conn, before_ms: int) -> tuple[ClaimBrief | None, int]:
    """The claim that has waited longest for the pipeline itself, and how many there are (1,000 at most)."""
    row = await conn.fetchrow(
        f"SELECT {_BRIEF} FROM claim WHERE stuck_ms < $1 ORDER BY stuck_ms LIMIT 1",  # noqa: S608 - columns are ours
        before_ms,
    )
    if row is None:
        return None, 0
    n = await conn.fetchval(
        "SELECT count(*) FROM (SELECT FROM claim WHERE stuck_ms < $1 LIMIT 1000) AS found", before_ms
    )
    return ClaimBrief(**dict(row)), n


async def overdue(conn: Conn, now_ms: int) -> int:
    """How many claims are past due (10,000 at most)."""
    n: int = await conn.fetchval(
        "SELECT count(*) FROM (SELECT FROM claim WHERE due_ms < $1 LIMIT 10000) AS found", now_ms
    )
    return n


_ENTRY = (
    "e.topic, e.lane, e.record_offset, e.at_ms, e.merchant, e.order_id, e.claim_id, e.type, e.source, e.event_id, "
    "e.traceparent, e.structured, e.value"
)


async def entries(conn: Conn, merchant: str, order_id: str) -> list[Entry]:
    """Every event about an order."""
    rows = await conn.fetch(
        f"SELECT {_ENTRY} FROM entry e WHERE e.merchant = $1 AND e.order_id = $2 LIMIT $3",  # noqa: S608 - columns are ours
        merchant,
        order_id,
        ORDER_EVENTS,
    )
    return [Entry(*row) for row in rows]


async def entries_of_claim(conn: Conn, merchant: str, claim_id: str) -> list[Entry]:
    """Every event about the order that a claim is about."""
    rows = await conn.fetch(
        f"SELECT {_ENTRY} FROM entry e JOIN claim c USING (merchant, order_id) "  # noqa: S608 - columns are ours
        "WHERE c.merchant = $1 AND c.claim_id = $2 LIMIT $3",
        merchant,
        claim_id,
        ORDER_EVENTS,
    )
    return [Entry(*row) for row in rows]


async def entries_of_orders(
    conn: Conn, orders: Sequence[tuple[str, str]], types: Sequence[str]
) -> dict[tuple[str, str], list[Entry]]:
    """The events of some types about orders (merchant, order id)."""
    rows = await conn.fetch(
        f"SELECT {_ENTRY} FROM entry e JOIN unnest($1::text[], $2::text[]) AS k (merchant, order_id) "  # noqa: S608
        "USING (merchant, order_id) WHERE e.type = ANY($3::text[]) LIMIT $4",
        [merchant for merchant, _ in orders],
        [order_id for _, order_id in orders],
        list(types),
        ORDER_EVENTS * len(orders),
    )
    found: dict[tuple[str, str], list[Entry]] = {order: [] for order in orders}
    for row in rows:
        found[row["merchant"], row["order_id"]].append(Entry(*row))
    return found


async def counters(conn: Conn) -> dict[str, int]:
    """All counters."""
    return {row["name"]: row["n"] for row in await conn.fetch("SELECT name, n FROM counter")}


async def tempo(conn: Conn, from_minute: int) -> list[tuple[int, str, int, int]]:
    """Minute, stage, bucket, count from a minute on."""
    rows = await conn.fetch("SELECT minute, stage, bucket, n FROM tempo WHERE minute >= $1", from_minute)
    return [(row["minute"], row["stage"], row["bucket"], row["n"]) for row in rows]


async def resolved(conn: Conn) -> dict[str, int]:
    """How many dead letters of each service were redriven or dropped."""
    rows = await conn.fetch(
        "SELECT l.service, count(*) AS n FROM resolution r JOIN letter l USING (topic, lane, record_offset) GROUP BY 1"
    )
    return {row["service"]: row["n"] for row in rows}


class LetterGroup(BaseModel):
    """Dead letters of one kind of fault."""

    fingerprint: str
    service: str
    origin_topic: str
    type: str
    path: str
    reason: str
    first_ms: int
    last_ms: int
    open: int
    redriven: int
    dropped: int


async def letter_groups(conn: Conn, *, only_open: bool, limit: int = 200) -> list[LetterGroup]:
    """Dead letters by fingerprint, those that came last first; `reason` is that of one of them."""
    rows = await conn.fetch(
        """
        SELECT l.fingerprint, min(l.service) AS service, min(l.origin_topic) AS origin_topic, min(l.type) AS type,
               min(l.path) AS path, min(l.reason) AS reason, min(l.at_ms) AS first_ms, max(l.at_ms) AS last_ms,
               count(*) FILTER (WHERE r.what IS NULL) AS open,
               count(*) FILTER (WHERE r.what = 'redriven') AS redriven,
               count(*) FILTER (WHERE r.what = 'dropped') AS dropped
        FROM letter l LEFT JOIN resolution r USING (topic, lane, record_offset)
        GROUP BY l.fingerprint HAVING NOT $1 OR count(*) FILTER (WHERE r.what IS NULL) > 0
        ORDER BY max(l.at_ms) DESC LIMIT $2
        """,
        only_open,
        limit,
    )
    return [LetterGroup(**dict(row)) for row in rows]


class Resolution(BaseModel):
    """What became of a dead letter."""

    what: Literal["redriven", "dropped"]
    actor: str
    reason: str
    at: datetime


async def letters(
    conn: Conn, fingerprint: str, *, only_open: bool = False, limit: int = PAGE, lock: bool = False
) -> list[tuple[Letter, Resolution | None]]:
    """Dead letters of a fingerprint, the oldest first. `lock`: keep others from acting on them meanwhile."""
    rows = await conn.fetch(
        f"""
        SELECT l.*, r.what, r.actor, r.reason AS why, r.at FROM letter l
        LEFT JOIN resolution r USING (topic, lane, record_offset)
        WHERE l.fingerprint = $1 {"AND r.what IS NULL" if only_open else ""}
        ORDER BY l.at_ms, l.topic, l.lane, l.record_offset LIMIT $2 {"FOR UPDATE OF l" if lock else ""}
        """,  # noqa: S608 - nothing of it comes from outside
        fingerprint,
        limit,
    )
    return [(_letter(row), _resolution(row)) for row in rows]


def _letter(row: asyncpg.Record) -> Letter:
    return Letter(
        topic=row["topic"],
        lane=row["lane"],
        offset=row["record_offset"],
        at_ms=row["at_ms"],
        service=row["service"],
        origin_topic=row["origin_topic"],
        origin_lane=row["origin_lane"],
        origin_offset=row["origin_offset"],
        type=row["type"],
        subject=row["subject"],
        reason=row["reason"],
        path=row["path"],
        attempts=row["attempts"],
        refused_ms=row["refused_ms"],
        key=row["key"],
        value=row["value"],
        headers=tuple((name, value) for name, value in ormsgpack.unpackb(row["headers"])),
    )


def _resolution(row: asyncpg.Record) -> Resolution | None:
    if row["what"] is None:
        return None
    return Resolution(what=row["what"], actor=row["actor"], reason=row["why"], at=row["at"])


async def resolve(
    conn: Conn, found: Sequence[Letter], what: Literal["redriven", "dropped"], actor: str, reason: str, at: datetime
) -> None:
    """Note what became of dead letters."""
    await conn.executemany(
        "INSERT INTO resolution VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [(x.topic, x.lane, x.offset, what, actor, reason, at) for x in found],
    )


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


async def policies_seen(conn: Conn) -> list[tuple[str, int, str, int]]:
    """Policy id, version, digest and first use of every policy that was applied."""
    rows = await conn.fetch("SELECT policy_id, version, digest, first_ms FROM policy_seen ORDER BY 1, 2, 4")
    return [(r["policy_id"], r["version"], r["digest"], r["first_ms"]) for r in rows]


async def unfolded(conn: Conn) -> int:
    """How many records could not be folded (1,000 at most)."""
    n: int = await conn.fetchval("SELECT count(*) FROM (SELECT FROM unfolded LIMIT 1000) AS found")
    return n
