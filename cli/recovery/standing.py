"""Where a service's database and Kafka stand: what it has read and said, and what Kafka holds of both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from cli.stack.errors import StackError
from shared.bus import Record, redrive
from shared.bus.record import number_of
from shared.db import Conn
from shared.events.topics import WRITERS, dlq_topic

READ_LIMIT = 3600.0
"""Seconds that reading the topics may take."""

Place = tuple[str, int]
"""Topic and lane."""


@dataclass(slots=True)
class Database:
    """What the kit's tables say."""

    positions: dict[Place, int] = field(default_factory=dict)
    marks: dict[tuple[str, int, str], int] = field(default_factory=dict)
    emitted: dict[int, int] = field(default_factory=dict)
    published: dict[int, int] = field(default_factory=dict)
    closed: set[tuple[str, int, int]] = field(default_factory=set)
    """Dead letters that were redriven or dropped."""


@dataclass(frozen=True, slots=True)
class Output:
    """An event that the service has said. `at`: the instant of its transaction, to the millisecond."""

    record: Record
    lane: int
    number: int
    at: datetime

    @property
    def place(self) -> str:
        return f"{self.record.topic}/{self.record.partition}@{self.record.offset}"


@dataclass(slots=True)
class Log:
    """What Kafka holds. `told`: the positions that the service told it; `begins` and `ends` of its input lanes;
    `inputs` from the database's positions on, by lane in order; `outputs` past the database's numbers, each once;
    `last`: the highest number by lane; `letters`: what lies on the service's dead-letter topics."""

    told: dict[Place, int] = field(default_factory=dict)
    begins: dict[Place, int] = field(default_factory=dict)
    ends: dict[Place, int] = field(default_factory=dict)
    inputs: dict[Place, list[Record]] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    last: dict[int, int] = field(default_factory=dict)
    letters: list[Record] = field(default_factory=list)


async def read_database(conn: Conn) -> Database:
    """The kit's rows, locked: a service that starts meanwhile waits."""
    found = Database()
    for row in await conn.fetch("SELECT lane, emitted, published FROM lane ORDER BY lane FOR UPDATE"):
        found.emitted[row["lane"]], found.published[row["lane"]] = row["emitted"], row["published"]
    for row in await conn.fetch("SELECT topic, lane, next_offset FROM position"):
        found.positions[row["topic"], row["lane"]] = row["next_offset"]
    for row in await conn.fetch("SELECT topic, lane, origin, number FROM inbox_mark"):
        found.marks[row["topic"], row["lane"], row["origin"]] = row["number"]
    for row in await conn.fetch("SELECT topic, lane, record_offset FROM dead_letter WHERE state <> 'dead'"):
        found.closed.add((row["topic"], row["lane"], row["record_offset"]))
    return found


async def read_log(kafka: str, service: str, topics: Sequence[str], database: Database) -> Log:
    """Read what Kafka holds. Raises StackError where it does not answer."""
    try:
        async with asyncio.timeout(READ_LIMIT), _consumer(kafka, service) as consumer:
            log = Log()
            lanes = await _lanes(kafka, topics)
            log.begins = _by_place(await consumer.beginning_offsets(lanes))
            log.ends = _by_place(await consumer.end_offsets(lanes))
            for tp in lanes:
                told = await consumer.committed(tp)
                if told is not None:
                    log.told[tp.topic, tp.partition] = told
            starts = {tp: database.positions.get((tp.topic, tp.partition), 0) for tp in lanes}
            async for record in _records(consumer, starts):
                log.inputs.setdefault((record.topic, record.partition), []).append(record)
            await _read_outputs(consumer, kafka, service, database, log)
            dlq = [dlq_topic(topic, service) for topic in topics]
            beginning = await consumer.beginning_offsets(await _lanes(kafka, dlq))
            log.letters = [record async for record in _records(consumer, beginning)]
            return log
    except (KafkaError, OSError, TimeoutError) as error:
        raise StackError(f"Kafka at {kafka} does not answer ({error or type(error).__name__})") from error


