"""Real servers and whole stacks for tests, on the supervisor that `claims up` runs.

`Servers` is Kafka (all topics made) and Postgres without services; it publishes and collects. `Stack` adds the services
as processes, and lets a test kill, hold and release them. Both take containers where a Docker engine answers and the
images are at hand, otherwise the embedded parts; MAKEGOOD_TEST_SERVERS=containers|embedded forces either.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from cli.lag import lags
from cli.stack.folders import DataFolder
from cli.stack.plan import SERVICES, Plan, ServiceSpec
from cli.stack.prepare import prepare
from cli.stack.replica import Replica
from cli.stack.state import ServiceState
from cli.stack.supervisor import Supervisor
from shared.events.topics import INPUT_TOPIC_OF, READERS
from tests.containers import Containers, containers_at_hand

T = TypeVar("T")
START_LIMIT = 300.0
READY_LIMIT = 120.0
STOP_LIMIT = 120.0
Choice = Literal["containers", "embedded"]


def choice() -> Choice:
    """Which kind of servers this run takes."""
    forced = os.environ.get("MAKEGOOD_TEST_SERVERS", "")
    if forced in ("containers", "embedded"):
        return "containers" if forced == "containers" else "embedded"
    assert not forced, f"MAKEGOOD_TEST_SERVERS is {forced!r}; it takes containers or embedded"
    return "containers" if containers_at_hand() else "embedded"


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], limit: float = 15.0, *, every: float = 0.05, why: str = ""
) -> T: ...
@overload
async def eventually(condition: Callable[[], T], limit: float = 15.0, *, every: float = 0.05, why: str = "") -> T: ...
async def eventually(
    condition: Callable[[], T | Awaitable[T]], limit: float = 15.0, *, every: float = 0.05, why: str = ""
) -> T:
    """The first truthy value of `condition` (plain or async); AssertionError after `limit` seconds."""
    until = time.monotonic() + limit
    while True:
        found = condition()
        value = await found if isinstance(found, Awaitable) else found
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"{why or 'the condition'} did not hold within {limit:g} s; last: {value!r}")
        await asyncio.sleep(every)


@dataclass(frozen=True)
class Message:
    """A record to publish."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None


