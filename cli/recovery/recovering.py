"""`claims recover`: the steps, in one transaction of the service's database. Kafka is only read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from cli.recovery import letters, mails
from cli.recovery.finding import Found, Group, History, Irreproducible, Search
from cli.recovery.services import Recoverable, first_told, groups_of
from cli.recovery.standing import Database, Log, Place, behind, expired, fresh, read_database, read_log
from cli.stack.errors import StackError
from shared import clock
from shared.bus import Record
from shared.db import Conn, connect, migrate

MOST_ROUNDS: Final = 20
"""How often all is searched again after some lane turned out to have been read further."""
Fresh = tuple[Record, str, int]
"""An input with its origin and number."""


@dataclass(slots=True)
class Report:
    """What was found and done. `behind`: in what the database was behind, empty where there was nothing to do;
    `positions`: from, to and end by place; `numbers`: from and to by lane."""

    service: str
    behind: list[str] = field(default_factory=list)
    positions: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    numbers: dict[int, tuple[int, int]] = field(default_factory=dict)
    inputs: int = 0
    outputs: int = 0
    groups: int = 0
    reordered: int = 0
    dead_letters: int = 0
    mails_closed: int = 0
    mails_let_go: int = 0


async def recover(service: Recoverable, dsn: str, kafka: str, *, dry_run: bool = False) -> Report:
    """Bring the database forward to where the service stood when it last told Kafka, as far as Kafka knows.

    Raises:
        Irreproducible: what the service said does not come out again; nothing was changed.
        StackError: Kafka does not answer, or no longer holds what is needed; nothing was changed.
    """
    topics = service.make().topics
    pool = await connect(dsn, 1, application=f"recover-{service.name}", limit=10)
    report = Report(service.name)
    try:
        await migrate(pool, ["shared.bus", service.package])
        async with pool.acquire() as conn:
            await conn.execute("SET idle_in_transaction_session_timeout = 0")
            transaction = conn.transaction()
            await transaction.start()
            try:
                await _recover(conn, service, kafka, topics, report)
            except BaseException:
                await transaction.rollback()
                raise
            await (transaction.rollback() if dry_run else transaction.commit())
    finally:
        await pool.close()
    return report


async def _recover(conn: Conn, service: Recoverable, kafka: str, topics: Sequence[str], report: Report) -> None:
    database = await read_database(conn)
    log = await read_log(kafka, service.name, topics, database)
    report.behind = behind(database, log)
    if not report.behind:
        return
    if gone := expired(database, log):
        raise StackError(
            f"the topics no longer hold what {service.name} has not read ({'; '.join(gone)}): restore a younger backup"
        )
    await _own(conn, log)
    inputs = list(fresh(service.name, service.make().foreign, database, log))
    if service.answers:
        reached = await _answers(conn, service, database, log, inputs, report)
    else:
        reached = await _mails(conn, service, database, log, inputs, report)
    await _stand(conn, database, log, inputs, reached, report)
    back = {
        letter: record
        for letter, record in letters.went_back(service.name, log.inputs).items()
        if record.offset < reached[record.topic, record.partition]
    }
    report.dead_letters = await letters.bury(conn, letters.since(database, log), back)


async def _own(conn: Conn, log: Log) -> None:
    """Take every lane away from whoever may think that it owns it; who claims one now waits for the end of this."""
    lanes = sorted({lane for _, lane in log.ends})
    await conn.execute(
        "INSERT INTO lane (lane, owner) SELECT unnest($1::int[]), $2 "
        "ON CONFLICT (lane) DO UPDATE SET owner = excluded.owner",
        lanes,
        uuid4(),
    )


async def _answers(
    conn: Conn, service: Recoverable, database: Database, log: Log, inputs: Sequence[Fresh], report: Report
) -> dict[Place, int]:
    """Let the service take its inputs again so that its outputs come out; returns how far it had come."""
    dead = dict(letters.since(database, log))
    failed = {place for place, letter in dead.items() if letters.reason(letter).startswith("handler:")}
    taken = [r for r, _, _ in inputs if (r.topic, r.partition, r.offset) not in failed]
    taken = first_told(taken, service.make().foreign, dead)
    reached = {place: max(database.positions.get(place, 0), log.told.get(place, 0)) for place in log.ends}
    for topic, lane, offset in dead:
        reached[topic, lane] = max(reached.get((topic, lane), 0), offset + 1)
    for _ in range(MOST_ROUNDS):
        groups = await groups_of(service, taken, _below(reached), log.outputs, conn)
        await conn.execute("SAVEPOINT groups")
        search = Search(service.make, conn, service.timers)
        found = [await search.run(group) for group in groups]
        further = _furthest(reached, found)
        if further == reached or await _took_the_rest(search, groups, found, further):
            break
        await conn.execute("ROLLBACK TO SAVEPOINT groups")
        reached = further
    else:
        raise Irreproducible(f"how far {service.name} had read is not clear after {MOST_ROUNDS} searches")
    await _note(conn, [one for each in found for one in each.histories])
    report.groups, report.outputs = len(groups), len(log.outputs)
    report.reordered = sum(each.turned_back for each in found)
    return further


def _furthest(reached: Mapping[Place, int], found: Iterable[Found]) -> dict[Place, int]:
    further = dict(reached)
    for each in found:
        for place, at in each.reached.items():
            further[place] = max(further[place], at)
    return further


async def _took_the_rest(
    search: Search, groups: Sequence[Group], found: Sequence[Found], reached: Mapping[Place, int]
) -> bool:
    """What lies below an input that was answered was read too, and nothing came of it. Mostly nothing comes of it at
    the end either; otherwise it was read at another moment, which is to be looked for, knowing that it was read."""
    below = _below(reached)
    for group, each in zip(groups, found, strict=True):
        rest = [
            record
            for place, records in group.open_.items()
            for record in records
            if below(record) and record.offset >= each.reached.get(place, 0)
        ]
        for record in sorted(rest, key=lambda record: (record.timestamp_ms, record.offset)):
            if not await search.took_quietly(record):
                return False
    return True


async def _note(conn: Conn, histories: Sequence[History]) -> None:
    await conn.copy_records_to_table(
        "history",
        records=histories,
        columns=["merchant", "claim_id", "what", "topic", "lane", "record_offset", "at"],
    )


async def _mails(
    conn: Conn, service: Recoverable, database: Database, log: Log, inputs: Sequence[Fresh], report: Report
) -> dict[Place, int]:
    """Let the service take all its inputs again, to the end: a message that is told of must not be made once more."""
    known = {place for place, _ in letters.since(database, log)}
    records = [record for record, _, _ in inputs]
    before = await mails.waiting(conn)
    dead = await mails.take_again(conn, service.make(), records, clock.now())
    reached = dict(log.ends)
    for topic, lane, offset in dead - known:  # left to the service: they have to reach the dead-letter topic
        reached[topic, lane] = min(reached[topic, lane], offset)
    noted = await mails.close_told(conn, log.outputs, before)
    gone = await mails.let_go_of_old_news(conn, records)
    noted += ((*one[:2], one[2].replace("to tell", "not told"), *one[3:]) for name in gone if (one := before.get(name)))
    noted += (one for name, one in (await mails.waiting(conn)).items() if name not in before)
    await _note(conn, noted)
    report.mails_let_go = len(gone)
    report.outputs = report.mails_closed = len(log.outputs)
    return reached


def _below(limits: Mapping[Place, int]) -> Callable[[Record], bool]:
    return lambda record: record.offset < limits[record.topic, record.partition]


async def _stand(
    conn: Conn,
    database: Database,
    log: Log,
    inputs: Sequence[Fresh],
    reached: Mapping[Place, int],
    report: Report,
) -> None:
    """Write the kit's rows: positions, inbox, and numbers past all that Kafka has."""
    below = _below(reached)
    marks: dict[tuple[str, int, str], int] = {}
    for record, origin, number in inputs:
        if below(record):
            report.inputs += 1
            if number:
                marks[record.topic, record.partition, origin] = number
    await conn.executemany(
        "INSERT INTO position (topic, lane, next_offset) VALUES ($1, $2, $3) "
        "ON CONFLICT (topic, lane) DO UPDATE SET next_offset = excluded.next_offset",
        [(topic, lane, at) for (topic, lane), at in reached.items()],
    )
    await conn.executemany(
        "INSERT INTO inbox_mark (topic, lane, origin, number) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (topic, lane, origin) DO UPDATE SET number = excluded.number",
        [(*key, number) for key, number in marks.items()],
    )
    for lane in sorted({lane for _, lane in log.ends} | log.last.keys()):
        last = log.last.get(lane, 0)
        emitted, published = database.emitted.get(lane, 0), database.published.get(lane, 0)
        await conn.execute(
            "INSERT INTO lane (lane, emitted, published) VALUES ($1, $2, $3) "
            "ON CONFLICT (lane) DO UPDATE SET emitted = excluded.emitted, published = excluded.published",
            lane,
            max(emitted, last),
            max(published, last),
        )
        await conn.execute("DELETE FROM outbox WHERE lane = $1 AND number <= $2", lane, last)
        report.numbers[lane] = (emitted, max(emitted, last))
    report.positions = {
        f"{topic}/{lane}": (database.positions.get((topic, lane), 0), at, log.ends[topic, lane])
        for (topic, lane), at in sorted(reached.items())
        if (topic, lane) in log.ends
    }


__all__ = ["Report", "recover"]
