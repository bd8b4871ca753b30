"""A batch: open, load, decide, save. What is to be told becomes rows here; `courier` hands them to the mail server."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, cast

import msgspec
import structlog
from starlette.routing import Route

from services.notification import queue, store
from services.notification.courier import Courier
from services.notification.domain import NOTHING, Notice, sheet_of, turn
from services.notification.reading import (
    VIEWS,
    ClaimAdmitted,
    ClaimAssessed,
    ClaimDecided,
    ClaimRefused,
    ClaimSettled,
    CustomerContact,
    Occasion,
    read,
)
from services.notification.texts import routes
from shared import metrics
from shared.bus import Record, Work
from shared.bus.sweep import Sweep
from shared.db import Conn, Pool
from shared.events import BadEvent
from shared.events.topics import READERS, TYPES_OF
from shared.readout import MOST

log = structlog.get_logger(__name__)

NAME = "notification"
_MUCH: Final = 100
_LATE_SECONDS: Final = 0.25
"""A batch of so many records whose oldest has waited so long says that the service is behind with reading."""
_Turn = ClaimAssessed | ClaimDecided | ClaimSettled
_OfClaims = _Turn | ClaimAdmitted
"""What is kept in the claim's row. The frequent ones first: that an event is not of a class takes long to find out."""
Known = _OfClaims | ClaimRefused | CustomerContact


@dataclass(slots=True)
class _Batch:
    """What a batch changes."""

    work: Work
    claims: dict[store.Key, store.ClaimRow]
    changed: dict[store.Key, store.ClaimRow] = field(default_factory=dict)
    contacts: dict[store.Key, tuple[int, CustomerContact]] = field(default_factory=dict)
    arrived: set[store.Key] = field(default_factory=set)
    messages: list[tuple[object, ...]] = field(default_factory=list)


class Notification:
    """The notification service as the kit sees it."""

    name = NAME
    topics = READERS[NAME]
    foreign: frozenset[str] = frozenset()

    def __init__(self, courier: Courier, keep_mails: timedelta, mails_key: str) -> None:
        self._courier = courier
        self._keep_mails = keep_mails
        self._mails_key = mails_key

    async def consume(self, work: Work) -> None:
        """Keep what letters need and note what is to be told."""
        opened = _opened(work)
        keys = {(event.merchant, event.claim_id) for _, event in opened if isinstance(event, _OfClaims)}
        batch = _Batch(work, await store.load_claims(work.conn, keys) if keys else {})
        for record, event in opened:
            try:
                _take(batch, record, event)
            except Exception as bug:
                log.exception("record_failed", topic=record.topic, lane=record.partition, offset=record.offset)
                work.dead(record, f"handler: {type(bug).__name__}: {bug}")
        await _save(batch)
        if _behind(work):
            self._courier.make_way()
        self._courier.look(batch.arrived, wrote=bool(batch.messages))

    async def tick(self, work: Work) -> None:
        """Nothing is due in a transaction of the kit's: see `background`."""

    async def read_out(self, conn: Conn, lanes: Sequence[int], now: datetime) -> float:
        """Set the gauges of messages that wait; returns how many seconds the one due longest is overdue."""
        messages, written_at = await queue.pending(conn, lanes, MOST)
        metrics.MESSAGES_PENDING.set(messages)
        age = 0.0 if written_at is None else max(0.0, (now - written_at).total_seconds())
        metrics.MESSAGE_OLDEST_SECONDS.set(age)
        due = await queue.first_due(conn, lanes)
        return 0.0 if due is None else max(0.0, (now - due).total_seconds())

    def sweeps(self) -> tuple[Sweep, ...]:
        """The texts of mails have their time."""
        return (Sweep("mail_text", "sent_at", self._keep_mails),)

    def routes(self, pool: Pool) -> Sequence[Route]:
        """The texts of mails, for the console."""
        return routes(pool, self._mails_key)

    async def background(
        self, pool: Pool, unit: Callable[[], AbstractAsyncContextManager[Work]], stop: asyncio.Event
    ) -> None:
        """Hand over what is due, outside of any transaction, until `stop` is set."""
        await self._courier.run(pool, unit, stop)


def _opened(work: Work) -> list[tuple[Record, Known]]:
    """The records that mean something here, with their events; the others are passed over, or dead letters."""
    opened: list[tuple[Record, Known]] = []
    ignored = 0
    for record in work.records:
        if record.type in VIEWS and record.type in TYPES_OF[record.topic]:
            try:
                opened.append((record, cast("Known", read(record.type, record.value or b""))))
            except BadEvent as bad:
                work.dead(record, bad.message, bad.path)
        elif record.type in TYPES_OF[record.topic]:
            ignored += 1
        else:
            work.dead(record, f"ce_type: {record.type!r:.150} is not a type of {record.topic}")
    if ignored:
        work.count("ignored", ignored)
    return opened


def _behind(work: Work) -> bool:
    """Whether what came had to wait to be read, and was much: one by one, or by clocks that differ, nothing is late."""
    if len(work.records) < _MUCH:
        return False
    waited = work.now.timestamp() - min(record.timestamp_ms for record in work.records) / 1000
    return waited >= _LATE_SECONDS


async def _save(batch: _Batch) -> None:
    conn = batch.work.conn
    if batch.changed:
        await store.save_claims(conn, batch.changed.values())
    if batch.contacts:
        await store.save_contacts(conn, batch.contacts.values())
    if batch.messages:
        await store.add_messages(conn, batch.messages)


def _take(batch: _Batch, record: Record, event: Known) -> None:
    match event:
        case ClaimAssessed() | ClaimDecided() | ClaimSettled():
            _turn(batch, record, event)
        case ClaimAdmitted():
            sheet = msgspec.json.encode(sheet_of(event)).decode()
            claim = _claim(batch, record, event)
            claim.lane, claim.order_id, claim.sheet = record.partition, event.order_id, sheet
            batch.changed[event.merchant, event.claim_id] = claim
            batch.arrived.add((event.merchant, event.order_id))
        case ClaimRefused():
            _, notice = turn(NOTHING, event, f"{record.source}#{record.id}")
            if notice is not None:
                _tell(batch, record, event, notice)
        case CustomerContact():
            batch.contacts[event.merchant, event.order_id] = (record.partition, event)
            batch.arrived.add((event.merchant, event.order_id))


def _turn(batch: _Batch, record: Record, event: _Turn) -> None:
    claim = _claim(batch, record, event)
    told, notice = turn(claim.told, event, "")
    if notice is not None:
        if told.knows(notice):
            batch.work.count("duplicate")
        else:
            _tell(batch, record, event, notice)
            told = told.having(notice)
    if told is not claim.told:
        claim.told = told
        batch.changed[event.merchant, event.claim_id] = claim


def _claim(batch: _Batch, record: Record, event: _OfClaims) -> store.ClaimRow:
    key = (event.merchant, event.claim_id)
    claim = batch.claims.get(key)
    if claim is None:
        claim = batch.claims[key] = store.ClaimRow(*key, record.partition, event.order_id)
    return claim


def _tell(batch: _Batch, record: Record, event: Occasion, notice: Notice) -> None:
    work = batch.work
    batch.messages.append(
        (
            event.merchant,
            event.claim_id,
            record.partition,
            work.now,
            notice.notification_id,
            event.order_id,
            notice.template,
            record.type,
            record.value,
            work.traceparent_of(record),
            work.now,
        )
    )
    work.history(event.merchant, event.claim_id, f"to tell: {notice.template}", cause=record)
    work.count("to_tell")
