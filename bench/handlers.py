"""A service's handlers by themselves: recorded topics replayed batch by batch into it, on a real Postgres, no Kafka.

For work on one service: CPU per claim that hardly depends on what else the machine does, and a digest of everything
that was emitted, which shows whether a change kept the behaviour.
"""

import asyncio
import cProfile
import hashlib
import os
import pickle
import pstats
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Final, cast

from aiokafka import TopicPartition

from bench import machine, ours
from bench.load import Loader
from bench.stack import running
from bench.topics import LANES, Topics, committed_records
from bench.workload import claims
from cli.stack.ports import Ports
from cli.stack.postgres import Postgres, create_databases
from shared import clock
from shared.bus.lanes import Lane
from shared.bus.outbox import OutboxRow
from shared.bus.pipeline import Pipeline, Service
from shared.bus.record import Record
from shared.bus.relay import Relay
from shared.bus.work import Work
from shared.db import BY_KEY, Pool, connect, migrate
from shared.events.topics import TOPICS
from shared.run import calm_collector

SERVICES: Final = ("intake", "eligibility", "refund-calculation", "notification")
BATCH: Final = 1_000
_PART: Final = {name: name.replace("-", "_") for name in SERVICES}


@dataclass(slots=True)
class Raw:
    """A record as the consumer hands it over."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """What was in the topics: first what belongs to the orders, then what belongs to the claims."""

    claims: int
    before: Sequence[Raw]
    after: Sequence[Raw]


@dataclass(frozen=True, slots=True)
class Cost:
    """µs of CPU per claim, and a digest of what was emitted."""

    service: str
    python_us: float
    consume_us: float
    postgres_us: float
    emitted: int
    digest: str

    def line(self) -> str:
        return (
            f"{self.service:20} Python {self.python_us:6.1f} µs a claim (handler {self.consume_us:6.1f}), "
            f"Postgres {self.postgres_us:5.1f}, emitted {self.emitted} {self.digest}"
        )


def recording_in(file: Path, number: int) -> Recording:
    """The recording in the file; where there is none, one is made by running the whole stack once."""
    if not file.exists():
        file.write_bytes(pickle.dumps(asyncio.run(_recorded(number))))
    return cast("Recording", pickle.loads(file.read_bytes()))  # noqa: S301 - our own file


async def _recorded(number: int) -> Recording:
    with tempfile.TemporaryDirectory(prefix="makegood-") as folder:
        async with (
            running(Path(folder)) as stack,
            Topics.of(stack.kafka) as topics,
            Loader.of(stack.kafka) as loader,
        ):
            some = list(claims("rec", number))
            await ours.load_orders(stack, topics, loader, some, 300.0)
            middle = {name: await topics.ends(name) for name in TOPICS}
            for one in loader.built(some):
                await loader.send(one)
            await asyncio.sleep(2.0)  # the services tell Kafka how far they are once a second
            await stack.caught_up(300.0)
            ends = {name: await topics.ends(name) for name in TOPICS}
            before = await _read(stack.kafka, {tp: 0 for each in middle.values() for tp in each}, middle.values())
            after = await _read(
                stack.kafka, {tp: at for each in middle.values() for tp, at in each.items()}, ends.values()
            )
    whole = _without_gaps([*before, *after])
    return Recording(number, whole[: len(before)], whole[len(before) :])


async def _read(
    kafka: str, since: Mapping[TopicPartition, int], ends: Iterable[Mapping[TopicPartition, int]]
) -> list[Raw]:
    upto = {tp: end for each in ends for tp, end in each.items()}
    return _in_time(
        [
            Raw(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
            for r in await committed_records(kafka, since, upto)
        ]
    )


def _in_time(found: Sequence[Raw]) -> list[Raw]:
    """Across partitions by time, within a partition as it was; offsets without the gaps of transaction markers."""
    latest: dict[tuple[str, int], int] = {}
    keyed = []
    for r in found:
        at = latest[r.topic, r.partition] = max(r.timestamp, latest.get((r.topic, r.partition), 0))
        keyed.append(((at, r.topic, r.partition, r.offset), r))
    return [r for _, r in sorted(keyed)]


def _without_gaps(raws: Iterable[Raw]) -> list[Raw]:
    next_offset: Counter[tuple[str, int]] = Counter()
    found = []
    for r in raws:
        found.append(replace(r, offset=next_offset[r.topic, r.partition]))
        next_offset[r.topic, r.partition] += 1
    return found


class _Recorder(Relay):
    """In the relay's place: everything counts as published, and is kept."""

    def __init__(self) -> None:
        self._published: dict[int, int] = {}
        self.rows: list[OutboxRow] = []

    def published(self) -> dict[int, int]:
        return dict(self._published)

    def take(self, lane: Lane) -> None:
        self._published[lane.number] = lane.stored_mark

    def reread(self, lanes: Iterable[int]) -> None: ...

    def drop(self, lanes: Iterable[int]) -> None: ...

    async def offer(self, rows: Iterable[OutboxRow]) -> None:
        for row in rows:
            self._published[row.lane] = row.number
            self.rows.append(row)


