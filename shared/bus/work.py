"""A unit of work: one batch of records (or one tick of the timers) in one Postgres transaction."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.bus import redrive
from shared.bus.lanes import Lane
from shared.bus.outbox import Headers, Outgoing
from shared.bus.record import Record
from shared.db import Conn
from shared.events.topics import dlq_topic
from shared.metrics import Countable
from shared.tracing import Hops


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that the service could not take, and why."""

    record: Record
    reason: str
    path: str
    attempts: int
    first_at: datetime

    @property
    def fingerprint(self) -> str:
        """Same for the same kind of fault: topic, type, path, and the reason without its digits."""
        kind = "".join("#" if c.isdigit() else c for c in self.reason)
        return hashlib.blake2b(
            "\0".join((self.record.topic, self.record.type, self.path, kind)).encode(), digest_size=8
        ).hexdigest()


@dataclass(slots=True)
class Work:
    """What a handler works on; nothing of it is visible outside before the transaction has committed."""

    conn: Conn
    now: datetime
    records: list[Record]
    service: str
    owned: dict[int, Lane]
    target: Callable[[bytes, int], int]
    outgoing: dict[int, list[Outgoing]] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    histories: list[tuple[str, str, str, str | None, int, int | None, datetime]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    tallies: Counter[tuple[Countable, tuple[str, ...]]] = field(default_factory=Counter)
    hops: Hops | None = None
    """Spans of this unit of work; None where traces are off."""

    @property
    def lanes(self) -> tuple[int, ...]:
        """The lanes of this unit of work."""
        return tuple(self.owned)

    @property
    def untouched(self) -> bool:
        """Nothing of the kit's is to be written."""
        return not (self.outgoing or self.histories or self.dead_letters)

    def emit(
        self,
        topic: str,
        type: str,
        data: bytes,
        *,
        key: bytes,
        subject: str,
        cause: Record | None = None,
        lane: int | None = None,
        traceparent: str = "",
    ) -> None:
        """Publish an event once the transaction has committed; it counts in the lane of `cause` (on a tick: `lane`)."""
        source = cause.partition if cause is not None else lane
        if source is None:
            raise ValueError("emit needs the record that caused the event, or a lane")
        trace = traceparent or (cause.traceparent if cause is not None else "")
        if self.hops is not None:
            trace = self.hops.carry(cause, trace, topic, key, type, subject)
        self._append(source, topic, self.target(key, source), key, data, type, subject, trace)

    def emit_raw(
        self,
        topic: str,
        partition: int,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        lane: int,
    ) -> None:
        """Publish a record byte for byte once the transaction has committed: a dead letter back to its topic."""
        self._append(lane, topic, partition, key, value, "", "", "", list(headers))

    def dead(self, record: Record, reason: str, path: str = "$", *, lane: int | None = None) -> None:
        """Put a record on its dead-letter topic, byte for byte, with the reason and where in its data it lies.

        It counts in its own lane, unless it waited and is another record's doing: then in that one's `lane`.
        """
        before = redrive.read(record.redrive) if record.redrive else None
        attempts, first_at = (before.attempts + 1, before.first_at) if before else (1, self.now)
        letter = DeadLetter(record, reason, path, attempts, first_at)
        self.dead_letters.append(letter)
        self.counts["dead_letter"] += 1
        if self.hops is not None:
            self.hops.failed(record, reason)
        headers: Headers = [
            *redrive.original(record.headers),
            ("dlq_reason", reason.encode("utf-8", "replace")),
            ("dlq_path", path.encode("utf-8", "replace")),
            ("dlq_topic", record.topic.encode()),
            ("dlq_partition", str(record.partition).encode()),
            ("dlq_offset", str(record.offset).encode()),
            ("dlq_service", self.service.encode()),
            ("dlq_time", _instant(self.now)),
            ("dlq_attempts", str(attempts).encode()),
            ("dlq_first_time", _instant(first_at)),
            ("dlq_fingerprint", letter.fingerprint.encode()),
        ]
        topic = dlq_topic(record.topic, self.service)
        counted = record.partition if lane is None else lane
        self._append(counted, topic, record.partition, record.key, record.value, "", "", "", headers)

    def history(
        self, merchant: str, claim_id: str, what: str, *, cause: Record | None = None, lane: int | None = None
    ) -> None:
        """Note what happened to a claim."""
        if cause is not None:
            self.histories.append((merchant, claim_id, what, cause.topic, cause.partition, cause.offset, self.now))
        else:
            self.histories.append((merchant, claim_id, what, None, lane or 0, None, self.now))

    def count(self, outcome: str, n: int = 1) -> None:
        """Count what became of a record; added to the metrics when the transaction has committed."""
        self.counts[outcome] += n

    def tally(self, metric: Countable, *labels: str, n: int = 1) -> None:
        """Add to a counter of `shared.metrics` when the transaction has committed."""
        self.tallies[metric, labels] += n

    def traceparent_of(self, record: Record) -> str:
        """What continues a record's trace, for what is made of it later, outside of this unit of work."""
        return record.traceparent if self.hops is None else self.hops.of(record)

    def _append(
        self,
        lane: int,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        type: str,
        subject: str,
        traceparent: str,
        headers: Headers | None = None,
    ) -> None:
        events = self.outgoing.setdefault(lane, [])
        number = self.owned[lane].emitted + len(events) + 1
        events.append(Outgoing(number, topic, partition, key, value, type, subject, traceparent, headers))


def _instant(at: datetime) -> bytes:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()