def event(
    type_: str,
    data: Mapping[str, Any],
    *,
    id_: str | None = None,
    source: str = "/tests",
    topic: str | None = None,
    partition: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Message:
    """An input event in CloudEvents' binary mode, keyed `<merchant>/<order_id>`, on the topic of its type."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": id_ or uuid.uuid4().hex,
        "ce_source": source,
        "ce_type": type_,
        "content-type": "application/json",
        **(headers or {}),
    }
    return Message(
        topic or INPUT_TOPIC_OF[type_],
        json.dumps(data, ensure_ascii=False).encode(),
        f"{data.get('merchant')}/{data.get('order_id')}".encode(),
        tuple((name, value.encode()) for name, value in attributes.items()),
        partition,
    )


@dataclass(frozen=True)
class Received:
    """A record that was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(hash=False)

    def header(self, name: str) -> str:
        """A header as text, "" where it is missing."""
        return self.headers.get(name, b"").decode(errors="replace")

    @property
    def type(self) -> str:
        return self.header("ce_type")

    @property
    def id(self) -> str:
        return self.header("ce_id")

    @property
    def subject(self) -> str:
        return self.header("ce_subject")

    @cached_property
    def data(self) -> dict[str, Any]:
        """The value as JSON."""
        found: dict[str, Any] = json.loads(self.value or b"null")
        return found


class _Thread:
    """An event loop in a thread of its own: the supervisor lives there, whatever loops the tests use."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="stack", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], limit: float) -> T:
        """Run it there and wait here."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(limit)
        except TimeoutError:
            future.cancel()
            raise

    async def acall(self, work: Coroutine[Any, Any, T], limit: float) -> T:
        """Run it there; this loop goes on meanwhile."""
        return await asyncio.wait_for(asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop)), limit)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class Servers:
    """Kafka and Postgres. `kafka` is host:port, `postgres` an administrator's DSN."""

    def __init__(
        self,
        data: Path,
        *,
        replicas: int = 1,
        services: Sequence[ServiceSpec] = (),
        env: Mapping[str, str] | None = None,
        kind: Choice | None = None,
    ) -> None:
        self.kind = kind or choice()
        self._containers = Containers() if self.kind == "containers" else None
        outside = self._containers.start() if self._containers else {}
        self.plan = Plan(
            data=DataFolder.at(data), replicas=replicas, services=tuple(services), env=dict(env or {}), **outside
        )
        self._supervisor: Supervisor | None = None
        self._thread = _Thread()
        try:
            prepare(self.plan)
            self._supervisor = self._thread.call(self._begin(), START_LIMIT)
        except BaseException:
            self.close()
            raise

    async def _begin(self) -> Supervisor:
        supervisor = Supervisor(self.plan)
        try:
            await supervisor.start()
        except BaseException:
            await supervisor.stop()
            raise
        return supervisor

    @property
    def supervisor(self) -> Supervisor:
        assert self._supervisor is not None
        return self._supervisor

    @property
    def kafka(self) -> str:
        return self.supervisor.state.kafka

    @property
    def postgres(self) -> str:
        return self.supervisor.state.postgres

    @property
    def smtp(self) -> str:
        return self.supervisor.state.smtp

    def close(self) -> None:
        """Stop everything."""
        if self._supervisor is not None:
            self._thread.call(self._supervisor.stop(), STOP_LIMIT)
        self._thread.close()
        if self._containers is not None:
            self._containers.stop()

    async def publish(self, messages: Iterable[Message]) -> None:
        """Publish, in order within each partition, and return when the broker has all of them."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka, acks="all", enable_idempotence=True, max_request_size=4 << 20
        )
        await producer.start()
        try:
            sent = [
                await producer.send(m.topic, value=m.value, key=m.key, headers=list(m.headers), partition=m.partition)
                for m in messages
            ]
            await asyncio.wait_for(asyncio.gather(*sent), 60)
        finally:
            await producer.stop()

    async def collect(
        self,
        topics: str | Sequence[str],
        until: Callable[[list[Received]], object],
        *,
        match: Callable[[Received], bool] = lambda _: True,
        limit: float = 30.0,
    ) -> list[Received]:
        """Read the topics from their beginning, committed records alone, until `until` holds for what matched.

        Raises AssertionError after `limit` seconds.
        """
        names = [topics] if isinstance(topics, str) else list(topics)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
        await consumer.start()
        found: list[Received] = []
        try:
            lanes = [TopicPartition(name, lane) for name in names for lane in await self._partitions(consumer, name)]
            consumer.assign(lanes)
            await consumer.seek_to_beginning(*lanes)
            deadline = time.monotonic() + limit
            while not until(found):
                if time.monotonic() > deadline:
                    seen = [f"{r.topic}/{r.partition}@{r.offset} {r.type} {r.subject}" for r in found[-20:]]
                    raise AssertionError(
                        f"not seen on {names} within {limit:g} s; {len(found)} records matched: {seen}"
                    )
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    read = (Received(r.topic, r.partition, r.offset, r.key, r.value, dict(r.headers)) for r in batch)
                    found += [one for one in read if match(one)]
        finally:
            await consumer.stop()
        return found

    async def _partitions(self, consumer: AIOKafkaConsumer, topic: str) -> Sequence[int]:
        async def there() -> Sequence[int]:
            await consumer._client.force_metadata_update()
            return sorted(consumer.partitions_for_topic(topic) or ())

        consumer._client.add_topic(topic)
        return await eventually(there, 20, why=f"topic {topic}")


class Stack(Servers):
    """Servers with the services running on them, `replicas` processes each."""

    def __init__(
        self,
        data: Path,
        *,
        replicas: int = 1,
        services: Sequence[ServiceSpec] = SERVICES,
        env: Mapping[str, str] | None = None,
        kind: Choice | None = None,
    ) -> None:
        super().__init__(data, replicas=replicas, services=services, env=env, kind=kind)
        try:
            self._thread.call(self.supervisor.until_ready(READY_LIMIT), READY_LIMIT + 10)
        except BaseException:
            self.close()
            raise

    @property
    def mail(self) -> Path:
        """The folder with one .eml per message sent."""
        return self.plan.data.mail

    @property
    def logs(self) -> Path:
        return self.plan.data.logs

    def dsn(self, service: str) -> str:
        """The DSN of a service's database, by the service's name (refund-calculation, …)."""
        return self.service(service).database

    def service(self, name: str, replica: int = 1) -> ServiceState:
        """What the supervisor knows of a replica: pid, state, restarts, health port."""
        return self._replica(name, replica).state

    def pids(self) -> dict[str, int | None]:
        """Pid by `name-replica`."""
        return {replica.source: replica.state.pid for replica in self.supervisor.replicas}

    async def kill(self, service: str, replica: int = 1, how: signal.Signals = signal.SIGKILL) -> int:
        """Signal the process; the supervisor starts it again. Returns the pid it had."""
        pid = await eventually(lambda: self.service(service, replica).pid or 0, why=f"{service} runs")
        os.kill(pid, how)
        return pid

    async def hold(self, service: str, replica: int = 1, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process and keep it down until `release`."""
        await self._thread.acall(self._replica(service, replica).hold(how), STOP_LIMIT)

    async def release(self, service: str, replica: int = 1, env: Mapping[str, str] | None = None) -> None:
        """Start a held one again, `env` added to its environment for good."""

        async def release() -> None:
            self._replica(service, replica).release(env)

        await self._thread.acall(release(), 10)

    async def restart(self, service: str, replica: int = 1, env: Mapping[str, str] | None = None) -> None:
        """Drain, end, start, and wait until it is ready again."""
        await self.hold(service, replica)
        await self.release(service, replica, env)
        await self.ready()

    async def ready(self, limit: float = READY_LIMIT) -> None:
        """Wait until every replica is ready."""
        await self._thread.acall(self.supervisor.until_ready(limit), limit + 5)

    async def quiet(self, limit: float = 60.0) -> None:
        """Wait until the pipeline is at rest: lag 0 everywhere twice, with nothing written between."""
        readers = {replica.spec.name: READERS[replica.spec.name] for replica in self.supervisor.replicas}
        last: dict[TopicPartition, int] = {}

        async def still() -> bool:
            nonlocal last
            ends = await self.ends()
            behind = await lags(self.kafka, readers)
            same, last = ends == last, ends
            return same and not any(behind.values())

        await eventually(still, limit, every=0.2, why="the pipeline came to rest")

    async def ends(self) -> dict[TopicPartition, int]:
        """The end of each lane of each topic of the contract."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka)
        await consumer.start()
        try:
            topics = {topic for topics in READERS.values() for topic in topics} | {"refunds.v1", "notifications.v1"}
            lanes = [TopicPartition(t, p) for t in sorted(topics) for p in await self._partitions(consumer, t)]
            found: dict[TopicPartition, int] = await consumer.end_offsets(lanes)
            return found
        finally:
            await consumer.stop()

    def _replica(self, name: str, number: int) -> Replica:
        return self.supervisor.replica(name, number)