class _Timed:
    """The service, with the CPU time of `consume` measured; the rest is the kit's."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.name, self.topics, self.foreign = service.name, service.topics, service.foreign
        self.seconds = 0.0

    async def consume(self, work: Work) -> None:
        started = time.process_time()
        await self._service.consume(work)
        self.seconds += time.process_time() - started

    async def tick(self, work: Work) -> None:
        await self._service.tick(work)


class _Then:
    """A clock that stands where the recording is."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def now(self) -> datetime:
        return self.at


class Replay:
    """A service on a database of its own, fed with recorded batches; what it emits is kept."""

    def __init__(self, service: Service, pool: Pool) -> None:
        self.service = service
        self.pool = pool
        self.relay = _Recorder()
        self.pipeline = Pipeline(service, pool, self.relay)
        self._then = _Then()

    @classmethod
    @asynccontextmanager
    async def into(cls, service: Service, dsn: str) -> AsyncIterator["Replay"]:
        """Migrate the database, claim all lanes, and let the clock stand where the recording is."""
        pool = await connect(dsn, 2, application=service.name, settings=BY_KEY)
        try:
            await migrate(pool, ["shared.bus", f"services.{_PART[service.name]}"])
            replay = cls(service, pool)
            replay.pipeline.lanes_in_all = LANES
            await replay.pipeline.claim(range(LANES))
            clock._clock = replay._then  # type: ignore[assignment]
            calm_collector()
            yield replay
        finally:
            await pool.close()

    async def feed(self, raws: Sequence[Raw]) -> None:
        """Give the service what it reads of these, batch by batch."""
        mine = [raw for raw in raws if raw.topic in self.service.topics]
        for at in range(0, len(mine), BATCH):
            batch = mine[at : at + BATCH]
            self._then.at = datetime.fromtimestamp(batch[-1].timestamp / 1000, UTC)
            await self.pipeline.process([Record.of(raw) for raw in batch], _no_seek)

    async def postgres_seconds(self) -> float:
        """CPU seconds of the backends of this database."""
        async with self.pool.acquire() as one:
            rows = await one.fetch("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        return sum(machine.cpu_seconds(row["pid"]) for row in rows)


@asynccontextmanager
async def postgres_in(root: Path) -> AsyncIterator[tuple[Postgres, str]]:
    """A Postgres server of our own, and the password of its databases."""
    os.chmod(root, 0o755)  # noqa: PTH101, S103 - Postgres runs as another user
    secret = secrets.token_hex(8)
    server = Postgres(
        folder=root / "postgres", logs=root, password=secret, port=Ports(root / "ports.json").take("postgres")
    )
    await server.start(lambda _: None)
    try:
        yield server, secret
    finally:
        await server.stop()


async def measured(recording: Recording, services: Sequence[str], rounds: int, *, profile: bool = False) -> list[Cost]:
    """The least of some rounds for each service; each round starts from an empty database."""
    with tempfile.TemporaryDirectory(prefix="makegood-", ignore_cleanup_errors=True) as folder:
        async with postgres_in(Path(folder)) as (server, secret):
            best: dict[str, Cost] = {}
            for number in range(rounds):
                for name in services:
                    dsn = (await create_databases(server.dsn, [name], secret, f"r{number}_"))[name]
                    cost = await _replayed(recording, name, dsn, profile=profile)
                    if name not in best or cost.python_us < best[name].python_us:
                        best[name] = cost
            return list(best.values())


async def _replayed(recording: Recording, name: str, dsn: str, *, profile: bool) -> Cost:
    service = _Timed(import_module(f"services.{_PART[name]}.app").build())
    async with Replay.into(service, dsn) as replay:
        await replay.feed(recording.before)
        service.seconds = 0.0
        at_first, began = await replay.postgres_seconds(), time.process_time()
        with profiled(profile):
            await replay.feed(recording.after)
        spent, postgres = time.process_time() - began, await replay.postgres_seconds() - at_first
    digest = hashlib.blake2b(digest_size=6)
    emitted = 0
    for row in replay.relay.rows:
        for event in row.events:
            emitted += 1
            digest.update(repr((row.lane, event.topic, event.type, event.key, event.value)).encode())
    us = 1e6 / recording.claims
    return Cost(name, spent * us, service.seconds * us, postgres * us, emitted, digest.hexdigest())


@contextmanager
def profiled(wanted: bool) -> Iterator[None]:
    """Print cProfile's table of what is done meanwhile."""
    if not wanted:
        yield
        return
    with cProfile.Profile(time.process_time) as profiler:  # what others do on the machine is not counted
        yield
    pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


def _no_seek(topic: str, partition: int, offset: int) -> None:
    raise AssertionError(f"a gap in the recording: {topic}/{partition} at {offset}")


__all__ = ["Cost", "Recording", "Replay", "measured", "postgres_in", "profiled", "recording_in"]
