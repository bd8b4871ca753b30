"""The dead letters that a database has lost, from their topics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import ormsgpack

from cli.recovery.standing import Database, Log, Place, redriven
from shared.bus import Record, redrive
from shared.db import Conn

Letter = tuple[str, int, int]
"""Topic, lane and offset of the record that it was."""


def origin(letter: Record) -> Letter | None:
    """Where the record lay that a record on a dead-letter topic was; None where it does not say."""
    said = dict(letter.headers[len(redrive.before_burial(letter.headers)) :])
    try:
        return said["dlq_topic"].decode(), int(said["dlq_partition"]), int(said["dlq_offset"])
    except (KeyError, ValueError):
        return None


def reason(letter: Record) -> str:
    """Why it was refused."""
    said = dict(letter.headers[len(redrive.before_burial(letter.headers)) :])
    return said.get("dlq_reason", b"").decode("utf-8", "replace")


def since(database: Database, log: Log) -> Iterator[tuple[Letter, Record]]:
    """The letters of records that lie past the database's positions, each once."""
    seen: set[Letter] = set()
    for letter in log.letters:
        place = origin(letter)
        if place is not None and place not in seen and place[2] >= database.positions.get(place[:2], 0):
            seen.add(place)
            yield place, letter


def went_back(service: str, inputs: Mapping[Place, list[Record]]) -> dict[Letter, Record]:
    """The records by which letters were sent back to their topics or dropped, by letter; the first of each."""
    found: dict[Letter, Record] = {}
    for (topic, _), records in inputs.items():
        for record in records:
            if record.redrive and (letter := redriven(record)) is not None and letter[0] == service:
                found.setdefault((topic, *letter[1:]), record)
    return found


async def bury(conn: Conn, letters: Iterable[tuple[Letter, Record]], closed: Mapping[Letter, Record]) -> int:
    """Write the letters' rows; those that were sent back are closed. Returns how many."""
    rows = []
    for (topic, lane, offset), letter in letters:
        original = redrive.before_burial(letter.headers)
        said = {name: value.decode("utf-8", "replace") for name, value in letter.headers[len(original) :]}
        back = closed.get((topic, lane, offset))
        dropped = None if back is None else redrive.read_drop(back.headers)
        rows.append(
            (
                topic,
                lane,
                offset,
                letter.key,
                letter.value,
                ormsgpack.packb(redrive.original(original)),
                said.get("dlq_reason", "").replace("\0", "␀"),
                said.get("dlq_path", "$").replace("\0", "␀"),
                said.get("dlq_fingerprint", ""),
                int(said.get("dlq_attempts", "1")),
                _instant(said.get("dlq_time"), letter.timestamp_ms),
                letter.type,
                _instant(said.get("dlq_first_time"), letter.timestamp_ms),
                "dead" if back is None else "redriven" if dropped is None else "dropped",
                None if back is None else datetime.fromtimestamp(back.timestamp_ms / 1000, UTC),
                *(dropped or (None, None)),
            )
        )
    await conn.executemany(
        "INSERT INTO dead_letter (topic, lane, record_offset, key, value, headers, reason, path, fingerprint, "
        "attempts, at, type, first_at, state, closed_at, closed_by, closed_reason) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT DO NOTHING",
        rows,
    )
    return len(rows)


def _instant(text: str | None, otherwise_ms: int) -> datetime:
    try:
        return datetime.fromisoformat(text or "")
    except ValueError:
        return datetime.fromtimestamp(otherwise_ms / 1000, UTC)
