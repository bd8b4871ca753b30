"""The SQL of dead letters: by kind of fault, one by one, and what people made of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import asyncpg
import ormsgpack
from pydantic import BaseModel

from services.console.letters import Letter
from services.console.queries import PAGE
from shared.db import Conn


class LetterGroup(BaseModel):
    """Dead letters of one kind of fault."""

    fingerprint: str
    service: str
    origin_topic: str
    type: str
    path: str
    reason: str
    first_ms: int
    last_ms: int
    open: int
    redriven: int
    dropped: int


async def letter_groups(conn: Conn, *, only_open: bool, limit: int = 200) -> list[LetterGroup]:
    """Dead letters by fingerprint, those that came last first; `reason` is that of one of them."""
    rows = await conn.fetch(
        """
        SELECT l.fingerprint, min(l.service) AS service, min(l.origin_topic) AS origin_topic, min(l.type) AS type,
               min(l.path) AS path, min(l.reason) AS reason, min(l.at_ms) AS first_ms, max(l.at_ms) AS last_ms,
               count(*) FILTER (WHERE r.what IS NULL) AS open,
               count(*) FILTER (WHERE r.what = 'redriven') AS redriven,
               count(*) FILTER (WHERE r.what = 'dropped') AS dropped
        FROM letter l LEFT JOIN resolution r USING (topic, lane, record_offset)
        GROUP BY l.fingerprint HAVING NOT $1 OR count(*) FILTER (WHERE r.what IS NULL) > 0
        ORDER BY max(l.at_ms) DESC LIMIT $2
        """,
        only_open,
        limit,
    )
    return [LetterGroup(**dict(row)) for row in rows]


class Resolution(BaseModel):
    """What became of a dead letter."""

    what: Literal["redriven", "dropped"]
    actor: str
    reason: str
    at: datetime


async def letters(
    conn: Conn, fingerprint: str, *, only_open: bool = False, limit: int = PAGE, lock: bool = False
) -> list[tuple[Letter, Resolution | None]]:
    """Dead letters of a fingerprint, the oldest first. `lock`: keep others from acting on them meanwhile."""
    rows = await conn.fetch(
        f"""
        SELECT l.*, r.what, r.actor, r.reason AS why, r.at FROM letter l
        LEFT JOIN resolution r USING (topic, lane, record_offset)
        WHERE l.fingerprint = $1 {"AND r.what IS NULL" if only_open else ""}
        ORDER BY l.at_ms, l.topic, l.lane, l.record_offset LIMIT $2 {"FOR UPDATE OF l" if lock else ""}
        """,  # noqa: S608 - nothing of it comes from outside
        fingerprint,
        limit,
    )
    return [(_letter(row), _resolution(row)) for row in rows]


def _letter(row: asyncpg.Record) -> Letter:
    return Letter(
        topic=row["topic"],
        lane=row["lane"],
        offset=row["record_offset"],
        at_ms=row["at_ms"],
        service=row["service"],
        origin_topic=row["origin_topic"],
        origin_lane=row["origin_lane"],
        origin_offset=row["origin_offset"],
        type=row["type"],
        subject=row["subject"],
        reason=row["reason"],
        path=row["path"],
        attempts=row["attempts"],
        refused_ms=row["refused_ms"],
        key=row["key"],
        value=row["value"],
        headers=tuple((name, value) for name, value in ormsgpack.unpackb(row["headers"])),
    )


def _resolution(row: asyncpg.Record) -> Resolution | None:
    if row["what"] is None:
        return None
    return Resolution(what=row["what"], actor=row["actor"], reason=row["why"], at=row["at"])


async def resolve(
    conn: Conn, found: Sequence[Letter], what: Literal["redriven", "dropped"], actor: str, reason: str, at: datetime
) -> None:
    """Note what became of dead letters."""
    await conn.executemany(
        "INSERT INTO resolution VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [(x.topic, x.lane, x.offset, what, actor, reason, at) for x in found],
    )


async def resolved(conn: Conn) -> dict[str, int]:
    """How many dead letters of each service were redriven or dropped."""
    rows = await conn.fetch(
        "SELECT l.service, count(*) AS n FROM resolution r JOIN letter l USING (topic, lane, record_offset) GROUP BY 1"
    )
    return {row["service"]: row["n"] for row in rows}
