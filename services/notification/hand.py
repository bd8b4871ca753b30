"""The messages in hand: waiting for a connection, on the line, ended and not yet settled. Bounded."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from services.notification.queue import Delay, DueMessage, Outcome
from services.notification.store import Key

Held = tuple[int, UUID]
"""A lane, and the token under which messages of it were taken in hand."""


class Hand:
    """At most `most` messages, and as many more that wait for something that comes on another topic."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._in_hand: dict[int, DueMessage] = {}
        self._waiting: asyncio.Queue[tuple[DueMessage, float] | None] = asyncio.Queue()
        self._idle_lines = 0
        self._over = False
        self._incomplete: dict[int, tuple[Key, datetime]] = {}
        self._missing: dict[Key, list[int]] = {}
        self._held: set[Held] = set()
        self.outcomes: list[Outcome] = []
        """What has become of messages, to be published."""
        self.delays: list[Delay] = []
        """Messages to be put off."""

    @property
    def ended(self) -> bool:
        """Whether there is something to settle."""
        return bool(self.outcomes or self.delays)

    @property
    def room(self) -> int:
        """How many messages may be taken."""
        return max(0, self._most - len(self._in_hand))

    @property
    def places(self) -> list[int]:
        """The messages that are not to be taken again."""
        return [*self._in_hand, *self._incomplete]

    def take(self, taken: Sequence[DueMessage], now: datetime, patience: float, begin_within: float) -> None:
        """Take messages in hand, to be begun within so many seconds; those that lack something wait for it, until they
        are `patience` seconds old."""
        begin_until = time.monotonic() + begin_within
        for due in taken:
            self._held.add((due.lane, due.owner))
            last_chance = due.created_at + timedelta(seconds=patience)
            if due.complete or now >= last_chance:
                self._in_hand[due.place] = due
                self._waiting.put_nowait((due, begin_until))
            elif len(self._incomplete) < self._most:
                order = (due.merchant, due.order_id)
                self._incomplete[due.place] = (order, last_chance)
                self._missing.setdefault(order, []).append(due.place)
            else:  # too many to watch: the queue keeps it for as long again as it has waited
                again = min(last_chance, now + max(timedelta(seconds=0.25), now - due.created_at))
                self.delays.append(
                    Delay(due.merchant, due.claim_id, due.place, due.lane, again, due.attempts, due.reason)
                )

    async def next(self, idle: float, when_idle: Callable[[], Awaitable[None]]) -> tuple[DueMessage, float] | None:
        """The next message to hand over, and until when it may be begun; None at the end. After so many seconds without
        one `when_idle` is called."""
        if not self._waiting.empty():
            return self._waiting.get_nowait()
        self._idle_lines += 1
        try:
            async with asyncio.timeout(idle):
                return await self._waiting.get()
        except TimeoutError:
            await when_idle()
            return await self._waiting.get()
        finally:
            self._idle_lines -= 1

    def at_once(self) -> tuple[DueMessage, float] | None:
        """As `next`, for a line that still has a letter: None where nothing waits that another line would not take."""
        if self._over or self._waiting.qsize() <= self._idle_lines:
            return None
        return self._waiting.get_nowait()

    def end(self, lines: int) -> None:
        """Give back what is not on the line, and let so many lines know that nothing comes any more."""
        self.give_back()
        self._over = True
        for _ in range(lines):
            self._waiting.put_nowait(None)

    def give_back(self) -> None:
        """Take out of our hands what is not on the line; in the queue nothing has changed for it."""
        while not self._waiting.empty():
            waiting = self._waiting.get_nowait()
            if waiting is not None:
                self.drop(waiting[0])

    def drop(self, due: DueMessage) -> None:
        """Take out of our hands one message that was not begun."""
        self._in_hand.pop(due.place, None)

    def arrived(self, orders: Collection[Key]) -> bool:
        """What messages of these orders lacked may have come: they may be taken again. Whether there are any."""
        found = self._missing.keys() & orders if self._missing else ()
        for order in found:
            for place in self._missing.pop(order):
                self._incomplete.pop(place, None)
        return bool(found)

    def look_again(self, now: datetime) -> bool:
        """The messages that have waited long enough for what they lack may be taken again. Whether there are any."""
        return self.arrived({order for order, last_chance in self._incomplete.values() if now >= last_chance})

    def settled(self, outcomes: Collection[Outcome], delays: Collection[Delay]) -> None:
        """These are in the database now."""
        places = {one.place for one in outcomes} | {one.place for one in delays}
        self.outcomes = [one for one in self.outcomes if one.place not in places]
        self.delays = [one for one in self.delays if one.place not in places]
        for place in places:
            self._in_hand.pop(place, None)

    def left(self, lanes: Mapping[int, UUID], settled: Collection[Outcome | Delay]) -> list[Held]:
        """The tokens that are no longer those of the lanes (lane → token), and under which nothing is in hand any more
        once these are settled."""
        gone = {held for held in self._held if lanes.get(held[0]) != held[1]}
        if gone:
            places = {one.place for one in settled}
            gone -= {(due.lane, due.owner) for due in self._in_hand.values() if due.place not in places}
        return sorted(gone)

    def forget(self, left: Collection[Held]) -> None:
        """The rows of these are gone."""
        self._held.difference_update(left)
