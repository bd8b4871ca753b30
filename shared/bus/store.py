"""The kit's SQL: one function a query."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import ormsgpack

from shared import arrays
from shared.bus import redrive
from shared.bus.lanes import Lane, LaneLost
from shared.bus.outbox import OutboxRow, pack, unpack
from shared.bus.work import DeadLetter, Work
from shared.db import Conn


async def claim_lanes(conn: Conn, lanes: Sequence[int], topics: Sequence[str], token: UUID) -> dict[int, Lane]:
    """Make this process the owner of the lanes, and read where they stand. Waits for whoever is committing in them."""
    await conn.execute("INSERT INTO lane (lane) SELECT unnest($1::int[]) ON CONFLICT DO NOTHING", sorted(lanes))
    await conn.execute(
        "INSERT INTO position (topic, lane, next_offset) "
        "SELECT t, l, 0 FROM unnest($1::text[]) t, unnest($2::int[]) l ON CONFLICT DO NOTHING",
        list(topics),
        sorted(lanes),
    )
    rows = await conn.fetch("SELECT lane FROM lane WHERE lane = ANY($1::int[]) ORDER BY lane FOR UPDATE", lanes)
    await conn.execute("UPDATE lane SET owner = $2 WHERE lane = ANY($1::int[])", [r["lane"] for r in rows], token)
    return await read_lanes(conn, lanes, token)


async def read_lanes(conn: Conn, lanes: Sequence[int], token: UUID) -> dict[int, Lane]:
    """Read emitted, published, positions and inbox of the lanes."""
    found = {
        r["lane"]: Lane(r["lane"], token, r["emitted"], r["published"])
        for r in await conn.fetch("SELECT lane, emitted, published FROM lane WHERE lane = ANY($1::int[])", lanes)
    }
    for r in await conn.fetch("SELECT topic, lane, next_offset FROM position WHERE lane = ANY($1::int[])", lanes):
        found[r["lane"]].positions[r["topic"]] = r["next_offset"]
    for r in await conn.fetch("SELECT topic, lane, origin, number FROM inbox_mark WHERE lane = ANY($1::int[])", lanes):
        found[r["lane"]].inbox[r["topic"], r["origin"]] = r["number"]
    return found


async def owner(conn: Conn, lane: int) -> UUID | None:
    """Read whose lane it is."""
    found: UUID | None = await conn.fetchval("SELECT owner FROM lane WHERE lane = $1", lane)
    return found


async def lock_lanes(conn: Conn, lanes: Mapping[int, Lane]) -> None:
    """Lock the lanes' rows for the rest of the transaction.

    Raises:
        LaneLost: another process owns one of them now.
    """
    rows = await conn.fetch(
        "SELECT lane, owner FROM lane WHERE lane = ANY($1::int[]) ORDER BY lane FOR UPDATE", list(lanes)
    )
    owners = {r["lane"]: r["owner"] for r in rows}
    lost = [number for number, lane in lanes.items() if owners.get(number) != lane.token]
    if lost:
        raise LaneLost(lost)


_SAVE = """
WITH moved AS (
    INSERT INTO position AS p (topic, lane, next_offset)
    SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])
    ON CONFLICT (topic, lane) DO UPDATE SET next_offset = excluded.next_offset
), heard AS (
    INSERT INTO inbox_mark AS m (topic, lane, origin, number)
    SELECT * FROM unnest($4::text[], $5::int[], $6::text[], $7::bigint[])
    ON CONFLICT (topic, lane, origin) DO UPDATE SET number = excluded.number
), written AS (
    INSERT INTO outbox (lane, number, events, written_at)
    SELECT l, n, e, $11 FROM unnest($8::int[], $9::bigint[], $10::bytea[]) AS u (l, n, e)
), cleared AS (
    -- From where the last one ended: the index still holds the entries of rows that are gone.
    DELETE FROM outbox o USING unnest($12::int[], $14::bigint[], $21::bigint[]) AS u (l, published, cleared)
    WHERE o.lane = u.l AND o.number > u.cleared AND o.number <= u.published
), noted AS (
    INSERT INTO history (merchant, claim_id, what, topic, lane, record_offset, at)
    SELECT m, c, w, t, l, o, $11
    FROM unnest($15::text::text[], $16::text::text[], $17::text::text[], $18::text::text[], $19::text::int[],
                $20::text::bigint[]) AS u (m, c, w, t, l, o)
)
UPDATE lane SET emitted = u.emitted, published = u.published
FROM unnest($12::int[], $13::bigint[], $14::bigint[]) AS u (l, emitted, published) WHERE lane.lane = u.l
"""


async def save(
    conn: Conn,
    work: Work,
    positions: Mapping[tuple[str, int], int],
    marks: Mapping[tuple[str, int, str], int],
    published: Mapping[int, int],
) -> dict[int, OutboxRow]:
    """Write what the kit keeps of a unit of work; return its outbox rows by lane."""
    rows = {
        lane: OutboxRow(lane, work.owned[lane].emitted + len(events), tuple(events), work.now)
        for lane, events in work.outgoing.items()
    }
    lanes = sorted(work.owned)
    await conn.execute(
        _SAVE,
        [topic for topic, _ in positions],
        [lane for _, lane in positions],
        list(positions.values()),
        [topic for topic, _, _ in marks],
        [lane for _, lane, _ in marks],
        [origin for _, _, origin in marks],
        list(marks.values()),
        list(rows),
        [row.number for row in rows.values()],
        [pack(row.events) for row in rows.values()],
        work.now,
        lanes,
        [rows[lane].number if lane in rows else work.owned[lane].emitted for lane in lanes],
        [published.get(lane, work.owned[lane].stored_mark) for lane in lanes],
        arrays.texts([merchant for merchant, *_ in work.histories]),
        arrays.texts([claim_id for _, claim_id, *_ in work.histories]),
        arrays.texts([what for _, _, what, *_ in work.histories]),
        arrays.texts_or_null(topic for _, _, _, topic, *_ in work.histories),
        arrays.integers(lane for _, _, _, _, lane, _, _ in work.histories),
        arrays.integers(offset for _, _, _, _, _, offset, _ in work.histories),
        [work.owned[lane].stored_mark for lane in lanes],
    )
    if work.dead_letters:
        await _bury(conn, work.dead_letters, work.now)
    return rows


async def _bury(conn: Conn, letters: Sequence[DeadLetter], at: datetime) -> None:
    await conn.executemany(
        "INSERT INTO dead_letter (topic, lane, record_offset, key, value, headers, reason, path, fingerprint, "
        "attempts, at, type, first_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) "
        "ON CONFLICT DO NOTHING",
        [
            (
                d.record.topic,
                d.record.partition,
                d.record.offset,
                d.record.key,
                d.record.value,
                ormsgpack.packb(redrive.original(d.record.headers)),
                d.reason.replace("\0", "␀"),
                d.path.replace("\0", "␀"),
                d.fingerprint,
                d.attempts,
                at,
                d.record.type,
                d.first_at,
            )
            for d in letters
        ],
    )


async def take_redriven(conn: Conn, records: Sequence[tuple[str, int, int]], at: datetime) -> set[tuple[str, int, int]]:
    """Close the dead letters (topic, lane, offset) that are being redriven; returns those that were still open."""
    rows = await conn.fetch(
        "UPDATE dead_letter d SET state = 'redriven', closed_at = $4 "
        "FROM unnest($1::text[], $2::int[], $3::bigint[]) AS u (topic, lane, record_offset) "
        "WHERE (d.topic, d.lane, d.record_offset) = (u.topic, u.lane, u.record_offset) AND d.state = 'dead' "
        "RETURNING d.topic, d.lane, d.record_offset",
        [topic for topic, _, _ in records],
        [lane for _, lane, _ in records],
        [offset for _, _, offset in records],
        at,
    )
    return {(r["topic"], r["lane"], r["record_offset"]) for r in rows}


async def drop_letters(conn: Conn, letters: Sequence[tuple[str, int, int, str, str]], at: datetime) -> None:
    """Close dead letters (topic, lane, offset, by whom, why) for good, where they are open."""
    await conn.executemany(
        "UPDATE dead_letter SET state = 'dropped', closed_at = $6, closed_by = $4, closed_reason = $5 "
        "WHERE (topic, lane, record_offset) = ($1, $2, $3) AND state = 'dead'",
        [(*place, by.replace("\0", "␀"), why.replace("\0", "␀"), at) for *place, by, why in letters],
    )


async def unpublished(conn: Conn, lane: int, after: int, limit: int) -> list[OutboxRow]:
    """Read a lane's outbox rows past a number, in order."""
    rows = await conn.fetch(
        "SELECT number, events, written_at FROM outbox WHERE lane = $1 AND number > $2 ORDER BY number LIMIT $3",
        lane,
        after,
        limit,
    )
    return [unpack(lane, r["number"], r["events"], r["written_at"]) for r in rows]


