"""Some hundred claims that the pipeline really processed, kept aside in each service's database, to be copied.

Of every twenty claims one is left open (nobody answers, nothing comes back), and the payment systems have reported on
all refunds but one of twenty.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.load import Loader
from bench.ours import load_orders
from bench.stack import BenchStack
from bench.topics import LANES, Topics, until
from bench.workload import Claim, claims
from shared.bus import lane_of
from shared.events.topics import PAYMENTS, REFUNDS

SEED: Final = "seed0000"
"""Stands in every id of a seed; a copy has a word of the same length there (`growth_fill.copy_word`)."""
SEEDS: Final = 500
OPEN: Final = 20
"""Of so many claims one is open, of so many refunds one is not reported on."""
TABLES: Final[Mapping[str, Sequence[str]]] = {
    "intake": ("order_state", "claim", "seen", "history"),
    "eligibility": ("claim_state", "history"),
    "refund-calculation": ("order_money", "awaited_settlement", "history"),
    "notification": ("contact", "claim", "mail_text", "history"),
}
"""The tables that grow with the claims; `message`, `outbox` and `waiting` are empty when nothing is under way."""
LIMIT: Final = 180.0


async def sown(stack: BenchStack) -> None:
    """Let the seeds through the pipeline and keep their rows aside, in tables `seed_…`. Leaves the services held."""
    some = [_left_open(n, one) for n, one in enumerate(claims(SEED, SEEDS))]
    async with Topics.of(stack.kafka) as topics, Loader.of(stack.kafka) as loader:
        await load_orders(stack, topics, loader, some, LIMIT)
        await loader.pace(some, 500.0)
    await _settled(stack)
    await _settle(stack.kafka)
    await _settled(stack)
    await until(stack.all_told, LIMIT, "all letters are written")
    await stack.hold()
    for service, tables in TABLES.items():
        async with stack.connected(service) as conn:
            for table in tables:
                await conn.execute(f"CREATE TABLE seed_{table} AS TABLE {table}")


def _left_open(n: int, claim: Claim) -> Claim:
    return claim.waiting() if n % OPEN == 0 else claim


async def _settled(stack: BenchStack) -> None:
    await asyncio.sleep(1.5)  # the services tell Kafka how far they are once a second
    await stack.caught_up(LIMIT)


async def _settle(kafka: str) -> None:
    """Report the refunds that were instructed, but for a few, as paid."""
    instructed = await _instructed(kafka)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    try:
        for n, refund in enumerate(instructed):
            if n % OPEN == 0:
                continue
            key = f"{refund['merchant']}/{refund['order_id']}".encode()
            value = {
                **{name: refund[name] for name in ("refund_id", "merchant", "order_id", "claim_id")},
                "status": "succeeded",
                "provider_reference": f"ref-{refund['order_id']}",
                "settled_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "failure_reason": None,
            }
            await producer.send(
                PAYMENTS,
                json.dumps(value).encode(),
                key=key,
                headers=_headers(f"refund.settled-{refund['claim_id']}"),
                partition=lane_of(key, LANES),
            )
        await producer.flush()
    finally:
        await producer.stop()


def _headers(id: str) -> list[tuple[str, bytes]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", id.encode()),
        ("ce_source", b"/bench"),
        ("ce_type", b"refund.settled.v1"),
        ("ce_time", b"2026-11-06T08:00:00Z"),
        ("content-type", b"application/json"),
    ]


async def _instructed(kafka: str) -> list[Mapping[str, str]]:
    """Every instruction so far."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    found: list[Mapping[str, str]] = []
    await consumer.start()
    try:
        lanes = [TopicPartition(REFUNDS, lane) for lane in range(LANES)]
        consumer.assign(lanes)
        ends = await consumer.end_offsets(lanes)
        async with asyncio.timeout(LIMIT):
            while any([await consumer.position(lane) < ends[lane] for lane in lanes]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += (json.loads(record.value) for record in records if record.value is not None)
    finally:
        await consumer.stop()
    return found
