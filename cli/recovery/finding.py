"""The search: a service takes its inputs again, one by one, so that exactly what it said then comes out.

A service reads several topics without an order between them, and which order it took is written nowhere. So for each
group of orders that have to do with each other, an order of their inputs is looked for under which the recorded outputs
come out, one after the other: by the time they were written first, another only where that one fails (docs/replay.md
has the reasoning). It is the service's own handler that takes them, on its own database, under savepoints: what did not
fit is rolled back, and what is left in the end is the state that goes with what was said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from cli.recording import Recorded
from cli.recovery.standing import Output, Place
from cli.replaying import Said, differing, same
from shared.bus import Record, Service, Work
from shared.bus.lanes import Lane
from shared.bus.outbox import Outgoing
from shared.bus.pipeline import INFRASTRUCTURE
from shared.db import Conn

log = structlog.get_logger(__name__)

MOST_STEPS: Final = 10_000
"""How many steps a search may take for one group, besides one for each of its inputs."""
_UNDER_A_MILLISECOND: Final = timedelta(microseconds=999)
_NOBODY: Final = UUID(int=0)


class Irreproducible(Exception):  # noqa: N818 - read as a sentence
    """What the service has said does not come out again."""


@dataclass(slots=True)
class Group:
    """Orders that have to do with each other. `sure`: inputs that the service has dealt with, by place; `open_`: those
    that it may have dealt with; `outputs` in the order in which they were said."""

    orders: set[tuple[str, str]] = field(default_factory=set)
    sure: dict[Place, list[Record]] = field(default_factory=dict)
    open_: dict[Place, list[Record]] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)

    @property
    def about(self) -> str:
        """What it is, for people."""
        names = [f"{merchant}/{order_id}" for merchant, order_id in sorted(self.orders)]
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


Way = tuple[Record | None, datetime, bool]
"""An input (None: a look at the timers), the instant of it, and whether nothing must come of it."""
History = tuple[str, str, str, str | None, int, int | None, datetime]


@dataclass(slots=True)
class Found:
    """How a group's inputs were taken. `reached`: by place, past the last of its open inputs that was taken."""

    reached: dict[Place, int] = field(default_factory=dict)
    histories: list[History] = field(default_factory=list)
    turned_back: bool = False


@dataclass(frozen=True, slots=True)
class Complaint:
    """What was wrong with a way: the further it came the better it tells, and a difference more than a surplus."""

    rank: tuple[int, int]
    what: str


@dataclass(slots=True)
class _Point:
    """A point of the search: how many inputs of each place were taken, how many outputs have come out."""

    taken: dict[Place, int]
    matched: int
    now: datetime
    histories: tuple[History, ...] = ()
    ways: Iterator[Way] = field(default_factory=lambda: iter(()))
    silent: Record | None = None
    """The input that nothing came of at the instant of the next output: it need not be tried again for silence."""

    @property
    def mark(self) -> tuple[tuple[int, ...], int]:
        """How much was read of each place, and how much was said."""
        return tuple(self.taken.values()), self.matched


