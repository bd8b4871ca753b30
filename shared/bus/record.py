"""A consumed Kafka record with its CloudEvents attributes. Reading one never raises: the service judges it."""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
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
    time: str = ""
    traceparent: str = ""
    content_type: str = ""
    redrive: str = ""

    @classmethod
    def of(cls, raw: RawRecord) -> "Record":
        """Read the attributes out of the headers; of a repeated header the first counts."""
        attributes: dict[str, str] = {}
        for name, value in raw.headers:
            if name in _ATTRIBUTES and _ATTRIBUTES[name] not in attributes:
                attributes[_ATTRIBUTES[name]] = _text(value)
        return cls(
            raw.topic,
            raw.partition,
            raw.offset,
            raw.timestamp,
            raw.key,
            raw.value,
            tuple(raw.headers),
            **attributes,
        )


_ATTRIBUTES = {
    "ce_type": "type",
    "ce_id": "id",
    "ce_source": "source",
    "ce_subject": "subject",
    "ce_time": "time",
    "traceparent": "traceparent",
    "content-type": "content_type",
    "makegood_redrive": "redrive",
}


def _text(value: bytes | None) -> str:
    if value is None:
        return ""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return ""
