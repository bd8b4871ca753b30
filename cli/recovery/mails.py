"""The notification service: it says what became of mails, not what its inputs lead to. It takes its inputs again as
they were written, and every message that was told of, sent or failed, is closed before it is handed over again."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from cli.recovery.finding import History
from cli.recovery.standing import Output
from shared.bus import Record, Service, Work
from shared.bus.lanes import Lane
from shared.db import Conn

AT_ONCE: Final = 500
_NOBODY: Final = UUID(int=0)
_WAITING: Final = ("received", "awaiting_delivery", "awaiting_return")

Place = tuple[str, int, int]
"""Topic, lane and offset of a record."""


async def waiting(conn: Conn) -> dict[str, History]:
    """The messages in the queue, by id, each with what a history says of it."""
    rows = await conn.fetch("SELECT notification_id, merchant, claim_id, template, lane, created_at FROM message")
    return {
        row["notification_id"]: (
            row["merchant"],
            row["claim_id"],
            f"to tell: {row['template']}",
            None,
            row["lane"],
            None,
            row["created_at"],
        )
        for row in rows
    }


async def take_again(conn: Conn, service: Service, records: Sequence[Record], now: datetime) -> set[Place]:
    """Let the handler take the inputs by the time they were written; returns where those lie that it cannot take."""
    ordered = sorted(records, key=lambda record: (record.timestamp_ms, record.topic, record.partition, record.offset))
    dead: set[Place] = set()
    for start in range(0, len(ordered), AT_ONCE):
        batch = ordered[start : start + AT_ONCE]
        lanes = {record.partition: Lane(record.partition, _NOBODY) for record in batch}
        work = Work(conn, now, batch, service.name, lanes, lambda _, lane: lane)
        await service.consume(work)
        dead |= {(one.record.topic, one.record.partition, one.record.offset) for one in work.dead_letters}
    return dead


async def close_told(conn: Conn, outputs: Sequence[Output], known: Collection[str]) -> list[History]:
    """Take the messages out of the queue whose outcome was told; returns what is to be noted of that, for those that
    are not `known` to the history also that they were to be told."""
    told = [(one, json.loads(one.record.value or b"{}")) for one in outputs]
    ids = [data["notification_id"] for _, data in told]
    await conn.execute("DELETE FROM message WHERE notification_id = ANY($1::text[])", ids)
    # Who had which of them in hand, and what he noted, is of the time of the backup.
    await conn.execute("DELETE FROM in_hand")
    await conn.execute("DELETE FROM outcome")
    noted: list[History] = []
    for one, data in told:
        how = ["told" if one.record.type == "notification.sent.v1" else "not told"]
        if data["notification_id"] not in known:
            how.insert(0, "to tell")
        noted += (
            (
                data["merchant"],
                data["claim_id"],
                f"{what}: {data['template']}",
                None,
                one.record.partition,
                None,
                one.at,
            )
            for what in how
        )
    return noted


async def let_go_of_old_news(conn: Conn, records: Sequence[Record]) -> list[str]:
    """Remove messages that a claim waits, where it has been decided since: at the time they may well have been passed
    over for the decision, and nobody wants to hear it now. Returns their ids."""
    decided = [json.loads(r.value or b"{}") for r in records if r.type == "claim.decided.v1"]
    gone = await conn.fetch(
        "DELETE FROM message m USING unnest($1::text[], $2::text[]) AS u (merchant, claim_id) "
        "WHERE (m.merchant, m.claim_id) = (u.merchant, u.claim_id) AND m.template = ANY($3::text[]) "
        "RETURNING m.notification_id",
        [str(one.get("merchant")) for one in decided],
        [str(one.get("claim_id")) for one in decided],
        list(_WAITING),
    )
    return [row["notification_id"] for row in gone]
