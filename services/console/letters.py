"""A dead letter, read from the record on a dead-letter topic. Pure."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from shared.bus import Record, redrive
from shared.events.topics import dlq_topic


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
    attempts: int
    refused_ms: int
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
    """Read a record of `<topic>.<service>.dlq`; never raises. What the service added comes after what had come."""
    original = redrive.before_burial(record.headers)
    added = record.headers[len(original) :]
    said = {name: value.decode("utf-8", "replace") for name, value in added if value is not None}
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
        attempts=_number(said.get("dlq_attempts")) or 1,
        refused_ms=_instant(said.get("dlq_first_time"), record.timestamp_ms),
        key=record.key,
        value=record.value,
        headers=tuple(original),
    )


@dataclass(frozen=True, slots=True)
class Closing:
    """A dead letter that went back to its topic or was dropped, by where the record lay that it was. `actor` and
    `reason` are known of a drop alone."""

    topic: str
    origin_lane: int
    origin_offset: int
    what: Literal["redriven", "dropped"]
    actor: str
    reason: str
    at_ms: int


def read_closing(record: Record) -> Closing | None:
    """Read a record that goes back to its topic, or says of one that it was dropped; None for a mark of nobody's."""
    found = redrive.read(record.redrive)
    if found is None:
        return None
    told = redrive.read_drop(record.headers)
    return Closing(
        dlq_topic(record.topic, found.service),
        found.lane,
        found.offset,
        "redriven" if told is None else "dropped",
        *(told or ("", "")),
        at_ms=record.timestamp_ms,
    )


def mark(letter: Letter) -> redrive.Redrive | None:
    """For whom the letter is when it goes back, and which of its dead letters it is; None where that is not known."""
    if letter.origin_lane is None or letter.origin_offset is None:
        return None
    first = datetime.fromtimestamp(letter.refused_ms / 1000, UTC)
    return redrive.Redrive(letter.service, letter.origin_lane, letter.origin_offset, letter.attempts, first)


def _instant(text: str | None, otherwise: int) -> int:
    try:
        return round(datetime.fromisoformat(text or "").timestamp() * 1000)
    except (ValueError, OverflowError):
        return otherwise


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else None
