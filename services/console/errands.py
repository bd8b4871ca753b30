"""What people cause on the page, handed to the consumer's process, which owns lanes and emits it.

The row is written in the transaction of the action and of its audit row, and goes in the transaction that emits it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import ormsgpack

from shared import clock
from shared.bus import Work
from shared.db import Conn, Pool

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Doing:
    """One person's action: a transaction, and when it is."""

    conn: Conn
    now: datetime

    async def emit(self, topic: str, type: str, data: bytes, *, key: bytes, subject: str, traceparent: str) -> None:
        """Have an event emitted once the action is committed."""
        await self.conn.execute(
            "INSERT INTO errand (topic, event_type, subject, traceparent, key, value) VALUES ($1, $2, $3, $4, $5, $6)",
            topic,
            type,
            subject,
            traceparent,
            key,
            data,
        )

    async def emit_raw(
        self, topic: str, lane: int, *, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> None:
        """Have a record sent to a partition byte for byte once the action is committed."""
        await self.conn.execute(
            "INSERT INTO errand (topic, lane, key, value, headers) VALUES ($1, $2, $3, $4, $5)",
            topic,
            lane,
            key,
            value,
            ormsgpack.packb(list(headers)),
        )


@asynccontextmanager
async def doing(pool: Pool) -> AsyncIterator[Doing]:
    """A person's action: all of it, or nothing."""
    async with pool.acquire(timeout=5) as conn, conn.transaction():
        yield Doing(conn, clock.now())


async def run(work: Work) -> None:
    """Emit what waits, in the order in which it was done, at most `AT_ONCE`."""
    rows = await work.conn.fetch(
        "DELETE FROM errand WHERE id IN (SELECT id FROM errand ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) "
        "RETURNING *",
        AT_ONCE,
    )
    lane = work.lanes[0]
    for row in sorted(rows, key=lambda row: int(row["id"])):
        if row["event_type"] is None:
            headers = [(name, value) for name, value in ormsgpack.unpackb(row["headers"])]
            work.emit_raw(row["topic"], row["lane"], key=row["key"], value=row["value"], headers=headers, lane=lane)
        else:
            work.emit(
                row["topic"],
                row["event_type"],
                row["value"],
                key=row["key"],
                subject=row["subject"],
                lane=lane,
                # Where traces are on the event's own span begins one; else the id still ties the timeline together.
                traceparent="" if work.hops is not None else row["traceparent"],
            )