async def oldest_unpublished(conn: Conn, published: Mapping[int, int]) -> datetime | None:
    """When the oldest row past the published number of its lane was written; one look at the key's index a lane."""
    found: datetime | None = await conn.fetchval(
        "SELECT min(o.written_at) FROM unnest($1::int[], $2::bigint[]) AS u (lane, number), LATERAL ("
        "SELECT written_at FROM outbox WHERE lane = u.lane AND number > u.number ORDER BY number LIMIT 1) AS o",
        list(published),
        list(published.values()),
    )
    return found


async def dead_letters_open(conn: Conn, lanes: Sequence[int], most: int) -> int:
    """How many dead letters of these lanes are still open, counted up to `most`."""
    found: int = await conn.fetchval(
        "SELECT count(*) FROM ("
        "SELECT FROM dead_letter WHERE state = 'dead' AND lane = ANY($1::int[]) LIMIT $2) AS found",
        lanes,
        most,
    )
    return found


async def sweep(conn: Conn, table: str, column: str, where: str, before: datetime, pages: int) -> int:
    """Delete the rows of the table's next pages whose `column` lies before an instant; returns how many. What somebody
    else has locked is left for the next round; nothing is done while another process is at this table."""
    await conn.execute("INSERT INTO sweep (name) VALUES ($1) ON CONFLICT DO NOTHING", table)
    page = await conn.fetchval("SELECT page FROM sweep WHERE name = $1 FOR UPDATE SKIP LOCKED", table)
    if page is None:
        return 0
    last = await conn.fetchval("SELECT pg_relation_size($1::regclass) / current_setting('block_size')::bigint", table)
    deleted = await conn.fetchval(
        f"""WITH gone AS (
                DELETE FROM {table} WHERE ctid = ANY(ARRAY(
                    SELECT ctid FROM {table} WHERE ctid >= $1::text::tid AND ctid < $2::text::tid
                    AND {column} < $3 AND ({where}) FOR UPDATE SKIP LOCKED)) RETURNING 1)
            SELECT count(*) FROM gone""",  # noqa: S608 - table, column and condition are the code's own
        f"({page},0)",
        f"({page + pages},0)",
        before,
    )
    await conn.execute("UPDATE sweep SET page = $2 WHERE name = $1", table, page + pages if page + pages < last else 0)
    return int(deleted)
