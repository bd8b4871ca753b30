"""Refunds whose settlement is awaited, as due rows: one query each for a batch, one for a tick."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.refund_calculation.writing import Instructed
from shared.arrays import integers, texts
from shared.db import Conn


@dataclass(frozen=True, slots=True)
class Late:
    """A refund of which nothing was reported in time."""

    refund_id: str
    merchant: str
    order_id: str
    claim_id: str
    lane: int
    amount: str
    currency: str
    instructed_at: datetime


async def await_settlements(conn: Conn, instructed: Sequence[tuple[int, Instructed]]) -> None:
    """Note refunds as awaited, each with its lane."""
    await conn.execute(
        "INSERT INTO awaited_settlement "
        "(lane, refund_id, merchant, order_id, claim_id, amount, currency, instructed_at) "
        "SELECT * FROM unnest($1::text::int[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::text[], "
        "$6::text::text[], $7::text::text[], $8::timestamptz[]) ON CONFLICT DO NOTHING",
        integers(lane for lane, _ in instructed),
        texts([event.refund_id for _, event in instructed]),
        texts([event.merchant for _, event in instructed]),
        texts([event.order_id for _, event in instructed]),
        texts([event.claim_id for _, event in instructed]),
        texts([event.amount for _, event in instructed]),
        texts([event.currency for _, event in instructed]),
        [event.instructed_at for _, event in instructed],
    )


async def settle(conn: Conn, refund_ids: Sequence[str]) -> None:
    """Refunds that were reported on are awaited no more."""
    await conn.execute("DELETE FROM awaited_settlement WHERE refund_id = ANY($1::text::text[])", texts(refund_ids))


async def late(conn: Conn, lanes: Sequence[int], before: datetime, now: datetime, most: int) -> list[Late]:
    """Refunds instructed before an instant that nobody has been told of yet, the oldest first; from now on told."""
    rows = await conn.fetch(
        """UPDATE awaited_settlement a SET alerted_at = $3 WHERE a.refund_id IN (
               SELECT refund_id FROM awaited_settlement
               WHERE alerted_at IS NULL AND instructed_at < $2 AND lane = ANY($1::int[])
               ORDER BY instructed_at LIMIT $4 FOR UPDATE)
           RETURNING refund_id, merchant, order_id, claim_id, lane, amount, currency, instructed_at""",
        lanes,
        before,
        now,
        most,
    )
    return sorted((Late(**row) for row in rows), key=lambda one: (one.instructed_at, one.refund_id))


async def stuck(conn: Conn, lanes: Sequence[int], most: int) -> int:
    """How many refunds of these lanes are late, counted up to `most`."""
    found: int = await conn.fetchval(
        "SELECT count(*) FROM (SELECT FROM awaited_settlement WHERE alerted_at IS NOT NULL AND lane = ANY($1::int[]) "
        "LIMIT $2) AS found",
        lanes,
        most,
    )
    return found


async def oldest_unreported(conn: Conn, lanes: Sequence[int]) -> datetime | None:
    """When the oldest refund of these lanes was instructed that is neither reported on nor late yet."""
    found: datetime | None = await conn.fetchval(
        "SELECT instructed_at FROM awaited_settlement WHERE alerted_at IS NULL AND lane = ANY($1::int[]) "
        "ORDER BY instructed_at LIMIT 1",
        lanes,
    )
    return found