class Search:
    """Takes the groups of one service through its handler. `timers`: the table whose due rows its timer looks at."""

    def __init__(self, make: Callable[[], Service], conn: Conn, timers: str | None) -> None:
        self._make = make
        self._service = make()
        self._conn = conn
        self._timers = timers

    async def run(self, group: Group) -> Found:
        """Bring the group's rows to where they were when its last output was said.

        Raises:
            Irreproducible: no order of the inputs gives the outputs. The group's rows are as they were.
        """
        lanes = {place: group.sure.get(place, []) + group.open_.get(place, []) for place in _places(group)}
        sure = {place: len(group.sure.get(place, ())) for place in lanes}
        nearest = Complaint((0, 0), "")
        # Where as much was read and said, the rows are mostly the same, whatever the order was: not always, so that
        # what was not found under that assumption is looked for again without it.
        for remember in (True, False):
            found = await self._search(group, lanes, sure, set() if remember else None)
            if isinstance(found, Found):
                return found
            nearest = max(nearest, found, key=lambda one: one.rank)
        last = f"{group.outputs[-1].place} does not come out" if group.outputs else "it would be said now"
        raise Irreproducible(f"{group.about}: {nearest.what or last}")

    async def _search(
        self,
        group: Group,
        lanes: dict[Place, list[Record]],
        sure: dict[Place, int],
        met: set[tuple[tuple[int, ...], int]] | None,
    ) -> Found | Complaint:
        """Depth first; `met` are the points that need not be met again. Returns the complaint that came furthest where
        nothing is found; the group's rows are as they were then."""
        start = min((r.timestamp_ms for lane in lanes.values() for r in lane), default=0)
        first = _Point(dict.fromkeys(lanes, 0), 0, datetime.fromtimestamp(start / 1000, UTC))
        first.ways = self._ways(first, lanes, sure, group.outputs)
        points, steps, nearest, turned_back = [first], 0, Complaint((0, 0), ""), False
        limit = MOST_STEPS + sum(len(lane) for lane in lanes.values())
        await self._conn.execute("SAVEPOINT point_0")
        while points and steps <= limit:
            point = points[-1]
            if point.matched == len(group.outputs) and all(point.taken[place] >= sure[place] for place in lanes):
                await self._conn.execute("RELEASE SAVEPOINT point_0")
                reached = {
                    place: lanes[place][count - 1].offset + 1
                    for place, count in point.taken.items()
                    if count > sure[place]
                }
                return Found(reached, list(point.histories), turned_back)
            way = next(point.ways, None)
            if way is None:
                points.pop()
                turned_back = True
                if points:
                    await self._conn.execute(f"ROLLBACK TO SAVEPOINT point_{len(points)}")
                continue
            steps += 1
            name = f"point_{len(points)}"
            await self._conn.execute(f"SAVEPOINT {name}")
            following, complaint = await self._step(point, way, group, name)
            if following is not None and met is not None:
                if following.mark in met:
                    following = None
                else:
                    met.add(following.mark)
            if following is None:
                nearest = max(nearest, complaint, key=lambda one: one.rank)
                await self._conn.execute(f"ROLLBACK TO SAVEPOINT {name}")
                self._service = self._make()
                continue
            following.ways = self._ways(following, lanes, sure, group.outputs)
            points.append(following)
        await self._conn.execute("ROLLBACK TO SAVEPOINT point_0")
        if points:
            return Complaint(nearest.rank, f"{nearest.what} (given up after {limit} steps)")
        return nearest

    async def took_quietly(self, record: Record) -> bool:
        """Take an input, unless something comes of it."""
        point = _Point({}, 0, datetime.fromtimestamp(record.timestamp_ms / 1000, UTC))
        await self._conn.execute("SAVEPOINT point_0")
        following, _ = await self._step(point, (record, point.now, True), Group(), "point_0")
        await self._conn.execute("RELEASE SAVEPOINT point_0")
        return following is not None

    def _ways(
        self, point: _Point, lanes: dict[Place, list[Record]], sure: dict[Place, int], outputs: Sequence[Output]
    ) -> Iterator[Way]:
        """What can come next: (input, instant, quietly), an input of None for a look at the timers. Inputs by the time
        they were written; those that may not have been dealt with only while something is to come yet, and where that
        is an input that nothing came of, after it."""
        told = instant(outputs[point.matched :]) if point.matched < len(outputs) else None
        left = told is not None or any(point.taken[place] < sure[place] for place in lanes)
        coming = sorted(
            (told is None and count >= sure[place], lane[count].timestamp_ms, place)
            for place, lane in lanes.items()
            if (count := point.taken[place]) < (len(lane) if left else sure[place])
        )
        look = told is not None and self._timers is not None
        for _, written, place in coming:
            record = lanes[place][point.taken[place]]
            at = max(point.now, datetime.fromtimestamp(written / 1000, UTC))
            if look and told is not None and at > told + _UNDER_A_MILLISECOND:
                look = False
                yield None, told, False
            if told is not None:
                yield record, told, False
            if point.silent is not record:
                yield record, at, True
        if look and told is not None:
            yield None, told, False

    async def _step(self, point: _Point, way: Way, group: Group, savepoint: str) -> tuple[_Point | None, Complaint]:
        """Go a way; where it leads to something else than what was said, nowhere, and what was wrong with it."""
        record, now, quietly = way
        work = await (self._hear(record, now, savepoint) if record is not None else self._look(group, now))
        if work is None:
            said: list[Outgoing] = []
        else:
            said = [one for events in work.outgoing.values() for one in events if one.headers is None]
        if record is None and not said:
            return None, Complaint((0, 0), "")
        expected = group.outputs[point.matched : point.matched + len(said)]
        if (quietly and said) or len(expected) < len(said):
            return None, Complaint(
                (point.matched, 0), f"{said[-1].type} would be said to {_place(record)}, and was not"
            )
        for one, other in zip(expected, said, strict=True):
            as_said = Said(other.type, other.value or b"")
            if one.record.topic != other.topic or not same(_recorded(one), as_said):
                path, before, after = differing(_recorded(one), as_said)[0]
                return None, Complaint((point.matched, 1), f"{one.place} {path}: said was {before}, now it is {after}")
        point.silent = record if not said else None
        taken = dict(point.taken)
        if record is not None:
            taken[record.topic, record.partition] = taken.get((record.topic, record.partition), 0) + 1
        ats = [one.at for one in expected]
        histories = (*point.histories, *(work.histories if work is not None else ()))
        return _Point(taken, point.matched + len(said), max([point.now, now, *ats]), histories), Complaint((0, 0), "")

    async def _hear(self, record: Record, now: datetime, savepoint: str) -> Work | None:
        """What the handler makes of an input; None where it fails on it, which makes a dead letter of it."""
        work = self._work([record], now, record.partition)
        try:
            await self._service.consume(work)
        except INFRASTRUCTURE:
            raise
        except Exception as bug:
            log.info("input_not_taken", place=_place(record), error=repr(bug))
            await self._conn.execute(f"ROLLBACK TO SAVEPOINT {savepoint}")
            return None
        return work

    async def _look(self, group: Group, now: datetime) -> Work:
        """What the timer makes of the group's rows alone: for that moment they lie in lanes of their own, below 0."""
        lanes = await self._set_aside(group)
        work = self._work([], now, *lanes)
        if lanes:
            await self._service.tick(work)
            await self._set_aside(group)
            work.histories = [(*one[:4], _aside(one[4]), *one[5:]) for one in work.histories]
        return work

    async def _set_aside(self, group: Group) -> set[int]:
        rows = await self._conn.fetch(
            f"UPDATE {self._timers} t SET lane = -1 - lane "  # noqa: S608 - the table's name is the code's own
            "FROM unnest($1::text[], $2::text[]) AS u (m, o) "
            "WHERE (t.merchant, t.order_id) = (u.m, u.o) RETURNING t.lane",
            [merchant for merchant, _ in group.orders],
            [order for _, order in group.orders],
        )
        return {row["lane"] for row in rows}

    def _work(self, records: list[Record], now: datetime, *lanes: int) -> Work:
        owned = {lane: Lane(lane, _NOBODY) for lane in lanes}
        return Work(self._conn, now, records, self._service.name, owned, lambda _, to: to)


