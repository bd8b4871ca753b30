"""The console as a service of the kit: every topic in, the read model out."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import asyncpg
import structlog

from services.console import errands, gauges, store
from services.console.domain import fold, seen
from services.console.facts import ClaimFacts
from services.console.figures import TempoKey, change, counters, tempo, tempo_change
from services.console.letters import Closing, Letter, read_closing, read_letter
from services.console.page import Page
from services.console.store import ClaimKey, Entry
from shared.bus import Record, Work
from shared.bus.pipeline import INFRASTRUCTURE
from shared.db import Conn, Pool
from shared.events import BadEvent, ClaimAssessed, ClaimDecided, Event, parse_data
from shared.events.envelope import open_input
from shared.events.topics import INPUT_TOPICS, OUTPUT_TOPICS, dlq_topics

log = structlog.get_logger(__name__)

Unit = Callable[[], AbstractAsyncContextManager[Work]]

_STRUCTURED = "application/cloudevents+json"


class AboutOrder(Protocol):
    """What every event of the contract has."""

    @property
    def merchant(self) -> str: ...
    @property
    def order_id(self) -> str: ...


@dataclass(slots=True)
class Batch:
    """What a batch of records leads to, before it is written."""

    entries: list[Entry] = field(default_factory=list)
    events: list[tuple[ClaimKey, Record, Event]] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    policies: dict[tuple[str, int, str], int] = field(default_factory=dict)
    unreadable: int = 0

    def add(self, record: Record) -> None:
        """Read one record. What intake will refuse is left to its dead letter."""
        if record.topic.endswith(".dlq"):
            self.letters.append(read_letter(record))
            return
        if record.redrive:
            if (closing := read_closing(record)) is not None:
                self.closings.append(closing)
            return
        try:
            event, source, event_id, traceparent = _open(record)
        except BadEvent:
            self.unreadable += 1
            return
        order: AboutOrder = event  # type: ignore[assignment]  # every type of the contract names its order
        claim_id: str | None = getattr(event, "claim_id", None)
        structured = record.content_type.partition(";")[0].strip().lower() == _STRUCTURED
        self.entries.append(
            Entry(
                record.topic,
                record.partition,
                record.offset,
                record.timestamp_ms,
                order.merchant,
                order.order_id,
                claim_id,
                event.type,
                source,
                event_id,
                traceparent,
                structured,
                record.value or b"",
            )
        )
        if claim_id is not None:
            self.events.append(((order.merchant, claim_id), record, event))
        if isinstance(event, ClaimAssessed | ClaimDecided) and event.policy is not None:
            key = (event.policy.id, event.policy.version, event.policy.digest)
            self.policies[key] = min(self.policies.get(key, record.timestamp_ms), record.timestamp_ms)


def _open(record: Record) -> tuple[Event, str, str, str]:
    """The event with its source, id and traceparent. Raises `BadEvent`."""
    if record.topic in INPUT_TOPICS:
        envelope = open_input(record.topic, record.headers, record.value)
        return envelope.data, envelope.source, envelope.id, envelope.traceparent
    if record.value is None:
        raise BadEvent("$", "there is no value")
    return parse_data(record.type, record.value), record.source, record.id, record.traceparent


class Console:
    """Reads all topics; a record that cannot be folded is noted and never stops the others."""

    name = "console"
    topics = (*INPUT_TOPICS, *OUTPUT_TOPICS, *dlq_topics())
    foreign = frozenset((*INPUT_TOPICS, *dlq_topics()))
    watches = True

    def __init__(self, page: Page | None = None, stuck_after: timedelta = gauges.STUCK_AFTER) -> None:
        self._page = page
        self._stuck_after = stuck_after

    async def consume(self, work: Work) -> None:
        """Fold a batch; where that fails, each record for itself."""
        await store.lock(work.conn)
        try:
            async with work.conn.transaction():
                await self._fold(work, work.records)
        except INFRASTRUCTURE:
            raise
        except Exception as bug:
            log.exception("batch_not_folded_one_by_one", error=repr(bug), records=len(work.records))
            for record in work.records:
                await self._fold_alone(work, record)

    async def tick(self, work: Work) -> None:
        """Emit what people did on the page."""
        await errands.run(work)

    async def read_out(self, conn: Conn, lanes: Sequence[int], now: datetime) -> float:
        """Set the metrics of claims; the console has no timers."""
        await gauges.read_out(conn, now, self._stuck_after)
        return 0.0

    async def background(self, pool: Pool, unit: Unit, stop: asyncio.Event) -> None:
        """Serve the page until `stop` is set."""
        if self._page is None:
            await stop.wait()
        else:
            await self._page.keep(stop)

    def readiness(self) -> dict[str, bool]:
        """The console is ready when its page answers, too."""
        return {} if self._page is None else {"page": self._page.listening}

    async def _fold_alone(self, work: Work, record: Record) -> None:
        try:
            async with work.conn.transaction():
                await self._fold(work, [record])
        except INFRASTRUCTURE:
            raise
        except (
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
        ) as error:
            work.count("unfolded")
            log.error("record_not_folded", topic=record.topic, lane=record.partition, offset=record.offset)
            await store.save_unfolded(work.conn, record.topic, record.partition, record.offset, repr(error))

    async def _fold(self, work: Work, records: Sequence[Record]) -> None:
        batch = Batch()
        for record in records:
            batch.add(record)
        before, after = await self._fold_claims(work.conn, batch)
        count: dict[str, int] = {}
        pace: dict[TempoKey, int] = {}
        sums, times = Counter(count), Counter(pace)
        for key, facts in after.items():
            sums.update(change(counters(before.get(key)), counters(facts)))
            times.update(tempo_change(tempo(before.get(key)), tempo(facts)))
        sums.update({f"letters:{service}": n for service, n in Counter(x.service for x in batch.letters).items()})
        await store.append_entries(work.conn, batch.entries)
        await store.save_claims(work.conn, after)
        await store.add_to_counters(work.conn, {name: n for name, n in sums.items() if n})
        await store.add_to_tempo(work.conn, {key: n for key, n in times.items() if n})
        await store.save_letters(work.conn, batch.letters)
        await store.close_letters(work.conn, batch.letters, batch.closings)
        await store.save_policies(work.conn, batch.policies)
        if batch.unreadable:
            work.count("unreadable", batch.unreadable)

    async def _fold_claims(
        self, conn: Conn, batch: Batch
    ) -> tuple[dict[ClaimKey, ClaimFacts], dict[ClaimKey, ClaimFacts]]:
        """What was known of the batch's claims, and what is known now of those that changed."""
        told = [
            (key, what)
            for key, record, event in batch.events
            if (what := seen(record.topic, (record.timestamp_ms, record.partition, record.offset), event)) is not None
        ]
        before = await store.load_claims(conn, sorted({key for key, _ in told})) if told else {}
        after: dict[ClaimKey, ClaimFacts] = {}
        for key, what in told:
            after[key] = fold(after.get(key) or before.get(key), what)
        return before, {key: facts for key, facts in after.items() if facts != before.get(key)}


__all__ = ["Console", "Unit"]
