"""Eligibility's SQL: one function a query."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from shared.db import Conn

OrderKey: TypeAlias = tuple[str, str]
"""Merchant, order id."""
ClaimKey: TypeAlias = tuple[str, str, str]
"""Merchant, order id, claim id."""
PolicyKey: TypeAlias = tuple[str, int]
"""Merchant, version."""


@dataclass(frozen=True, slots=True)
class StateRow:
    """A claim's row; `state` is JSON."""

    key: ClaimKey
    lane: int
    revision: int
    due: datetime | None
    state: str


async def policies_used(conn: Conn) -> dict[PolicyKey, str]:
    """The policy versions that govern claims of this database; the digest of each."""
    rows = await conn.fetch("SELECT merchant, version, digest FROM policy_used")
    return {(row["merchant"], row["version"]): row["digest"] for row in rows}


async def note_policies(conn: Conn, used: Mapping[PolicyKey, str], now: datetime) -> None:
    """Keep versions that are used for the first time; one that another process has noted already stays as it is."""
    keys = sorted(used)
    await conn.execute(
        "INSERT INTO policy_used (merchant, version, digest, since) "
        "SELECT u.*, $4 FROM unnest($1::text[], $2::int[], $3::text[]) AS u ON CONFLICT DO NOTHING",
        [merchant for merchant, _ in keys],
        [version for _, version in keys],
        [used[key] for key in keys],
        now,
    )


async def states_of_orders(conn: Conn, orders: Collection[OrderKey]) -> dict[ClaimKey, str]:
    """Lock the rows of all claims of these orders; their states."""
    keys = sorted(orders)
    rows = await conn.fetch(
        "SELECT c.merchant, c.order_id, c.claim_id, c.state FROM unnest($1::text[], $2::text[]) AS u (m, o) "
        "JOIN claim_state c ON c.merchant = u.m AND c.order_id = u.o "
        "ORDER BY c.merchant, c.order_id, c.claim_id FOR UPDATE OF c",
        [merchant for merchant, _ in keys],
        [order_id for _, order_id in keys],
    )
    return {(row["merchant"], row["order_id"], row["claim_id"]): row["state"] for row in rows}


async def states_due(conn: Conn, lanes: Sequence[int], now: datetime, limit: int) -> dict[ClaimKey, tuple[int, str]]:
    """Lock the rows whose due time has passed, the oldest first; lane and state of each."""
    rows = await conn.fetch(
        "SELECT merchant, order_id, claim_id, lane, state FROM claim_state WHERE lane = ANY($1::int[]) AND due < $2 "
        "ORDER BY due, merchant, order_id, claim_id LIMIT $3 FOR UPDATE",
        lanes,
        now,
        limit,
    )
    return {(row["merchant"], row["order_id"], row["claim_id"]): (row["lane"], row["state"]) for row in rows}


async def first_due(conn: Conn, lanes: Sequence[int]) -> datetime | None:
    """The first due time of these lanes, past or to come."""
    found: datetime | None = await conn.fetchval(
        "SELECT min(c.due) FROM unnest($1::int[]) AS u (lane), LATERAL ("
        "SELECT due FROM claim_state WHERE lane = u.lane AND due IS NOT NULL ORDER BY due LIMIT 1) AS c",
        lanes,
    )
    return found


async def save_states(conn: Conn, rows: Sequence[StateRow]) -> None:
    """Write rows, new or changed, in one statement."""
    await conn.execute(
        "INSERT INTO claim_state (merchant, order_id, claim_id, lane, revision, due, state) "
        "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::int[], $6::timestamptz[], $7::text[]) "
        "ON CONFLICT (merchant, order_id, claim_id) DO UPDATE "
        "SET lane = excluded.lane, revision = excluded.revision, due = excluded.due, state = excluded.state",
        [row.key[0] for row in rows],
        [row.key[1] for row in rows],
        [row.key[2] for row in rows],
        [row.lane for row in rows],
        [row.revision for row in rows],
        [row.due for row in rows],
        [row.state for row in rows],
    )
