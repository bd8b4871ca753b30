"""Redriving: a dead letter goes back to its topic as it came, with one header that says for whom it is.

Only the service that had refused the record takes it up again, past its inbox (which has moved on), and only once: its
row in `dead_letter` goes from dead to redriven in the transaction that applies it. Other readers of the topic pass over
it. A drop goes the same way, as a record without a value and with a second header: the service's row says who dropped
it and why, and the console, which watches the topics, knows of both.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.bus.outbox import Headers

HEADER = "makegood_redrive"
DROP = "makegood_drop"


@dataclass(frozen=True, slots=True)
class Redrive:
    """Which dead letter a record is: the service that refused it, where it first lay, and its history so far."""

    service: str
    lane: int
    offset: int
    attempts: int
    first_at: datetime

    def header(self) -> tuple[str, bytes]:
        """The header that marks the record."""
        first = self.first_at.astimezone(UTC).isoformat()
        return HEADER, f"{self.service};{self.lane};{self.offset};{self.attempts};{first}".encode()


def read(text: str) -> Redrive | None:
    """Read the header's text; None where it is not one of ours."""
    try:
        service, lane, offset, attempts, first = text.split(";")
        return Redrive(service, int(lane), int(offset), int(attempts), datetime.fromisoformat(first))
    except ValueError:
        return None


def marked(headers: Iterable[tuple[str, bytes]], redrive: Redrive) -> Headers:
    """The record's own headers and the mark."""
    return [*original(headers), redrive.header()]


def original(headers: Iterable[tuple[str, bytes]]) -> Headers:
    """The headers without an earlier mark."""
    return [(name, value) for name, value in headers if name not in (HEADER, DROP)]


def drop_of(redrive: Redrive, by: str, reason: str) -> Headers:
    """The headers of a record that drops a dead letter."""
    told = json.dumps({"by": by, "reason": reason}, ensure_ascii=False)
    return [redrive.header(), (DROP, told.encode("utf-8", "replace"))]


def read_drop(headers: Iterable[tuple[str, bytes]]) -> tuple[str, str] | None:
    """Who drops a dead letter and why; None for a record that does not."""
    for name, value in headers:
        if name == DROP:
            try:
                told = json.loads(value)
                return str(told["by"]), str(told["reason"])
            except (ValueError, TypeError, KeyError):
                return "", ""
    return None


def before_burial(headers: Sequence[tuple[str, bytes]]) -> Headers:
    """The headers that a record on a dead-letter topic had before: all up to the ones that were added last."""
    last = max((i for i, (name, _) in enumerate(headers) if name == "dlq_reason"), default=len(headers))
    return list(headers[:last])