async def _read_outputs(consumer: AIOKafkaConsumer, kafka: str, service: str, database: Database, log: Log) -> None:
    heard: set[tuple[int, int]] = set()
    own = await _lanes(kafka, WRITERS[service])
    async for record in _records(consumer, await consumer.beginning_offsets(own)):
        lane, number = number_of(record.id)
        if number is None or record.redrive or record.source != f"/makegood/{service}":
            continue
        log.last[lane] = max(log.last.get(lane, 0), number)
        if number > database.emitted.get(lane, 0) and (lane, number) not in heard:
            heard.add((lane, number))
            log.outputs.append(Output(record, lane, number, _instant(record)))
    log.outputs.sort(key=lambda one: (one.lane, one.number))


def behind(database: Database, log: Log) -> list[str]:
    """In what the database is behind Kafka, for people; empty: in nothing."""
    found = [
        f"{topic}/{lane} stands at {at}, Kafka was told {told}"
        for (topic, lane), told in sorted(log.told.items())
        if (at := database.positions.get((topic, lane), 0)) < told
    ]
    return found + [
        f"lane {lane} has said {said} events, Kafka has number {last}"
        for lane, last in sorted(log.last.items())
        if (said := database.emitted.get(lane, 0)) < last
    ]


def expired(database: Database, log: Log) -> list[str]:
    """Inputs that the database has not read and the topics no longer hold."""
    return [
        f"{topic}/{lane}: {database.positions.get((topic, lane), 0)} to {begin - 1}"
        for (topic, lane), begin in sorted(log.begins.items())
        if begin > database.positions.get((topic, lane), 0)
    ]


def fresh(service: str, foreign: Iterable[str], database: Database, log: Log) -> Iterable[tuple[Record, str, int]]:
    """Inputs that are no repeats, as the kit tells them, in the order of their lanes; each with its origin and number
    (0 where it has none)."""
    taken = set(database.closed)
    for (topic, lane), records in sorted(log.inputs.items()):
        heard = {origin: n for (t, at, origin), n in database.marks.items() if (t, at) == (topic, lane)}
        for record in records:
            if record.redrive:
                letter = redriven(record)
                if letter is None or letter[0] != service or (topic, *letter[1:]) in taken:
                    continue
                taken.add((topic, *letter[1:]))
                if redrive.read_drop(record.headers) is None:
                    yield record, "", 0
                continue
            source_lane, number = number_of(record.id)
            if topic in foreign or number is None:
                yield record, "", 0
                continue
            origin = f"{record.source}:{source_lane}"
            if number > heard.get(origin, 0):
                heard[origin] = number
                yield record, origin, number


def redriven(record: Record) -> tuple[str, int, int] | None:
    """Service, lane and offset of the dead letter that a redriven record is."""
    mark = redrive.read(record.redrive)
    return None if mark is None else (mark.service, mark.lane, mark.offset)


@contextlib.asynccontextmanager
async def _consumer(kafka: str, group: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        group_id=group,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def _lanes(kafka: str, topics: Iterable[str]) -> list[TopicPartition]:
    """The lanes of those topics that are there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    try:
        await admin.start()
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    return sorted(
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        if topic["error_code"] == 0
        for partition in topic["partitions"]
    )


async def _records(consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int]) -> AsyncIterator[Record]:
    """Everything committed from these offsets up to what is there now, each lane's in order."""
    if not starts:
        return
    ends = await consumer.end_offsets(list(starts))
    consumer.assign(list(starts))
    for tp, start in starts.items():
        consumer.seek(tp, start)
    left = {tp for tp, start in starts.items() if start < ends[tp]}
    while left:
        for tp, batch in (await consumer.getmany(timeout_ms=200)).items():
            for raw in batch:
                if raw.offset < ends[tp]:
                    yield Record.of(raw)
        left = {tp for tp in left if await consumer.position(tp) < ends[tp]}


def _by_place(offsets: Mapping[TopicPartition, int]) -> dict[Place, int]:
    return {(tp.topic, tp.partition): at for tp, at in offsets.items()}


def _instant(record: Record) -> datetime:
    for name, value in record.headers:
        if name == "ce_time" and value:
            with contextlib.suppress(ValueError):
                return datetime.fromisoformat(value.decode()).astimezone(UTC)
    return datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
