"""The naive way: FastStream as its first page shows it, a message and a transaction at a time.

`python -m bench.naive FILE STAGE`
"""

import asyncio
import sys
from pathlib import Path

import asyncpg
import uvloop
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage

from bench.shape import Job, filler, read

_TABLES = "CREATE TABLE IF NOT EXISTS naive_row (stage text NOT NULL, key bytea, value bytea)"


async def main(job: Job) -> None:
    """Run until the process is ended."""
    broker = KafkaBroker(job.kafka, logger=None)
    stage = job.stage
    row = filler(stage.row_bytes)
    values = [(emit, filler(emit.bytes)) for emit in stage.emits]
    pool = await asyncpg.create_pool(job.database, min_size=1, max_size=4)
    async with pool.acquire() as conn:
        await conn.execute("SELECT pg_advisory_lock(2)")
        await conn.execute(_TABLES)
        await conn.execute("SELECT pg_advisory_unlock(2)")
    seen = 0

    @broker.subscriber(*stage.reads, group_id=job.group, auto_offset_reset="earliest")
    async def handle(_: dict[str, object], message: KafkaMessage) -> None:
        nonlocal seen
        raw = message.raw_message
        assert not isinstance(raw, tuple)
        if raw.topic != stage.driver:
            return
        number, seen = seen, seen + 1
        async with pool.acquire() as conn, conn.transaction():
            for _n in range(stage.rows_due(number)):
                await conn.execute("INSERT INTO naive_row VALUES ($1, $2, $3)", job.group, raw.key, row)
        for emit, value in values:
            for _n in range(stage.due(number, emit.num, emit.den)):
                await broker.publish(value, emit.topic, key=raw.key, partition=raw.partition)

    await broker.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(read(Path(sys.argv[1]), sys.argv[2])))
