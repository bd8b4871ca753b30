"""Intake's SQL: one function a query.

Rows are taken in one order everywhere, table by table (seen, order_state, claim) and by key within a table, so that two
transactions wait for each other, but not in a ring; but for one: two that make the same order at once, where one of
them locks older orders too. Postgres ends that by refusing one, which is tried again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import ormsgpack
from asyncpg import Record as Row

from services.intake.desk import ClaimKey, OrderKey
from shared.arrays import byte_strings, integers, texts, texts_or_null
from shared.bus import Record
from shared.db import Conn

WaitingRow = tuple[OrderKey, str, int, datetime | None, Record]
"""Order, claim id, lane, until, record."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record that waits: a parked claim (`until`), or something about a claim that is not admitted yet."""

    ref: int
    order: OrderKey
    claim_id: str
    lane: int
    until: datetime | None
    record: Record


async def mark_seen(conn: Conn, marks: Mapping[bytes, bytes], now: datetime) -> dict[bytes, bytes]:
    """Put keys with their digests in the inbox; return those that were there, with the digests they have."""
    keys = sorted(marks)
    fresh = await conn.fetch(
        "INSERT INTO seen (key, digest, seen_at) "
        "SELECT k, d, $3 FROM unnest($1::text::bytea[], $2::text::bytea[]) AS u (k, d) "
        "ON CONFLICT DO NOTHING RETURNING key",
        byte_strings(keys),
        byte_strings([marks[key] for key in keys]),
        now,
    )
    if len(fresh) == len(keys):
        return {}
    known = set(keys) - {row["key"] for row in fresh}
    rows = await conn.fetch("SELECT key, digest FROM seen WHERE key = ANY($1::bytea[])", list(known))
    return {row["key"]: row["digest"] for row in rows}


async def unmark_seen(conn: Conn, keys: Iterable[bytes]) -> None:
    """Take keys out of the inbox: what they stood for was dead-lettered."""
    await conn.execute("DELETE FROM seen WHERE key = ANY($1::bytea[])", sorted(keys))


async def remark_seen(conn: Conn, marks: Mapping[bytes, bytes], now: datetime) -> None:
    """Give keys another digest: what came first was dead-lettered, and something else has taken its id."""
    keys = sorted(marks)
    await conn.execute(
        "INSERT INTO seen (key, digest, seen_at) "
        "SELECT k, d, $3 FROM unnest($1::text::bytea[], $2::text::bytea[]) AS u (k, d) "
        "ON CONFLICT (key) DO UPDATE SET digest = excluded.digest",
        byte_strings(keys),
        byte_strings([marks[key] for key in keys]),
        now,
    )


async def lock_orders(conn: Conn, orders: Collection[OrderKey]) -> tuple[dict[OrderKey, str], set[OrderKey]]:
    """Lock the orders' rows, made where missing; return the states of those that were there, and the new ones."""
    keys = sorted(orders)
    states = await _lock_known_orders(conn, keys)
    missing = [key for key in keys if key not in states]
    if not missing:
        return states, set()
    rows = await conn.fetch(
        "INSERT INTO order_state (merchant, order_id) SELECT * FROM unnest($1::text::text[], $2::text::text[]) "
        "ON CONFLICT DO NOTHING RETURNING merchant, order_id",
        texts([merchant for merchant, _ in missing]),
        texts([order_id for _, order_id in missing]),
    )
    fresh = {(row["merchant"], row["order_id"]) for row in rows}
    made_by_another = [key for key in missing if key not in fresh]
    if made_by_another:
        states |= await _lock_known_orders(conn, made_by_another)
    return states, fresh


async def _lock_known_orders(conn: Conn, keys: Sequence[OrderKey]) -> dict[OrderKey, str]:
    rows = await conn.fetch(
        "SELECT o.merchant, o.order_id, o.state "
        "FROM unnest($1::text::text[], $2::text::text[]) WITH ORDINALITY AS u (m, i, n) "
        "JOIN order_state o ON o.merchant = u.m AND o.order_id = u.i ORDER BY u.n FOR UPDATE OF o",
        texts([merchant for merchant, _ in keys]),
        texts([order_id for _, order_id in keys]),
    )
    return {(row["merchant"], row["order_id"]): row["state"] for row in rows}


async def save_orders(conn: Conn, states: Mapping[OrderKey, str]) -> None:
    """Write the states of locked orders."""
    keys = list(states)
    await conn.execute(
        "UPDATE order_state o SET state = u.s "
        "FROM unnest($1::text::text[], $2::text::text[], $3::text[]) AS u (m, i, s) "
        "WHERE o.merchant = u.m AND o.order_id = u.i",
        texts([merchant for merchant, _ in keys]),
        texts([order_id for _, order_id in keys]),
        list(states.values()),
    )


async def lock_claims(
    conn: Conn, claims: Mapping[ClaimKey, str | None]
) -> tuple[dict[ClaimKey, str | None], set[ClaimKey]]:
    """Lock the claims' rows, made where they were missing, with the order that the claim will have if it is admitted.

    Returns the orders of the claims that were there (null: not admitted), and the new ones.
    """
    keys = sorted(claims)
    merchants, ids = texts([merchant for merchant, _ in keys]), texts([claim_id for _, claim_id in keys])
    rows = await conn.fetch(
        "INSERT INTO claim (merchant, claim_id, order_id) "
        "SELECT * FROM unnest($1::text::text[], $2::text::text[], $3::text::text[]) "
        "ON CONFLICT DO NOTHING RETURNING merchant, claim_id",
        merchants,
        ids,
        texts_or_null(claims[key] for key in keys),
    )
    fresh = {(row["merchant"], row["claim_id"]) for row in rows}
    if len(fresh) == len(keys):
        return {}, fresh
    rows = await conn.fetch(
        "SELECT c.merchant, c.claim_id, c.order_id "
        "FROM unnest($1::text::text[], $2::text::text[]) WITH ORDINALITY AS u (m, i, n) "
        "JOIN claim c ON c.merchant = u.m AND c.claim_id = u.i ORDER BY u.n FOR UPDATE OF c",
        merchants,
        ids,
    )
    orders = {(row["merchant"], row["claim_id"]): row["order_id"] for row in rows}
    return {key: order for key, order in orders.items() if key not in fresh}, fresh


