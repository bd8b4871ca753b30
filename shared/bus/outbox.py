"""Events on their way out: how a transaction's events lie in one outbox row, and how they look in Kafka."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import ormsgpack

Headers = list[tuple[str, bytes]]


@dataclass(slots=True)
class Outgoing:
    """One event to publish. `number` is its place in its lane. A dead letter brings its own headers."""

    number: int
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    type: str
    subject: str
    traceparent: str
    headers: Headers | None = None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """The events of one transaction and lane, in order; `number` is that of the last one."""

    lane: int
    number: int
    events: tuple[Outgoing, ...]
    written_at: datetime

    @property
    def first(self) -> int:
        """Number of the first event: the one after the row before."""
        return self.number - len(self.events) + 1


def pack(events: Sequence[Outgoing]) -> bytes:
    """Encode a row's events; numbers are left out, they follow from the row's."""
    return ormsgpack.packb(
        [(e.topic, e.partition, e.key, e.value, e.type, e.subject, e.traceparent, e.headers) for e in events]
    )


def unpack(lane: int, number: int, packed: bytes, written_at: datetime) -> OutboxRow:
    """Decode a row that `pack` encoded."""
    members = ormsgpack.unpackb(packed)
    first = number - len(members) + 1
    events = tuple(
        Outgoing(first + i, topic, partition, key, value, type, subject, traceparent, _pairs(headers))
        for i, (topic, partition, key, value, type, subject, traceparent, headers) in enumerate(members)
    )
    return OutboxRow(lane, number, events, written_at)


def _pairs(headers: list[list[Any]] | None) -> Headers | None:
    return None if headers is None else [(name, value) for name, value in headers]


def kafka_headers(service: str, lane: int, event: Outgoing, written_at: datetime) -> Headers:
    """CloudEvents headers in binary mode. `ce_id` is `<lane>-<number>`: stable however often the event is published."""
    if event.headers is not None:
        return event.headers
    headers: Headers = [
        *_of_its_kind(service, event.type),
        ("ce_id", b"%d-%d" % (lane, event.number)),
        _time(written_at),
        ("ce_subject", event.subject.encode()),
    ]
    if event.traceparent:
        headers.append(("traceparent", event.traceparent.encode()))
    return headers


@lru_cache(maxsize=256)
def _of_its_kind(service: str, type: str) -> Headers:
    """The headers that all events of a type have in common; never changed."""
    return [
        ("ce_specversion", b"1.0"),
        ("content-type", b"application/json"),
        ("ce_type", type.encode()),
        ("ce_source", b"/makegood/" + service.encode()),
    ]


@lru_cache(maxsize=64)
def _time(written_at: datetime) -> tuple[str, bytes]:
    """The same for all events of a transaction."""
    return ("ce_time", written_at.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode())
