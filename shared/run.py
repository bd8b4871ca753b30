"""Runs one service: pool, migrations, relay, subscriber, timers, health; SIGTERM drains and ends with 0."""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from typing import Protocol, runtime_checkable

import structlog
import uvloop
from starlette.routing import BaseRoute

from shared import log as logs
from shared import metrics, tracing
from shared.bus.host import Host, TopicsUnfit, lanes_in_all
from shared.bus.pipeline import Pipeline, Service
from shared.bus.relay import Relay
from shared.bus.sweep import HasSweeps, Sweeper, kit_sweeps
from shared.bus.work import Work
from shared.db import BY_KEY, Conn, Pool, connect, migrate
from shared.health import HealthServer, State, age, serve_health
from shared.policy.problem import PolicyError
from shared.readout import Readout
from shared.settings import Settings

log = structlog.get_logger(__name__)

_POLL_LIMIT = 120.0
EXACTLY_ONCE_TOPIC = "refunds.v1"


@runtime_checkable
class HasBackground(Protocol):
    """A service with work of its own beside the consumer (sending mails)."""

    async def background(
        self, pool: Pool, unit: Callable[[], AbstractAsyncContextManager[Work]], stop: asyncio.Event
    ) -> None:
        """Run until `stop` is set; `unit()` opens a unit of work over all lanes owned."""


@runtime_checkable
class HasReadiness(Protocol):
    """A service that is ready only when something of its own is (the console's page)."""

    def readiness(self) -> State:
        """Facts for `/ready`, which says yes when every one of type bool is true."""


@runtime_checkable
class HasRoutes(Protocol):
    """A service that answers more than health at its health address (the texts of mails)."""

    def routes(self, pool: Pool) -> Sequence[BaseRoute]:
        """What it answers. Whoever reaches the port can ask: each route sees to it who may."""


@runtime_checkable
class HasPromises(Protocol):
    """A service that has something to look at in its database before its first batch."""

    async def begin(self, conn: Conn) -> None:
        """Raises `PolicyError` where the service must not start with the policies it has."""


def main(build: Callable[[], Service]) -> None:
    """Entry point of `python -m services.<name>`; with the argument `migrate` it only prepares the database."""
    settings = Settings()
    service = build()
    logs.configure(settings, service.name)
    job = bring_up_to_date if sys.argv[1:] == ["migrate"] else serve
    sys.exit(uvloop.run(job(service, settings)))


def migration_packages(service: Service) -> list[str]:
    """The packages whose migrations make the service's database: the kit's and its own."""
    return ["shared.bus", type(service).__module__.rpartition(".")[0]]


async def bring_up_to_date(service: Service, settings: Settings) -> int:
    """Run the service's migrations and end."""
    pool = await connect(settings.database, 1, application=f"{service.name}-migrate")
    try:
        done = await migrate(pool, migration_packages(service))
    finally:
        await pool.close()
    log.info("up_to_date", migrations=done)
    return 0


async def serve(service: Service, settings: Settings) -> int:
    """Run the service until SIGTERM or SIGINT (0), or until something failed for good (1)."""
    stop = asyncio.Event()
    metrics.begin(service.name)
    tracing.begin(settings, service.name)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    pool = await connect(
        settings.database,
        settings.database_connections,
        application=f"{service.name}-{settings.replica}",
        settings=BY_KEY,
    )
    for name in await migrate(pool, migration_packages(service)):
        log.info("migrated", migration=name)
    if isinstance(service, HasPromises) and not await _may_begin(service, pool):
        await pool.close()
        return 1
    relay = Relay(service.name, settings.kafka, pool, EXACTLY_ONCE_TOPIC)
    pipeline = Pipeline(service, pool, relay, retry_limit=settings.retry_seconds)
    host = Host(service, pipeline, settings)
    calm_collector()
    running = _Running(service, settings, pool, relay, pipeline, host, stop)
    try:
        pipeline.lanes_in_all = await lanes_in_all(settings.kafka, service.topics)
        return await running.until_stopped()
    except TopicsUnfit as unfit:
        log.error("topics_unfit", error=str(unfit))
        return 1
    finally:
        await pool.close()
        await asyncio.to_thread(tracing.end)


async def _may_begin(service: HasPromises, pool: Pool) -> bool:
    try:
        async with pool.acquire(timeout=30) as conn:
            await service.begin(conn)
    except PolicyError as error:
        log.error("policies_unfit", problems=[str(problem) for problem in error.problems])
        return False
    return True


