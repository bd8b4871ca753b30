"""FastStream as the host of a service's subscriber: explicit settings, raw records in, positions from Postgres."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.annotations import KafkaMessage as Message

from shared import metrics
from shared.bus.lanes import Lane
from shared.bus.paced import AT_ONCE, PacedConsumer
from shared.bus.pipeline import GaveUp, Pipeline, Service
from shared.bus.record import Record
from shared.bus.said import last_numbers
from shared.events.topics import REFUNDS, WRITERS
from shared.settings import Settings

log = structlog.get_logger(__name__)


class DatabaseOlder(Exception):  # noqa: N818 - read as a sentence
    """The service's database is behind what it has told Kafka: a backup was restored, or the database was lost."""


class TopicsUnfit(Exception):  # noqa: N818 - read as a sentence
    """Topics are missing, or do not have the same number of partitions."""


class Host(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
    """Subscribes a service to its topics, and hands every polled batch to the pipeline."""

    def __init__(self, service: Service, pipeline: Pipeline, settings: Settings) -> None:
        self._service = service
        self._pipeline = pipeline
        self._kafka = settings.kafka
        self._committed: dict[TopicPartition, int] = {}
        self._unpublished: dict[int, tuple[int, dict[str, int]]] = {}
        self._commit_due = 0.0
        self.failure: GaveUp | DatabaseOlder | None = None
        self.assigned = False
        self.broker = KafkaBroker(
            settings.kafka, logger=None, graceful_timeout=settings.drain_seconds, allow_auto_create_topics=False
        )
        self.subscriber = self.broker.subscriber(
            *service.topics,
            batch=True,
            group_id=service.name,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=[RangePartitionAssignor],
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=max(500, settings.session_timeout_ms // 5),
            max_poll_interval_ms=300_000,
            # While a fetch waits at the broker, partitions that were being worked on are not asked for.
            fetch_max_wait_ms=AT_ONCE[1],
            batch_timeout_ms=settings.poll_ms,
            max_records=settings.batch_records,
            listener=self,
            parser=_parse,
            decoder=_decode,
            no_reply=True,
        )
        self.subscriber(self._consume)

    async def start(self) -> None:
        """Connect to Kafka and start to consume."""
        make = await self.broker.connect()
        assert isinstance(make, partial), "FastStream connects by a partial of aiokafka's consumer"
        self.broker.config.broker_config.builder = partial(PacedConsumer, **make.keywords)
        await self.broker.start()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Let go of the lanes; what is in flight is refused by the fence once another process has claimed them."""
        self._committed.clear()
        self._unpublished.clear()
        self._pipeline.lose({tp.partition for tp in revoked})

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Claim the lanes and go on from where the database says they stand."""
        self.assigned = True
        if not assigned:
            return
        try:
            lanes = await self._pipeline.claim(
                sorted({tp.partition for tp in assigned}), lambda found: self._check_age(found, assigned)
            )
        except (GaveUp, DatabaseOlder) as error:
            self._fail(error)
            return
        for tp in assigned:
            self._seek(tp.topic, tp.partition, lanes[tp.partition].positions.get(tp.topic, 0))
        log.info("lanes_claimed", lanes=sorted(lanes))

    async def _check_age(self, lanes: dict[int, Lane], assigned: Sequence[TopicPartition]) -> None:
        """Compare the database with what Kafka was told, and with what the service has said there.

        Going on with one that is older would give old numbers to new events, and readers would drop them as repeats.

        Raises:
            DatabaseOlder: it was restored, or lost.
            GaveUp: Kafka does not say.
        """
        positions = {tp: lanes[tp.partition].positions.get(tp.topic, 0) for tp in assigned}
        consumer = self.subscriber.consumer
        try:
            told = {tp: await consumer.committed(tp) for tp in positions} if consumer is not None else {}
            said = await self._said(lanes)
        except (KafkaError, OSError, TimeoutError) as error:
            raise GaveUp(repr(error)) from error
        older = [
            f"{tp.topic}/{tp.partition} stands at {positions[tp]}, Kafka was told {offset}"
            for tp, offset in sorted(told.items())
            if offset is not None and offset > positions[tp]
        ] + [
            f"lane {n} has said {lanes[n].emitted} events, Kafka has number {number}"
            for n, number in sorted(said.items())
            if n in lanes and number > lanes[n].emitted
        ]
        if older:
            raise DatabaseOlder(
                f"the database is older than Kafka: {', '.join(older)}; run `claims recover {self._service.name}` "
                "(docs/recovery.md)"
            )

    async def _said(self, lanes: dict[int, Lane]) -> dict[int, int]:
        """The last numbers of the lanes in Kafka, of a service whose topics the contract names."""
        topics = WRITERS.get(self._service.name, ())
        # Intake's events lie where their order's key puts them, all others' in their own lane.
        everywhere = range(self._pipeline.lanes_in_all) if self._service.foreign else sorted(lanes)
        partitions = [TopicPartition(topic, lane) for topic in topics for lane in everywhere]
        return await last_numbers(self._kafka, self._service.name, partitions) if partitions else {}

    async def _consume(self, message: Message) -> None:
        records = [Record.of(raw) for raw in message.raw_message]
        try:
            await self._pipeline.process(records, self._seek)
        except GaveUp as error:
            self._fail(error)
            return
        await self._commit_for_lag_tools()

    def _seek(self, topic: str, partition: int, offset: int) -> None:
        consumer = self.subscriber.consumer
        tp = TopicPartition(topic, partition)
        if consumer is not None and tp in consumer.assignment():
            consumer.seek(tp, offset)

    def seconds_since_poll(self) -> float:
        """Seconds since the consumer last asked for records."""
        consumer = self.subscriber.consumer
        polls = [] if consumer is None else [consumer.last_poll_timestamp(tp) for tp in consumer.assignment()]
        polls = [at for at in polls if at is not None]
        return 0.0 if not polls else max(0.0, round(time.time() - max(polls) / 1000, 3))

    async def _commit_for_lag_tools(self) -> None:
        """Tell Kafka the positions, once a second at most: lag tools read them, the pipeline does not."""
        consumer = self.subscriber.consumer
        if consumer is None or time.monotonic() < self._commit_due:
            return
        self._commit_due = time.monotonic() + 1.0
        await self.commit_positions()

    async def commit_positions(self) -> None:
        """Commit to Kafka the positions up to which all that came of the records is published, so that who sees a group
        at the end sees its answers too; a failure only makes lag tools lag."""
        consumer = self.subscriber.consumer
        if consumer is None:
            return
        assigned = consumer.assignment()
        lanes = list(self._pipeline.owned.values())
        positions = {TopicPartition(topic, lane.number): at for lane in lanes for topic, at in lane.positions.items()}
        published = {
            TopicPartition(topic, lane.number): at
            for lane in lanes
            for topic, at in self._published_positions(lane).items()
        }
        new = {tp: o for tp, o in published.items() if tp in assigned and self._committed.get(tp) != o}
        try:
            if new:
                async with asyncio.timeout(5):
                    await consumer.commit(new)
                self._committed.update(new)
        except (KafkaError, OSError, TimeoutError) as error:
            log.info("positions_not_committed_to_kafka", error=repr(error))
        await self._measure_lag(positions)

    def _published_positions(self, lane: Lane) -> dict[str, int]:
        """A lane's positions where all its events are published; else those of an earlier look, once they are."""
        done = self._pipeline.published(lane.number)
        if done >= lane.emitted:
            self._unpublished.pop(lane.number, None)
            return lane.positions
        emitted, positions = self._unpublished.setdefault(lane.number, (lane.emitted, dict(lane.positions)))
        if done < emitted:
            return {}
        self._unpublished[lane.number] = (lane.emitted, dict(lane.positions))
        return positions

    async def _measure_lag(self, positions: dict[TopicPartition, int]) -> None:
        consumer = self.subscriber.consumer
        if consumer is None:
            return
        lag = dict.fromkeys(self._service.topics, 0)
        for tp, position in positions.items():
            end = consumer.highwater(tp) if tp in consumer.assignment() else None
            behind = max(0, (end or position) - position)
            if behind and tp.topic == REFUNDS and await self._read_to(tp, end or 0):
                behind = 0
            lag[tp.topic] += behind
        for topic, records in lag.items():
            metrics.LAG_RECORDS.labels(self._service.name, topic).set(records)

    async def _read_to(self, tp: TopicPartition, end: int) -> bool:
        """Whether the consumer has passed over what is left: a topic written in transactions ends in markers, or in
        records of an aborted one, that nobody is given."""
        consumer = self.subscriber.consumer
        try:
            async with asyncio.timeout(1):
                return consumer is not None and await consumer.position(tp) >= end
        except (KafkaError, TimeoutError):
            return False

    def _fail(self, error: GaveUp | DatabaseOlder) -> None:
        self.failure = error
        self._pipeline.stopping.set()


async def lanes_in_all(kafka: str, topics: Sequence[str], limit: float = 60.0) -> int:
    """Number of partitions that all the topics have; waits for topics that are just being made.

    Raises:
        TopicsUnfit: a topic is missing after `limit` seconds, or the numbers differ.
    """
    started = time.monotonic()
    while True:
        counts = await _partition_counts(kafka, topics)
        missing = [t for t in topics if t not in counts]
        if not missing and len(set(counts.values())) == 1:
            return next(iter(counts.values()))
        if time.monotonic() - started > limit:
            what = f"missing: {', '.join(missing)}" if missing else f"partitions differ: {counts}"
            raise TopicsUnfit(f"topics are not fit for the service, {what}; run `claims topics apply`")
        await asyncio.sleep(0.5)


async def _partition_counts(kafka: str, topics: Sequence[str]) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka, request_timeout_ms=10_000)
    try:
        await admin.start()
        described = await admin.describe_topics(list(topics))
        return {t["topic"]: len(t["partitions"]) for t in described if t["error_code"] == 0}
    except (KafkaError, OSError) as error:
        log.info("kafka_not_there_yet", error=repr(error))
        return {}
    finally:
        await admin.close()


async def _parse(raw: tuple[object, ...]) -> KafkaMessage:
    """Never raises: FastStream's own batch parser drops the batch on one header that is not UTF-8."""
    return KafkaMessage(raw_message=raw, body=b"", consumer=None)  # type: ignore[arg-type]  # acks are ours, not its


async def _decode(message: KafkaMessage) -> bytes:
    return b""
