"""The pipeline itself, in full: throughput, and the time from a claim to its decision and its instruction."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.load import Loader
from bench.measure import Flow, Run, timed
from bench.shape import INPUTS, Stage, shape_of
from bench.stack import BenchStack
from bench.topics import LANES, Topics, until
from bench.workload import Claim, claims
from shared.events.topics import CONTACTS, DECISIONS, REFUNDS, TOPICS

STATISTICS_SECONDS = 2.0
"""After so long idle connections have reported their counters to Postgres."""


class WrongEnds(Exception):  # noqa: N818 - read as a sentence
    """The pipeline did not decide as the workload says: the figures would not count."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from when a claim was due to be published to when a `read_committed` reader had the event."""

    rate: float
    claims: int
    decision_ms: dict[str, float]
    instruction_ms: dict[str, float]


async def measured(
    stack: BenchStack, tag: str, number: int, window: int, limit: float
) -> tuple[Run, tuple[Stage, ...]]:
    """Load the orders, then pour the claims in against the clock; the run, and the shape of its hops.

    Raises TookTooLong, and WrongEnds when a claim ended otherwise than it should.
    """
    async with Topics.of(stack.kafka) as topics, Loader.of(stack.kafka) as loader:
        some = list(claims(tag, number))
        await load_orders(stack, topics, loader, some, limit)
        since = {name: await topics.ends(name) for name in TOPICS}
        rows = await stack.written()
        decided = sum(one.end != "refused" for one in some)
        flow = Flow(DECISIONS, INPUTS, number, decided, loader.built(some), window)
        pids = {**stack.services, **stack.servers, **stack.sink}
        run = await timed("ours", flow, topics, loader, pids, os.getpid(), limit)
        run.left = {f"records not read by {name}": lag for name, lag in (await stack.lags()).items() if lag}
        run.left["mails not sent"] = await stack.mails_waiting()
        run.left["seconds until all had read everything"] = round(await stack.caught_up(limit), 1)
        await asyncio.sleep(STATISTICS_SECONDS)
        spans = {name: await topics.span(name, since[name]) for name in TOPICS}
        if spans[DECISIONS].types != {"claim.decided.v1": decided}:
            raise WrongEnds(f"{decided} decisions were expected, there are {dict(spans[DECISIONS].types)}")
        return run, shape_of(spans, rows, await stack.written())


async def load_orders(stack: BenchStack, topics: Topics, loader: Loader, some: Sequence[Claim], limit: float) -> float:
    """Publish the claims' orders and wait until all services have them; the seconds it took."""
    started = time.monotonic()
    before = await topics.count(CONTACTS)
    for one in loader.built(some, before=True):
        await loader.send(one)

    async def admitted() -> bool:
        return await topics.count(CONTACTS) - before >= len(some)

    await until(admitted, limit, "intake has taken all orders")
    await asyncio.sleep(1.0)  # the services tell Kafka how far they are once a second
    await stack.caught_up(limit)
    return time.monotonic() - started


async def latency(stack: BenchStack, tag: str, rate: float, seconds: float, limit: float) -> Latency:
    """Publish claims at a steady rate and see when their decisions and instructions can be read."""
    async with Topics.of(stack.kafka) as topics, Loader.of(stack.kafka) as loader:
        some = list(claims(tag, max(20, round(rate * seconds))))
        await load_orders(stack, topics, loader, some, limit)
        decided = [one for one in some if one.end != "refused"]
        watch = asyncio.create_task(_watch(stack.kafka, tag, len(decided), seconds + limit))
        await asyncio.sleep(1.0)
        due = await loader.pace(some, rate)
        arrived = await watch
        return Latency(
            rate,
            len(some),
            _milliseconds(due, arrived[DECISIONS]),
            _milliseconds(due, arrived[REFUNDS]),
        )


async def _watch(kafka: str, tag: str, decisions: int, limit: float) -> Mapping[str, Mapping[str, float]]:
    """When each claim's decision and instruction of this run could first be read, by topic and claim id."""
    found: dict[str, dict[str, float]] = {DECISIONS: {}, REFUNDS: {}}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="latest"
    )
    await consumer.start()
    mine = f"c-{tag}-"
    try:
        consumer.assign([TopicPartition(topic, lane) for topic in found for lane in range(LANES)])
        await consumer.seek_to_end()
        started = time.monotonic()
        still = 0.0
        while len(found[DECISIONS]) < decisions or time.monotonic() - still < 1.0:
            if time.monotonic() - started > limit:
                break
            for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                now, still = time.time(), time.monotonic()
                for record in records:
                    subject = next((value.decode() for name, value in record.headers if name == "ce_subject"), "")
                    if subject.startswith(mine):
                        found[tp.topic].setdefault(subject, now)
    finally:
        await consumer.stop()
    return found


def _milliseconds(due: Mapping[str, float], arrived: Mapping[str, float]) -> dict[str, float]:
    took = sorted((at - due[claim]) * 1000 for claim, at in arrived.items())
    if not took:
        return {"p50": 0.0, "p99": 0.0, "max": 0.0, "seen": 0}
    return {
        "p50": round(took[len(took) // 2], 1),
        "p99": round(took[min(len(took) - 1, len(took) * 99 // 100)], 1),
        "max": round(took[-1], 1),
        "seen": len(took),
    }
