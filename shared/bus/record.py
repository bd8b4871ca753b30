"""A consumed Kafka record with its CloudEvents attributes. Reading one never raises: the service judges it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol


class RawRecord(Protocol):
    """The members of aiokafka's ConsumerRecord that are read here."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass(slots=True, eq=False)
class Record:
    """One record as it came. The attributes are "" where the header is missing or is not UTF-8."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    type: str = ""
    id: str = ""
    source: str = ""
    subject: str = ""
    traceparent: str = ""
    content_type: str = ""
    redrive: str = ""

    @classmethod
    def of(cls, raw: RawRecord) -> "Record":
        """Read the attributes out of the headers; of a repeated header the first counts."""
        headers = tuple(raw.headers)
        get = dict(headers[::-1]).get
        traceparent, redrive = get("traceparent"), get("makegood_redrive")
        return cls(
            raw.topic,
            raw.partition,
            raw.offset,
            raw.timestamp,
            raw.key,
            raw.value,
            headers,
            _common(get("ce_type")),
            _text(get("ce_id")),
            _common(get("ce_source")),
            _text(get("ce_subject")),
            _text(traceparent) if traceparent else "",
            _common(get("content-type")),
            _text(redrive) if redrive else "",
        )


def _text(value: bytes | None) -> str:
    if not value:
        return ""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""


def _common(value: bytes | None) -> str:
    """As `_text`, for what has few values: types, sources. A long one is somebody's mistake, and not remembered."""
    return _remembered(value) if value and len(value) <= 128 else _text(value)


_remembered = lru_cache(maxsize=1024)(_text)


def number_of(id: str) -> tuple[int, int | None]:
    """Source lane and number of the id of one of our own events; no number where the id is not of our making."""
    lane, dash, number = id.partition("-")
    if dash and lane.isascii() and lane.isdigit() and number.isascii() and number.isdigit():
        return int(lane), int(number)
    return 0, None
