"""Eligibility's SQL: one function a query."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from shared.arrays import integers, texts
from shared.db import Conn

OrderKey: TypeAlias = tuple[str, str]
"""Merchant, order id."""
ClaimKey: TypeAlias = tuple[str, str, str]
"""Merchant, order id, claim id."""
PolicyKey: TypeAlias = tuple[str, int]
"""Merchant, version."""


StateRow: TypeAlias = tuple[str, str, str, int, int, datetime | None, str]
"""A claim's row: its key, lane, revision, due, and the state as JSON."""

_COLUMNS: Final = ("merchant", "order_id", "claim_id", "lane", "revision", "due", "state")


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
    """The states of all claims of these orders, not locked: the fence lets one process write in a lane."""
    keys = sorted(orders)
    rows = await conn.fetch(
        "SELECT c.merchant, c.order_id, c.claim_id, c.state "
        "FROM unnest($1::text::text[], $2::text::text[]) AS u (m, o) "
        "JOIN claim_state c ON c.merchant = u.m AND c.order_id = u.o "
        "ORDER BY c.merchant, c.order_id, c.claim_id",
        texts([merchant for merchant, _ in keys]),
        texts([order_id for _, order_id in keys]),
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


async def add_states(conn: Conn, rows: Sequence[StateRow]) -> None:
    """Write the rows of claims that have none yet."""
    await conn.copy_records_to_table("claim_state", records=rows, columns=_COLUMNS)


async def change_states(conn: Conn, rows: Sequence[StateRow]) -> None:
    """Write rows anew, in one statement."""
    await conn.execute(
        "UPDATE claim_state c SET lane = u.lane, revision = u.revision, due = u.due, state = u.state "
        "FROM unnest($1::text::text[], $2::text::text[], $3::text::text[], $4::text::int[], $5::text::int[], "
        "$6::timestamptz[], $7::text[]) "
        "AS u (merchant, order_id, claim_id, lane, revision, due, state) "
        "WHERE c.merchant = u.merchant AND c.order_id = u.order_id AND c.claim_id = u.claim_id",
        texts([row[0] for row in rows]),
        texts([row[1] for row in rows]),
        texts([row[2] for row in rows]),
        integers(row[3] for row in rows),
        integers(row[4] for row in rows),
        [row[5] for row in rows],
        [row[6] for row in rows],
    )