def calm_collector() -> None:
    """Keep the garbage collector away from what lives as long as the process.

    A batch makes tens of thousands of objects, none of them in cycles; at the default threshold the collector walks
    the policies, the models and the batch again and again, for about a third of the services' time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


class _Running:
    def __init__(
        self,
        service: Service,
        settings: Settings,
        pool: Pool,
        relay: Relay,
        pipeline: Pipeline,
        host: Host,
        stop: asyncio.Event,
    ) -> None:
        self._service = service
        self._settings = settings
        self._pool = pool
        self._relay = relay
        self._pipeline = pipeline
        self._host = host
        self._stop = stop

    async def until_stopped(self) -> int:
        more = self._service.routes(self._pool) if isinstance(self._service, HasRoutes) else ()
        health = serve_health(self._settings, self._live, self._ready, more)
        stop_timers = asyncio.Event()
        tasks = {
            "relay": asyncio.create_task(self._relay.run()),
            "timers": asyncio.create_task(self._timers(stop_timers)),
            "readout": asyncio.create_task(
                Readout(self._service, self._pool, self._pipeline).run(stop_timers, self._settings.readout_seconds)
            ),
            "sweeper": asyncio.create_task(self._sweeper().run(stop_timers, self._settings.sweep_seconds)),
            "health": asyncio.create_task(health.serve()),
        }
        if isinstance(self._service, HasBackground):
            tasks["background"] = asyncio.create_task(
                self._service.background(self._pool, self._pipeline.unit, stop_timers)
            )
        waiters = {
            asyncio.create_task(self._stop.wait()),
            asyncio.create_task(self._pipeline.stopping.wait()),
            *tasks.values(),
        }
        await self._host.start()
        log.info("service_started", topics=self._service.topics)
        await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        failed = self._failure(tasks)
        await self._drain(health, stop_timers, tasks.get("background"))
        for task in (*waiters, *tasks.values()):
            task.cancel()
        await asyncio.gather(*waiters, *tasks.values(), return_exceptions=True)
        log.info("service_stopped", failed=failed)
        return 1 if failed else 0

    def _sweeper(self) -> Sweeper:
        settings = self._settings
        sweeps = kit_sweeps(timedelta(days=settings.keep_history_days), timedelta(days=settings.keep_letters_days))
        if isinstance(self._service, HasSweeps):
            sweeps += tuple(self._service.sweeps())
        return Sweeper(self._service.name, self._pool, sweeps)

    def _failure(self, tasks: dict[str, asyncio.Task[None]]) -> bool:
        if self._host.failure is not None:
            log.error("gave_up", error=str(self._host.failure))
            return True
        for name, task in tasks.items():
            if task.done() and not self._stop.is_set():
                log.error(
                    "task_ended", task=name, error=repr(task.exception()) if not task.cancelled() else "cancelled"
                )
                return True
        return False

    async def _drain(
        self, health: HealthServer, stop_timers: asyncio.Event, background: asyncio.Task[None] | None
    ) -> None:
        """Finish the batch in hand, publish what is committed, tell Kafka the positions; each step within its limit."""
        log.info("draining")
        stop_timers.set()
        if background is not None:  # a mail on the line is finished: cut off, it would be sent again
            await asyncio.wait({background}, timeout=self._settings.drain_seconds)
        await self._within(self._stop_consuming())
        if await self._relay.drain(self._settings.drain_seconds):
            await self._within(self._pipeline.store_marks())
            await self._within(self._host.commit_positions())
        self._pipeline.stopping.set()
        await self._within(self._host.broker.stop())
        await self._relay.stop()
        health.should_exit = True

    async def _stop_consuming(self) -> None:
        subscriber = self._host.subscriber
        subscriber.running = False
        await subscriber.lock.wait_release(self._settings.drain_seconds)  # type: ignore[attr-defined]  # a MultiLock once started
        await self._host.commit_positions()

    async def _within(self, step: Awaitable[None]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_seconds):
                await step

    async def _timers(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.tick_seconds):
                    await stop.wait()
            if not stop.is_set():
                await self._pipeline.tick()
                await self._host.commit_positions()

    def _live(self) -> State:
        stalled = (
            self._relay.failing_since is not None and age(self._relay.failing_since) > self._settings.retry_seconds
        )
        polled = self._host.seconds_since_poll()
        return {
            "relay": not stalled,
            "polling": polled < _POLL_LIMIT or self._pipeline.retrying,
            "seconds_since_poll": polled,
        }

    def _ready(self) -> State:
        consumer = self._host.subscriber.consumer
        assigned = consumer.assignment() if consumer is not None else set()
        return {
            "assigned": self._host.assigned,
            "lanes_claimed": {tp.partition for tp in assigned} == set(self._pipeline.owned),
            "publishing": self._relay.failing_since is None,
            "running": not self._stop.is_set(),
            "lanes": len(self._pipeline.owned),
            "seconds_since_progress": age(self._pipeline.last_progress),
            **(self._service.readiness() if isinstance(self._service, HasReadiness) else {}),
        }


__all__ = ["HasBackground", "main", "serve"]