def _aside(lane: int) -> int:
    return -1 - lane


def instant(outputs: Sequence[Output]) -> datetime:
    """When the first of these outputs was said, as exactly as they tell: the transaction's own instant is in some."""
    at = outputs[0].at
    for one in outputs:
        if (one.at, one.lane) != (at, outputs[0].lane):
            break
        exact = _exact(one)
        if exact is not None and at <= exact <= at + _UNDER_A_MILLISECOND:
            return exact
    return at + _UNDER_A_MILLISECOND


_TELLS: Final = {
    "claim.admitted.v1": "admitted_at",
    "claim.assessed.v1": "since",
    "claim.decided.v1": "decided_at",
    "refund.instructed.v1": "instructed_at",
}


def _exact(one: Output) -> datetime | None:
    data = json.loads(one.record.value or b"{}")
    if one.record.type == "claim.parked.v1":
        until = datetime.fromisoformat(data["until"])
        return until - timedelta(seconds=(until - one.at) // timedelta(seconds=1))
    member = _TELLS.get(one.record.type)
    return None if member is None else datetime.fromisoformat(data[member])


def _places(group: Group) -> list[Place]:
    return sorted({*group.sure, *group.open_})


def _recorded(one: Output) -> Recorded:
    return Recorded(
        one.record.topic,
        one.record.partition,
        one.record.offset,
        one.record.type,
        one.record.source,
        one.number,
        one.at,
        one.record.value or b"",
    )


def _place(record: Record | None) -> str:
    return "a timer" if record is None else f"{record.topic}/{record.partition}@{record.offset}"
