"""What a run leaves behind: every topic, every database, every mail, read once for the checker."""

import asyncio
import email
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.events.topics import INPUT_TOPICS, OUTPUT_TOPICS, READERS, dlq_topic
from tests.faults.crashing import ALL, MAILS, OWN
from tests.integration.delivery_bench import high_watermarks
from tests.stack import Received, Stack

READ_LIMIT = 300
Place = tuple[str, int, int]
"""Topic, partition, offset."""


class Lane(NamedTuple):
    """A lane as its service's database has it."""

    emitted: int
    published: int


class Step(NamedTuple):
    """A row of a service's history; topic and offset are null for what time brought about."""

    merchant: str
    claim_id: str
    what: str
    topic: str | None
    lane: int
    offset: int | None


class Said(NamedTuple):
    """A line of the notification processes' log of mails, at a time in ms: begun, accepted, later, refused, offline."""

    pid: int
    at: int
    what: str
    key: str


@dataclass
class Evidence:
    """All of it. `topics` holds committed records alone, in order per partition."""

    topics: Mapping[str, list[Received]]
    lanes: dict[str, dict[int, Lane]] = field(default_factory=dict)
    outbox: dict[str, int] = field(default_factory=dict)
    history: dict[str, list[Step]] = field(default_factory=dict)
    buried: dict[str, set[Place]] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    seen: int = 0
    mails: Counter[str] = field(default_factory=Counter)
    said: list[Said] = field(default_factory=list)

    def inputs(self) -> Iterable[Received]:
        """What was published to the pipeline."""
        return (record for topic in INPUT_TOPICS for record in self.topics[topic])

    def dead_letters(self) -> Iterable[Received]:
        """All services' dead letters, the relay's repeats included."""
        return (record for topic, found in self.topics.items() if topic.endswith(".dlq") for record in found)


def dead_letter_topics() -> list[str]:
    """Where the services bury what they read."""
    return [dlq_topic(topic, service) for service in ALL for topic in READERS[service]]


async def gather(stack: Stack) -> Evidence:
    """Read everything of a stack that is at rest."""
    found = Evidence(await _topics(stack.kafka, [*INPUT_TOPICS, *OUTPUT_TOPICS, *dead_letter_topics()]))
    for service in ALL:
        conn = await asyncpg.connect(stack.dsn(service), timeout=15)
        try:
            await _database(conn, service, found)
        finally:
            await conn.close()
    found.mails.update(_key(file) for file in stack.mail.glob("*.eml"))
    found.said = _said(stack.plan.data.root / OWN / MAILS)
    return found


async def _database(conn: "asyncpg.Connection[asyncpg.Record]", service: str, found: Evidence) -> None:
    rows = await conn.fetch("SELECT lane, emitted, published FROM lane")
    found.lanes[service] = {r["lane"]: Lane(r["emitted"], r["published"]) for r in rows}
    found.outbox[service] = int(await conn.fetchval("SELECT count(*) FROM outbox"))
    rows = await conn.fetch("SELECT merchant, claim_id, what, topic, lane, record_offset FROM history ORDER BY id")
    found.history[service] = [Step(*r.values()) for r in rows]
    rows = await conn.fetch("SELECT topic, lane, record_offset FROM dead_letter")
    found.buried[service] = {(r["topic"], r["lane"], r["record_offset"]) for r in rows}
    if service == "intake":
        found.waiting = {r["claim_id"] for r in await conn.fetch("SELECT claim_id FROM waiting")}
        found.seen = int(await conn.fetchval("SELECT count(*) FROM seen"))


def _key(mail: Path) -> str:
    message_id = email.message_from_bytes(mail.read_bytes())["Message-ID"] or ""
    return message_id.strip("<>").partition("@")[0]


def _said(log: Path) -> list[Said]:
    lines = log.read_text().splitlines() if log.exists() else []
    parts = (line.split() for line in lines)
    return [Said(int(pid), int(at), what, key) for pid, at, what, key in parts]


async def _topics(kafka: str, topics: Iterable[str]) -> Mapping[str, list[Received]]:
    """Everything up to the present ends, committed records alone."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 << 20,
    )
    await consumer.start()
    found: dict[str, list[Received]] = defaultdict(list)
    try:
        names = sorted(set(topics))
        for name in names:
            consumer._client.add_topic(name)
        await consumer._client.force_metadata_update()
        lanes = [TopicPartition(name, lane) for name in names for lane in consumer.partitions_for_topic(name) or ()]
        assert {lane.topic for lane in lanes} == set(names), "every topic is there"
        consumer.assign(lanes)
        ends = await high_watermarks(kafka, lanes)
        async with asyncio.timeout(READ_LIMIT):
            while any([await consumer.position(lane) < ends[lane] for lane in lanes]):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    for r in batch:
                        found[r.topic].append(Received(r.topic, r.partition, r.offset, r.key, r.value, dict(r.headers)))
    finally:
        await consumer.stop()
    for records in found.values():
        records.sort(key=lambda r: (r.partition, r.offset))
    return found