async def save_claims(conn: Conn, claims: Mapping[ClaimKey, str | None]) -> None:
    """Write which order locked claims were admitted for."""
    keys = list(claims)
    await conn.execute(
        "UPDATE claim c SET order_id = u.o "
        "FROM unnest($1::text::text[], $2::text::text[], $3::text::text[]) AS u (m, i, o) "
        "WHERE c.merchant = u.m AND c.claim_id = u.i",
        texts([merchant for merchant, _ in keys]),
        texts([claim_id for _, claim_id in keys]),
        texts_or_null(claims.values()),
    )


async def waiting_for_orders(conn: Conn, orders: Collection[OrderKey]) -> list[Waiting]:
    """Everything that names these orders and waits."""
    rows = await conn.fetch(
        "SELECT w.* FROM waiting w JOIN unnest($1::text::text[], $2::text::text[]) AS u (m, i) "
        "ON w.merchant = u.m AND w.order_id = u.i ORDER BY w.id",
        texts([merchant for merchant, _ in orders]),
        texts([order_id for _, order_id in orders]),
    )
    return [_waiting(row) for row in rows]


async def waiting_for_claims(conn: Conn, claims: Collection[ClaimKey]) -> list[Waiting]:
    """Everything that waits for claims of these ids, and the parked claims of these ids."""
    rows = await conn.fetch(
        "SELECT w.* FROM waiting w JOIN unnest($1::text::text[], $2::text::text[]) AS u (m, i) "
        "ON w.merchant = u.m AND w.claim_id = u.i ORDER BY w.id",
        texts([merchant for merchant, _ in claims]),
        texts([claim_id for _, claim_id in claims]),
    )
    return [_waiting(row) for row in rows]


async def orders_overdue(conn: Conn, lanes: Sequence[int], now: datetime, limit: int) -> dict[OrderKey, int]:
    """Orders that did not come within the parking time of a claim parked in one of these lanes, with that lane."""
    rows = await conn.fetch(
        "SELECT merchant, order_id, lane FROM waiting WHERE lane = ANY($1::int[]) AND until <= $2 "
        "ORDER BY until, id LIMIT $3",
        lanes,
        now,
        limit,
    )
    return {(row["merchant"], row["order_id"]): row["lane"] for row in reversed(rows)}


async def save_waiting(conn: Conn, records: Sequence[WaitingRow], now: datetime) -> None:
    """Let records wait, in the order given."""
    await conn.execute(
        "INSERT INTO waiting (merchant, order_id, claim_id, lane, until, came_at, record) "
        "SELECT m, o, c, l, t, $7, r FROM unnest($1::text::text[], $2::text::text[], $3::text::text[], "
        "$4::text::int[], $5::text::timestamptz[], $6::bytea[]) WITH ORDINALITY AS u (m, o, c, l, t, r, n) ORDER BY n",
        texts([order[0] for order, _, _, _, _ in records]),
        texts([order[1] for order, _, _, _, _ in records]),
        texts([claim_id for _, claim_id, _, _, _ in records]),
        integers(lane for _, _, lane, _, _ in records),
        texts_or_null(until.isoformat() if until else None for _, _, _, until, _ in records),
        [_pack(record) for _, _, _, _, record in records],
        now,
    )


async def delete_waiting(conn: Conn, refs: Sequence[int]) -> None:
    """Remove what waits no longer."""
    await conn.execute("DELETE FROM waiting WHERE id = ANY($1::bigint[])", refs)


async def parked(conn: Conn, lanes: Sequence[int], most: int) -> int:
    """How many claims of these lanes wait for their order, counted up to `most`."""
    found: int = await conn.fetchval(
        "SELECT count(*) FROM ("
        "SELECT FROM waiting WHERE until IS NOT NULL AND lane = ANY($1::int[]) LIMIT $2) AS found",
        lanes,
        most,
    )
    return found


async def first_until(conn: Conn, lanes: Sequence[int]) -> datetime | None:
    """The first end of a parking time in these lanes, past or to come."""
    found: datetime | None = await conn.fetchval(
        "SELECT min(w.until) FROM unnest($1::int[]) AS u (lane), LATERAL ("
        "SELECT until FROM waiting WHERE lane = u.lane AND until IS NOT NULL ORDER BY until LIMIT 1) AS w",
        lanes,
    )
    return found


@dataclass(slots=True)
class _Raw:
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def _pack(record: Record) -> bytes:
    return ormsgpack.packb(
        (
            record.topic,
            record.partition,
            record.offset,
            record.timestamp_ms,
            record.key,
            record.value,
            record.headers,
        )
    )


def _waiting(row: Row) -> Waiting:
    topic, partition, offset, timestamp, key, value, headers = ormsgpack.unpackb(row["record"])
    raw = _Raw(topic, partition, offset, timestamp, key, value, tuple((name, each) for name, each in headers))
    order = (row["merchant"], row["order_id"])
    return Waiting(row["id"], order, row["claim_id"], row["lane"], row["until"], Record.of(raw))
