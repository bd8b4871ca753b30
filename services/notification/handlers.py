"""A batch: open, load, decide, save. What is to be told becomes rows here; `courier` hands them to the mail server."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import cast

import structlog

from services.notification import store
from services.notification.courier import Courier
from services.notification.domain import Occasion, Told, sheet_of, turn
from shared import metrics
from shared.bus import Record, Work
from shared.bus.sweep import Sweep
from shared.db import Conn, Pool
from shared.events import (
    BadEvent,
    ClaimAdmitted,
    ClaimAssessed,
    ClaimDecided,
    ClaimRefused,
    ClaimSettled,
    CustomerContact,
    Event,
    parse,
)
from shared.events.topics import READERS, TYPES_OF
from shared.readout import MOST

log = structlog.get_logger(__name__)

NAME = "notification"
KEEP_MESSAGES = timedelta(days=400)

_READ: Mapping[str, type[Event]] = {
    model.type: model
    for model in (CustomerContact, ClaimAdmitted, ClaimRefused, ClaimAssessed, ClaimDecided, ClaimSettled)
}
"""The types that mean something here; the other types of these topics are passed over unread."""


@dataclass(slots=True)
class _Batch:
    """What a batch changes."""

    claims: dict[store.Key, store.ClaimRow]
    changed: set[store.Key] = field(default_factory=set)
    contacts: dict[store.Key, tuple[int, CustomerContact]] = field(default_factory=dict)
    arrived: set[store.Key] = field(default_factory=set)
    messages: dict[str, tuple[Record, store.NewMessage]] = field(default_factory=dict)


class Notification:
    """The notification service as the kit sees it."""

    name = NAME
    topics = READERS[NAME]
    foreign: frozenset[str] = frozenset()

    def __init__(self, courier: Courier, keep_messages: timedelta = KEEP_MESSAGES) -> None:
        self._courier = courier
        self._keep_messages = keep_messages

    def sweeps(self) -> tuple[Sweep, ...]:
        """Messages whose outcome is known and published are forgotten in time."""
        return (Sweep("message", "closed_at", self._keep_messages, "state IN ('sent', 'failed')"),)

    async def consume(self, work: Work) -> None:
        """Keep what letters need and note what is to be told."""
        opened = [(record, event) for record in work.records if (event := _open(work, record)) is not None]
        keys = {(event.merchant, event.claim_id) for _, event in opened if not isinstance(event, CustomerContact)}
        batch = _Batch(await store.load_claims(work.conn, keys) if keys else {})
        for record, event in opened:
            try:
                _take(batch, record, event, work.traceparent_of)
            except Exception as bug:
                log.exception("record_failed", topic=record.topic, lane=record.partition, offset=record.offset)
                work.dead(record, f"handler: {type(bug).__name__}: {bug}")
        await self._save(work, batch)

    async def tick(self, work: Work) -> None:
        """Nothing is due in a transaction of the kit's: see `background`."""

    async def read_out(self, conn: Conn, lanes: Sequence[int], now: datetime) -> float:
        """Set the gauges of messages that wait; returns how many seconds the one due longest is overdue."""
        messages, written_at = await store.pending(conn, lanes, MOST)
        metrics.MESSAGES_PENDING.set(messages)
        age = 0.0 if written_at is None else max(0.0, (now - written_at).total_seconds())
        metrics.MESSAGE_OLDEST_SECONDS.set(age)
        due = await store.first_due(conn, lanes)
        return 0.0 if due is None else max(0.0, (now - due).total_seconds())

    async def background(
        self, pool: Pool, unit: Callable[[], AbstractAsyncContextManager[Work]], stop: asyncio.Event
    ) -> None:
        """Hand over what is due, outside of any transaction, until `stop` is set."""
        await self._courier.run(pool, unit, stop)

    async def _save(self, work: Work, batch: _Batch) -> None:
        if batch.changed:
            await store.save_claims(work.conn, [batch.claims[key] for key in batch.changed])
        if batch.contacts:
            await store.save_contacts(work.conn, batch.contacts.values())
        if batch.messages:
            new = await store.add_messages(work.conn, [message for _, message in batch.messages.values()], work.now)
            for notification_id, (record, message) in batch.messages.items():
                if notification_id in new:
                    work.history(message.merchant, message.claim_id, f"to tell: {message.template}", cause=record)
                    work.count("to_tell")
                else:
                    work.count("duplicate")
        if batch.arrived:
            await store.hasten(work.conn, batch.arrived, work.now)


_Known = CustomerContact | ClaimAdmitted | ClaimRefused | ClaimAssessed | ClaimDecided | ClaimSettled


def _open(work: Work, record: Record) -> _Known | None:
    """The event of a record, None where it means nothing here or is a dead letter."""
    if record.type not in TYPES_OF[record.topic]:
        work.dead(record, f"ce_type: {record.type!r:.150} is not a type of {record.topic}")
        return None
    model = _READ.get(record.type)
    if model is None:
        work.count("ignored")
        return None
    try:
        return cast(_Known, parse(model, record.value or b""))
    except BadEvent as bad:
        work.dead(record, bad.message, bad.path)
        return None


def _take(batch: _Batch, record: Record, event: _Known, trace: Callable[[Record], str]) -> None:
    if isinstance(event, CustomerContact):
        batch.contacts[event.merchant, event.order_id] = (record.partition, event)
        batch.arrived.add((event.merchant, event.order_id))
        return
    key = (event.merchant, event.claim_id)
    claim = batch.claims.get(key) or store.ClaimRow(
        event.merchant, event.claim_id, record.partition, event.order_id, Told(), None
    )
    if isinstance(event, ClaimAdmitted):
        sheet = sheet_of(event).model_dump_json()
        batch.claims[key] = replace(claim, lane=record.partition, order_id=event.order_id, sheet=sheet)
        batch.changed.add(key)
        batch.arrived.add((event.merchant, event.order_id))
        return
    _tell(batch, record, event, claim, trace)


def _tell(
    batch: _Batch, record: Record, event: Occasion, claim: store.ClaimRow, trace: Callable[[Record], str]
) -> None:
    key = (event.merchant, event.claim_id)
    told, notice = turn(claim.told, event, f"{record.source}#{record.id}")
    if told != claim.told:
        batch.claims[key] = replace(claim, told=told)
        batch.changed.add(key)
    if notice is not None:
        batch.messages.setdefault(
            notice.notification_id,
            (
                record,
                store.NewMessage(
                    notification_id=notice.notification_id,
                    lane=record.partition,
                    merchant=event.merchant,
                    order_id=event.order_id,
                    claim_id=event.claim_id,
                    template=notice.template,
                    event_type=record.type,
                    event=(record.value or b"").decode("utf-8"),
                    traceparent=trace(record),
                ),
            ),
        )
