"""The floor: one hop as a raw loop of aiokafka and asyncpg, nothing else. `python -m bench.floor FILE STAGE`.

Exactly once in Postgres (offsets in the same transaction as the rows), whole record batches out, sent while the next
batch is being written; what a crash leaves unsent is lost. No domain logic, no checks: nobody gets below it with these
libraries.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from bench.shape import Emit, Job, filler, read
from bench.topics import LANES

BATCH_RECORDS = 2000
BATCH_BYTES = 900_000

_TABLES = """
CREATE TABLE IF NOT EXISTS floor_row (stage text NOT NULL, key bytea, value bytea);
ALTER TABLE floor_row ALTER COLUMN value SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS floor_offset (stage text, topic text, lane int, next_offset bigint NOT NULL,
    PRIMARY KEY (stage, topic, lane));
"""
_MOVE = """
INSERT INTO floor_offset AS p (stage, topic, lane, next_offset)
SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[])
ON CONFLICT (stage, topic, lane) DO UPDATE SET next_offset = excluded.next_offset
"""


class Hop:
    """The loop of one stage."""

    def __init__(self, job: Job, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        self._job = job
        self._consumer = consumer
        self._producer = producer
        self._row = filler(job.stage.row_bytes)
        self._values = [(emit, filler(emit.bytes)) for emit in job.stage.emits]
        self._seen = 0

    async def run(self, conn: "asyncpg.Connection[asyncpg.Record]") -> None:
        sending: Sequence[asyncio.Future[object]] = ()
        while True:
            batches = await self._consumer.getmany(timeout_ms=50, max_records=BATCH_RECORDS)
            if not batches:
                continue
            rows, outputs = self._worked_through(batches)
            async with conn.transaction():
                if rows:
                    await conn.copy_records_to_table("floor_row", records=rows, columns=["stage", "key", "value"])
                await conn.execute(
                    _MOVE,
                    self._job.group,
                    [tp.topic for tp in batches],
                    [tp.partition for tp in batches],
                    [records[-1].offset + 1 for records in batches.values()],
                )
            await asyncio.gather(*sending)
            sending = await self._send(outputs)

    def _worked_through(
        self, batches: dict[TopicPartition, list[ConsumerRecord]]
    ) -> tuple[list[tuple[str, bytes, bytes]], dict[TopicPartition, list[tuple[bytes, bytes]]]]:
        stage = self._job.stage
        rows: list[tuple[str, bytes, bytes]] = []
        outputs: dict[TopicPartition, list[tuple[bytes, bytes]]] = {}
        for tp, records in batches.items():
            if tp.topic != stage.driver:
                continue
            lanes = [
                (emit, value, outputs.setdefault(TopicPartition(emit.topic, tp.partition), []))
                for emit, value in self._values
            ]
            for record in records:
                rows.extend([(self._job.group, record.key, self._row)] * stage.rows_due(self._seen))
                for emit, value, lane in lanes:
                    lane.extend([(record.key, value)] * stage.due(self._seen, emit.num, emit.den))
                self._seen += 1
        return rows, outputs

    async def _send(self, outputs: dict[TopicPartition, list[tuple[bytes, bytes]]]) -> list[asyncio.Future[object]]:
        sending = []
        for tp, records in outputs.items():
            batch = self._producer.create_batch()
            for key, value in records:
                if batch.append(timestamp=None, key=key, value=value) is None:
                    sending.append(await self._producer.send_batch(batch, tp.topic, partition=tp.partition))
                    batch = self._producer.create_batch()
                    batch.append(timestamp=None, key=key, value=value)
            if batch.record_count():
                sending.append(await self._producer.send_batch(batch, tp.topic, partition=tp.partition))
        return sending


async def main(job: Job) -> None:
    """Run until the process is ended."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=job.kafka,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=2 << 20,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=job.kafka, acks="all", linger_ms=0, max_batch_size=BATCH_BYTES, max_request_size=4 << 20
    )
    conn = await asyncpg.connect(job.database)
    await conn.execute("SELECT pg_advisory_lock(1)")
    await conn.execute(_TABLES)
    await conn.execute("SELECT pg_advisory_unlock(1)")
    await consumer.start()
    await producer.start()
    consumer.assign([TopicPartition(topic, lane) for topic in job.stage.reads for lane in range(LANES)])
    print("ready", flush=True)
    await Hop(job, consumer, producer).run(conn)


__all__ = ["Emit", "Hop", "main"]

if __name__ == "__main__":
    uvloop.run(main(read(Path(sys.argv[1]), sys.argv[2])))
