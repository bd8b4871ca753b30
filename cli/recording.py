"""What a pipeline has said, recorded: read from the topics (committed records alone) or from exported files.

An exported file holds lines as `claims listen --json --from-start` prints them. What is recorded twice (the internal
topics are published at least once) is taken once, by the numbers of its source, as the services' inboxes do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.reading import Seen, all_of
from cli.stack.errors import StackError
from shared.bus import redrive
from shared.events import BadEvent, Event, parse_data

READ_LIMIT = 600.0
"""Seconds that reading the topics may take."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record of one of the pipeline's own topics. `at` is the instant of the transaction that wrote it, to the
    millisecond; `number` its place among what its service has written in its lane, None where it has none.
    `redriven_for` names the one service that a redriven dead letter is for, or is empty."""

    topic: str
    lane: int
    offset: int
    type: str
    source: str
    number: int | None
    at: datetime
    value: bytes
    redriven_for: str = ""

    @property
    def place(self) -> str:
        """Where it lies, for people."""
        return f"{self.topic}/{self.lane}@{self.offset}"

    def event(self) -> Event:
        """Its data. Raises `BadEvent`."""
        return parse_data(self.type, self.value)


def record(kafka: str | None, files: Sequence[Path], topics: Sequence[str]) -> list[Recorded]:
    """The records of these topics, by topic, lane and offset; repeats taken once. From the files where there are any.

    Raises StackError where they cannot be read, or hold nothing of these topics.
    """
    if files:
        seen = [one for path in files for one in _of_file(path) if one.topic in topics]
    elif kafka is not None:
        seen = asyncio.run(all_of(kafka, topics, READ_LIMIT))
    else:
        raise StackError("there is nothing to read: name files, or a Kafka")
    seen = [one for one in seen if redrive.DROP not in one.headers]
    found = list(once(of_seen(one) for one in sorted(seen, key=lambda one: (one.topic, one.partition, one.offset))))
    if not found:
        where = ", ".join(map(str, files)) or f"Kafka at {kafka}"
        raise StackError(f"{where}: no record of {', '.join(topics)} there")
    return found


def of_seen(one: Seen) -> Recorded:
    """A record with what its headers say of it."""
    marked = redrive.read(one.header(redrive.HEADER)) if one.header(redrive.HEADER) else None
    lane, dash, number = one.id.partition("-")
    numbered = bool(dash) and lane.isascii() and lane.isdigit() and number.isascii() and number.isdigit()
    return Recorded(
        topic=one.topic,
        lane=one.partition,
        offset=one.offset,
        type=one.type,
        source=f"{one.attribute('source')}:{lane}" if numbered else one.attribute("source"),
        number=int(number) if numbered else None,
        at=_instant(one),
        value=one.value or b"",
        redriven_for=marked.service if marked is not None else "",
    )


def once(records: Iterable[Recorded]) -> Iterator[Recorded]:
    """Records of each lane in the order of their offsets, without those at an offset read before (two files that
    overlap) and without those whose number their source had given before."""
    heard: dict[tuple[str, int, str], int] = {}
    reached: dict[tuple[str, int], int] = {}
    for one in records:
        at = (one.topic, one.lane)
        if one.offset <= reached.get(at, -1):
            continue
        reached[at] = one.offset
        if one.number is not None and not one.redriven_for:
            origin = (*at, one.source)
            if one.number <= heard.get(origin, 0):
                continue
            heard[origin] = one.number
        yield one


def readable(records: Iterable[Recorded]) -> Iterator[tuple[Recorded, Event]]:
    """Records with their data; one that cannot be read was a dead letter of whoever read it, and is passed over."""
    for one in records:
        try:
            yield one, one.event()
        except BadEvent:
            continue


def _instant(one: Seen) -> datetime:
    try:
        at = datetime.fromisoformat(one.attribute("time"))
    except ValueError:
        return one.written_at
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _of_file(path: Path) -> Iterator[Seen]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _of_line(line, f"{path}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"cannot read {path}: {error}") from None


def _of_line(line: str, where: str) -> Seen:
    try:
        shown: dict[str, Any] = json.loads(line)
        data, key = shown["data"], shown.get("key")
        value = shown.get("raw") if data is None else json.dumps(data, ensure_ascii=False)
        return Seen(
            topic=str(shown["topic"]),
            partition=int(shown["partition"]),
            offset=int(shown["offset"]),
            timestamp_ms=int(datetime.fromisoformat(shown["time"]).timestamp() * 1000),
            key=None if key is None else str(key).encode(),
            value=None if value is None else str(value).encode("utf-8", "surrogatepass"),
            headers={str(name): str(text).encode() for name, text in shown["headers"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StackError(f"{where} is no line of `claims listen --json`: {error!r}") from None
