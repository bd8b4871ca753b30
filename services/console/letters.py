"""A dead letter, read from the record on a dead-letter topic. Pure."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from shared.bus import Record

_OWN = frozenset(
    {
        "dlq_reason",
        "dlq_path",
        "dlq_topic",
        "dlq_partition",
        "dlq_offset",
        "dlq_service",
        "dlq_time",
        "dlq_attempts",
    }
)


@dataclass(frozen=True, slots=True)
class Letter:
    """What a service could not take. `key`, `value` and `headers` are the record's own, byte for byte."""

    topic: str
    lane: int
    offset: int
    at_ms: int
    service: str
    origin_topic: str
    origin_lane: int | None
    origin_offset: int | None
    type: str
    subject: str
    reason: str
    path: str
    attempts: int | None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def fingerprint(self) -> str:
        """Same for the same kind of fault: topic, type, path, and the reason without its digits."""
        kind = "".join("#" if c.isdigit() else c for c in self.reason)
        named = "\0".join((self.origin_topic, self.type, self.path, kind))
        return hashlib.blake2b(named.encode("utf-8", "replace"), digest_size=8).hexdigest()


def read_letter(record: Record) -> Letter:
    """Read a record of `<topic>.<service>.dlq`; never raises. Of a repeated `dlq_` header the last is the
    service's own."""
    said = {
        name: value.decode("utf-8", "replace") for name, value in record.headers if name in _OWN and value is not None
    }
    origin, _, service = record.topic.removesuffix(".dlq").rpartition(".")
    return Letter(
        topic=record.topic,
        lane=record.partition,
        offset=record.offset,
        at_ms=record.timestamp_ms,
        service=service,
        origin_topic=origin,
        origin_lane=_number(said.get("dlq_partition")),
        origin_offset=_number(said.get("dlq_offset")),
        type=record.type,
        subject=record.subject,
        reason=said.get("dlq_reason", ""),
        path=said.get("dlq_path", "$"),
        attempts=_number(said.get("dlq_attempts")),
        key=record.key,
        value=record.value,
        headers=_original(record.headers),
    )


def _original(headers: Sequence[tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
    """The headers as they came: of each of the service's own only the last, which it added, is taken off."""
    left = Counter(_OWN & {name for name, _ in headers})
    kept = []
    for name, value in reversed(headers):
        if left[name] > 0:
            left[name] -= 1
        else:
            kept.append((name, value))
    return tuple(reversed(kept))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else None
