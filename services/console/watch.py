"""What the Now page shows, gathered once a second for everybody who looks."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

import asyncpg
import httpx2
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pydantic import BaseModel

from services.console import queries, resolutions
from services.console.facts import STAGES
from services.console.figures import quantile
from services.console.queries import ClaimBrief
from shared import clock
from shared.bus.markers import LOOKING, without_records
from shared.db import Pool
from shared.events.topics import READERS
from shared.events.topics import REFUNDS as EXACTLY_ONCE_TOPIC

log = structlog.get_logger(__name__)

CHART_MINUTES = 60
PACE_MINUTES = 15
_EVERY = 1.0
_KAFKA_EVERY = 3.0
_LIMIT = 10.0


class StageShown(BaseModel):
    """A stage of the funnel: how many ever reached it, how many a minute lately, and how old they were then (ms)."""

    stage: str
    total: int
    last_minute: int
    per_minute: float
    p50_ms: int | None
    p95_ms: int | None


class ServiceShown(BaseModel):
    """A service: whether it works, and how many records it has not read. `None`: not known."""

    name: str
    up: bool | None
    lag: int | None
    dead_letters: int
    outbox_events: int | None = None
    outbox_seconds: float | None = None


class Act(BaseModel):
    """Something that a person has to act on. `what` names it; `n`: how many."""

    what: str
    n: int
    path: str


class Now(BaseModel):
    """The Now page."""

    at: datetime
    stages: list[StageShown]
    states: dict[str, int]
    services: list[ServiceShown]
    console_lag: int | None
    stuck: ClaimBrief | None
    stuck_n: int
    overdue: int
    dead_letters: int
    notices_failed: int
    unfolded: int
    recent: list[ClaimBrief]
    minutes: list[int]
    chart: dict[str, list[int]]
    act: list[Act]


class Watch:
    """Holds the latest `Now`; `wait` wakes when there is a newer one."""

    def __init__(self, pool: Pool, kafka: str, health: Mapping[str, str], stuck_seconds: float) -> None:
        self._pool = pool
        self._kafka = kafka
        self._health = health
        self._stuck = timedelta(seconds=stuck_seconds)
        self._services: dict[str, ServiceShown] = {}
        self._read: dict[TopicPartition, tuple[int, int]] = {}
        self._changed = asyncio.Condition()
        self._kafka_due = 0.0
        self.now: Now | None = None

    async def wait(self, seen: datetime | None, limit: float = 5.0) -> Now | None:
        """The latest figures, as soon as they are newer than `seen`; None after `limit` seconds without."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit), self._changed:
                await self._changed.wait_for(lambda: self.now is not None and self.now.at != seen)
                return self.now
        return None

    async def run(self, stop: asyncio.Event) -> None:
        """Gather until `stop`; what does not answer is shown as not known and asked again."""
        brokers = asyncio.create_task(self._watch_services(stop))
        try:
            while not stop.is_set():
                try:
                    gathered = await self.gather()
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    log.warning("figures_not_gathered", error=repr(error))
                else:
                    async with self._changed:
                        self.now = gathered
                        self._changed.notify_all()
                await _pause(stop, _EVERY)
        finally:
            brokers.cancel()
            await asyncio.gather(brokers, return_exceptions=True)

    async def gather(self) -> Now:
        """The figures as they are now."""
        now = clock.now()
        minute = int(now.timestamp() // 60)
        now_ms = int(now.timestamp() * 1000)
        async with self._pool.acquire(timeout=5) as conn:
            counters = await queries.counters(conn)
            paces = await queries.tempo(conn, minute - CHART_MINUTES)
            stuck, stuck_n = await queries.stuck(conn, int((now - self._stuck).timestamp() * 1000))
            overdue = await queries.overdue(conn, now_ms)
            resolved = await resolutions.resolved(conn)
            recent = await queries.claims(conn, queries.Search(), 10)
            unfolded = await queries.unfolded(conn)
        letters = {
            service: max(0, counters.get(f"letters:{service}", 0) - resolved.get(service, 0)) for service in READERS
        }
        services = [
            self._services.get(name, ServiceShown(name=name, up=None, lag=None, dead_letters=0)).model_copy(
                update={"dead_letters": letters.get(name, 0)}
            )
            for name in (*READERS, "console")
        ]
        states = {name.removeprefix("state:"): n for name, n in counters.items() if name.startswith("state:")}
        found = Now(
            at=now,
            stages=stages_shown(counters, paces, minute),
            states=states,
            services=services,
            console_lag=services[-1].lag,
            stuck=stuck,
            stuck_n=stuck_n,
            overdue=overdue,
            dead_letters=sum(letters.values()),
            notices_failed=counters.get("notices_failed", 0),
            unfolded=unfolded,
            recent=recent,
            minutes=list(range(minute - CHART_MINUTES + 1, minute + 1)),
            chart=chart(paces, minute),
            act=[],
        )
        return found.model_copy(update={"act": acts(found)})

    async def _watch_services(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._ask_broker(stop)
            except (KafkaError, OSError, TimeoutError, ValueError) as error:  # ValueError: an answer it cannot read
                log.info("lag_not_known", error=repr(error))
                self._services = {}
            await _pause(stop, _KAFKA_EVERY)

    async def _ask_broker(self, stop: asyncio.Event) -> None:
        """Ask for the groups' positions until something fails; the clients are kept meanwhile."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._kafka, request_timeout_ms=int(_LIMIT * 1000))
        consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka, request_timeout_ms=int(_LIMIT * 1000), **LOOKING)
        try:
            async with asyncio.timeout(_LIMIT):
                await admin.start()
                await consumer.start()
            async with httpx2.AsyncClient(timeout=2.0) as http:
                while not stop.is_set():
                    async with asyncio.timeout(_LIMIT):
                        self._services = await self._services_now(admin, consumer, http)
                    await _pause(stop, _KAFKA_EVERY)
        finally:
            await consumer.stop()
            await admin.close()

    async def _services_now(
        self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, http: httpx2.AsyncClient
    ) -> dict[str, ServiceShown]:
        committed = {name: await admin.list_consumer_group_offsets(name) for name in (*READERS, "console")}
        topics = sorted({topic for topics in READERS.values() for topic in topics})
        every = {TopicPartition(topic, lane) for topic in topics for lane in await _lanes(admin, topic)}
        ends = await consumer.end_offsets(sorted(every | {tp for each in committed.values() for tp in each}))
        shown = {}
        for name, offsets in committed.items():
            mine = {tp for tp in every if tp.topic in READERS[name]} if name in READERS else set(offsets)
            positions = {tp: offsets[tp].offset if tp in offsets else 0 for tp in mine}
            rests = {tp: (position, ends[tp]) for tp, position in positions.items() if position < ends[tp]}
            read = await self._without_records(consumer, rests)
            lag = sum(end - position for tp, (position, end) in rests.items() if tp not in read)
            shown[name] = ServiceShown(name=name, up=True if name == "console" else None, lag=lag, dead_letters=0)
        for name, address in self._health.items():
            if name in shown:
                shown[name] = shown[name].model_copy(update=await _ask_health(http, address))
        return shown

    async def _without_records(
        self, consumer: AIOKafkaConsumer, rests: Mapping[TopicPartition, tuple[int, int]]
    ) -> set[TopicPartition]:
        """Where only markers of transactions are left; what was found once is not looked at again."""
        marked = {tp: rest for tp, rest in rests.items() if tp.topic == EXACTLY_ONCE_TOPIC}
        new = {tp: rest for tp, rest in marked.items() if self._read.get(tp) != rest}
        if new:
            self._read.update({tp: new[tp] for tp in await without_records(consumer, new)})
        return {tp for tp, rest in marked.items() if self._read.get(tp) == rest}


async def _lanes(admin: AIOKafkaAdminClient, topic: str) -> list[int]:
    described = await admin.describe_topics([topic])
    return [one["partition"] for found in described if found["error_code"] == 0 for one in found["partitions"]]


async def _ask_health(http: httpx2.AsyncClient, address: str) -> dict[str, object]:
    """Whether the service says it is ready, and what waits in its outbox, from its own metrics."""
    try:
        ready = await http.get(f"{address}/ready")
        metrics = await http.get(f"{address}/metrics")
    except httpx2.HTTPError:
        return {"up": False}
    said: dict[str, float] = defaultdict(float)
    for line in metrics.text.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("makegood_outbox_"):
            with suppress(ValueError):
                said[name.partition("{")[0]] += float(value)
    found: dict[str, object] = {"up": ready.status_code == 200}
    if "makegood_outbox_events" in said:
        found["outbox_events"] = int(said["makegood_outbox_events"])
    if "makegood_outbox_oldest_seconds" in said:
        found["outbox_seconds"] = said["makegood_outbox_oldest_seconds"]
    return found


def stages_shown(counters: Mapping[str, int], paces: list[tuple[int, str, int, int]], minute: int) -> list[StageShown]:
    """The funnel from the counters and the tempo of the last minutes; the running minute is not whole and is left out
    of the rate."""
    shown = []
    for stage in STAGES:
        lately = [(m, bucket, n) for m, name, bucket, n in paces if name == stage and m > minute - PACE_MINUTES]
        ages: dict[int, int] = defaultdict(int)
        for _, bucket, n in lately:
            ages[bucket] += n
        whole = sum(n for m, _, n in lately if minute - 5 <= m < minute)
        shown.append(
            StageShown(
                stage=stage,
                total=counters.get(f"reached:{stage}", 0),
                last_minute=sum(n for m, _, n in lately if m >= minute - 1),
                per_minute=round(whole / 5, 1),
                p50_ms=quantile(ages, 0.5),
                p95_ms=quantile(ages, 0.95),
            )
        )
    return shown


def chart(paces: list[tuple[int, str, int, int]], minute: int) -> dict[str, list[int]]:
    """Counts per minute of the last hour, for the stages that tell most."""
    lines = {stage: [0] * CHART_MINUTES for stage in ("received", "decided", "paid")}
    for m, stage, _, n in paces:
        place = m - (minute - CHART_MINUTES + 1)
        if stage in lines and 0 <= place < CHART_MINUTES:
            lines[stage][place] += n
    return lines


def acts(now: Now) -> list[Act]:
    """What somebody must act on, the most urgent first."""
    down = [service for service in now.services if service.up is False]
    found = [
        Act(what="services_down", n=len(down), path="/now"),
        Act(what="stuck", n=now.stuck_n, path="/claims?due=stuck"),
        Act(what="dead_letters", n=now.dead_letters, path="/dead-letters"),
        Act(what="reviews", n=now.states.get("review", 0), path="/todo"),
        Act(what="overdue", n=now.overdue, path="/claims?due=past"),
        Act(what="unfolded", n=now.unfolded, path="/now"),
    ]
    return [act for act in found if act.n]


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
