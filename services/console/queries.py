"""The SQL of claims, their events and the figures: one function a query, each by an index."""

from collections.abc import Sequence

from pydantic import BaseModel

from services.console.facts import ClaimFacts
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


async def policies_seen(conn: Conn) -> list[tuple[str, int, str, int]]:
    """Policy id, version, digest and first use of every policy that was applied."""
    rows = await conn.fetch("SELECT policy_id, version, digest, first_ms FROM policy_seen ORDER BY 1, 2, 4")
    return [(r["policy_id"], r["version"], r["digest"], r["first_ms"]) for r in rows]


async def unfolded(conn: Conn) -> int:
    """How many records could not be folded (1,000 at most)."""
    n: int = await conn.fetchval("SELECT count(*) FROM (SELECT FROM unfolded LIMIT 1000) AS found")
    return n
