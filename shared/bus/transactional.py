"""The transactional producer of one lane of `refunds.v1`.

Each Kafka transaction holds instructions and, as a consumer-group offset, the number of the last one. So after a crash
the number in Kafka says exactly which instructions a `read_committed` reader has, and the rest follows once. The
transactional id is the lane's: starting a producer fences the one of a former owner.
"""

import asyncio
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import OffsetAndMetadata

from shared import tracing
from shared.bus.said import last_numbers
from shared.bus.sending import BATCH_BYTES, Addressed, close, send_in_order


class Abandoned(Exception):  # noqa: N818 - an event of normal operation, not an error
    """The lane was let go of while it was publishing: what came of that is told by the number in Kafka."""


class TransactionalLane:
    """Publishes one lane's events of one topic, each once in effect."""

    def __init__(self, service: str, kafka: str, topic: str, lane: int) -> None:
        self._service = service
        self._kafka = kafka
        self._topic = topic
        self._lane = lane
        self._group = f"{service}.relay"
        self._producer: AIOKafkaProducer | None = None
        self._stored = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._let_go: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def publish(self, events: Sequence[Addressed]) -> None:
        """Publish what Kafka does not have yet, in one transaction with the position.

        Raises:
            Abandoned: the lane was let go of meanwhile. A send of a producer that is being closed may never end.
        """
        work = asyncio.ensure_future(self._publish(events))
        try:
            await asyncio.wait({work, self._let_go}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not work.done():
                work.cancel()
                work.add_done_callback(lambda done: done.cancelled() or done.exception())
        if not work.done():
            self.abandon()  # a producer that became ready just then
            raise Abandoned
        await work

    async def _publish(self, events: Sequence[Addressed]) -> None:
        producer = await self._ready()
        new = [(row, event) for row, event in events if event.number > self._stored]
        if not new:
            return
        last = new[-1][1].number
        started = time.time_ns()
        async with producer.transaction():
            await send_in_order(producer, self._service, TopicPartition(self._topic, self._lane), new)
            offset = {TopicPartition(self._topic, self._lane): OffsetAndMetadata(last, "")}
            await producer.send_offsets_to_transaction(offset, self._group)
        self._stored = last
        if tracing.active is not None:
            tracing.active.sent([event for _, event in new], started)

    def abandon(self) -> None:
        """Let go without waiting: an open transaction is aborted by the next owner's start or by its timeout."""
        if not self._let_go.done():
            self._let_go.set_result(None)
        producer, self._producer = self._producer, None
        if producer is not None:
            task = asyncio.create_task(close(producer))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    @property
    def is_closed(self) -> bool:
        """Nothing that was let go of is still being closed."""
        return not self._closing

    async def closed(self) -> None:
        """Wait until what was let go of is closed."""
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _ready(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._kafka,
                client_id=f"{self._service}-relay-{self._lane}",
                transactional_id=f"{self._service}.relay.{self._lane}",
                transaction_timeout_ms=30_000,
                acks="all",
                linger_ms=0,
                max_batch_size=BATCH_BYTES,
                max_request_size=4 << 20,
                request_timeout_ms=15_000,
            )
            try:
                async with asyncio.timeout(30):
                    await producer.start()
                    self._stored = await self._read_stored()
            except AssertionError as nobody:  # aiokafka's own: it asserts that there is a broker to ask
                await close(producer)
                raise KafkaConnectionError("the cluster lists no broker") from nobody
            except BaseException:
                await close(producer)
                raise
            self._producer = producer
        return self._producer

    async def _read_stored(self) -> int:
        """Number of the last instruction that Kafka has, once the producer's start has ended older transactions."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._kafka, group_id=self._group, enable_auto_commit=False, request_timeout_ms=15_000
        )
        await consumer.start()
        try:
            tp = TopicPartition(self._topic, self._lane)
            consumer.assign([tp])
            stored = await consumer.committed(tp)
        finally:
            await consumer.stop()
        if stored is not None:
            return int(stored)
        # Nothing instructed yet, or the group was deleted or has expired: then the topic itself says what it has.
        return (await last_numbers(self._kafka, self._service, [tp], whole=True)).get(self._lane, 0)
