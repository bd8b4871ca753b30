"""Dead letters as the services' databases have them: found, shown, sent back, dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import asyncpg
import ormsgpack
from aiokafka import AIOKafkaProducer

from cli.databases import connected
from shared.bus.redrive import Redrive, drop_of, marked

State = Literal["dead", "redriven", "dropped"]
SEND_LIMIT = 60.0
MOST = 10_000
"""Most letters that one command takes; a filter makes it fewer."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. Its id is `<service>/<topic>/<lane>/<offset>`."""

    service: str
    topic: str
    lane: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    reason: str
    path: str
    fingerprint: str
    attempts: int
    type: str
    state: State
    first_at: datetime
    last_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    closed_reason: str | None

    @property
    def id(self) -> str:
        return f"{self.service}/{self.topic}/{self.lane}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters are meant; what is left out does not matter."""

    ids: tuple[str, ...] = ()
    service: str | None = None
    topic: str | None = None
    fingerprint: str | None = None
    state: State | None = "dead"

    def wants(self, letter: Letter) -> bool:
        """Is the letter one of these?"""
        return (
            (not self.ids or letter.id in self.ids)
            and self.service in (None, letter.service)
            and self.topic in (None, letter.topic)
            and self.fingerprint in (None, letter.fingerprint)
            and self.state in (None, letter.state)
        )


async def find(databases: Mapping[str, str], wanted: Filter) -> list[Letter]:
    """The letters in the databases (DSN by service), oldest first. Raises StackError where one cannot be read."""
    found: list[Letter] = []
    for service, dsn in databases.items():
        if wanted.service in (None, service):
            async with connected(service, dsn) as conn:
                rows = await conn.fetch(
                    "SELECT * FROM dead_letter WHERE ($1::text IS NULL OR state = $1) "
                    "AND ($2::text IS NULL OR fingerprint = $2) AND ($3::text IS NULL OR topic = $3) "
                    "ORDER BY at, topic, lane, record_offset LIMIT $4",
                    wanted.state,
                    wanted.fingerprint,
                    wanted.topic,
                    MOST,
                )
            found += [letter for row in rows if wanted.wants(letter := _letter(service, row))]
    return sorted(found, key=lambda letter: (letter.last_at, letter.id))


async def redrive(kafka: str, letters: Sequence[Letter]) -> None:
    """Put the letters back on their topics, key and headers as they were, marked for the service that refused them."""
    await _send(kafka, [(letter, letter.value, marked(letter.headers, _mark(letter))) for letter in letters])


def _mark(letter: Letter) -> Redrive:
    return Redrive(letter.service, letter.lane, letter.offset, letter.attempts, letter.first_at)


async def _send(kafka: str, records: Sequence[tuple[Letter, bytes | None, list[tuple[str, bytes]]]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True, max_request_size=4 << 20)
    await producer.start()
    try:
        async with asyncio.timeout(SEND_LIMIT):
            for letter, value, headers in records:
                await producer.send_and_wait(
                    letter.topic, value, key=letter.key, partition=letter.lane, headers=headers
                )
    finally:
        await producer.stop()


async def tell_of_drops(kafka: str, letters: Sequence[Letter], by: str, reason: str) -> None:
    """Say on the letters' topics that they were dropped: the console reads it there."""
    await _send(kafka, [(letter, None, drop_of(_mark(letter), by, reason)) for letter in letters])


async def drop(databases: Mapping[str, str], letters: Sequence[Letter], by: str, reason: str) -> int:
    """Close the letters for good; who and why stay with them. Returns how many were still open."""
    dropped = 0
    for service in sorted({letter.service for letter in letters}):
        async with connected(service, databases[service]) as conn:
            mine = [letter for letter in letters if letter.service == service]
            rows = await conn.fetch(
                "UPDATE dead_letter d SET state = 'dropped', closed_at = $4, closed_by = $5, closed_reason = $6 "
                "FROM unnest($1::text[], $2::int[], $3::bigint[]) AS u (topic, lane, record_offset) "
                "WHERE (d.topic, d.lane, d.record_offset) = (u.topic, u.lane, u.record_offset) AND d.state = 'dead' "
                "RETURNING 1",
                [letter.topic for letter in mine],
                [letter.lane for letter in mine],
                [letter.offset for letter in mine],
                datetime.now(UTC),
                by,
                reason,
            )
            dropped += len(rows)
    return dropped


def _letter(service: str, row: asyncpg.Record) -> Letter:
    return Letter(
        service,
        row["topic"],
        row["lane"],
        row["record_offset"],
        row["key"],
        row["value"],
        tuple((name, value) for name, value in ormsgpack.unpackb(row["headers"])),
        row["reason"],
        row["path"],
        row["fingerprint"],
        row["attempts"],
        row["type"],
        row["state"],
        row["first_at"] or row["at"],
        row["at"],
        row["closed_at"],
        row["closed_by"],
        row["closed_reason"],
    )
