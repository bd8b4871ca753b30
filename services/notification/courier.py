"""From a message row to the mail server and back: take in hand, write the letter, hand it over, settle, publish.

No transaction is open while the mail server is spoken to. One unit of work, several times a second at most, does all
there is to do in the database: it settles what has ended since the last one (the message leaves the queue and its
event is published in the same transaction) and takes further messages in hand, which only the owner of their lane can
commit. Between two of them the letters in hand go out over a few kept connections. What has ended for a lane that was
lost meanwhile is noted, and published by the lane's new owner, who leaves alone what may be in our hands until then.

So a letter is handed over a second time only where the server's answer, or the note of it, was lost; its Message-ID
tells the repeat.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from typing import Final, NamedTuple, get_args

import structlog

from services.notification import queue
from services.notification.hand import Hand
from services.notification.mail import Mail, recipient_hash
from services.notification.outcomes import publish
from services.notification.post import Answer, Line, Server, Verdict
from services.notification.queue import Delay, DueMessage, Outcome
from services.notification.settings import UNSALTED, NotificationSettings
from services.notification.store import Key
from services.notification.writing import Addressed, Writer
from shared import clock, metrics, tracing
from shared.bus import LaneLost, Work
from shared.bus.pipeline import INFRASTRUCTURE
from shared.db import Pool

log = structlog.get_logger(__name__)

_HAND_SECONDS: Final = 30.0
"""After so long in hand a letter is no longer begun: it is given back."""
_GATHER_SECONDS: Final = 0.1
"""At least so long lies between two units of work; what ends meanwhile is settled together."""
_BEHIND_SECONDS: Final = 1.0
"""So long lies between them while the service is behind with reading, and so long after it was."""
_IDLE_SECONDS: Final = 15.0
"""A connection that has nothing to carry for so long is closed."""
_LONGEST_OFFLINE_PAUSE: Final = 15.0
_LAST_ATTEMPTS: Final = 12

_SECONDS: Final = {verdict: metrics.MAIL_SECONDS.labels(verdict) for verdict in get_args(Verdict)}


class _Written(NamedTuple):
    """A letter on its way to a line, which may begin it until then."""

    due: DueMessage
    begin_until: float
    addressed: Addressed
    mail: Mail


UnitOfWork = Callable[[], AbstractAsyncContextManager[Work]]


class Courier:
    """Hands due messages over, some at a time."""

    def __init__(self, settings: NotificationSettings, writer: Writer) -> None:
        self._settings = settings
        self._writer = writer
        self._salt = settings.recipient_salt.get_secret_value()
        self._server = Server(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_user,
            settings.smtp_password.get_secret_value() if settings.smtp_password else None,
            settings.smtp_tls,
            settings.smtp_seconds,
        )
        self._give_up = timedelta(hours=settings.mail_give_up_hours)
        self._keeps = settings.keep_mails_days > 0
        self._hand = Hand(settings.mail_batch)
        self._wake = asyncio.Event()
        self._last_round = 0.0
        self._offline = 0
        self._quiet_until = 0.0
        self._behind_until = 0.0

    def look(self, arrived: Collection[Key], *, wrote: bool) -> None:
        """Look for what can be handed over if messages were written, or one waited for something of these orders."""
        if self._hand.arrived(arrived) or wrote:
            self._wake.set()

    def make_way(self) -> None:
        """The service is behind with reading: for a while letters have to be content with a small share."""
        self._behind_until = time.monotonic() + _BEHIND_SECONDS

    async def run(self, pool: Pool, unit: UnitOfWork, stop: asyncio.Event) -> None:
        """Work until `stop` is set; the letters that are on the line then are finished first."""
        if self._salt == UNSALTED:
            log.warning("recipient_salt_not_set", hint="MAKEGOOD_RECIPIENT_SALT keeps addresses from being guessed")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._wake_at(stop))
            for _ in range(self._settings.smtp_connections):
                tasks.create_task(self._carry(stop))
            while not stop.is_set():
                woken = await self._until_woken()
                if woken or self._hand.ended or await self._anything_to_do(pool):
                    await self._round_patiently(pool, unit)
            self._hand.end(self._settings.smtp_connections)
        await self._leave(pool, unit)

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _until_woken(self) -> bool:
        """Wait until there is something to do, and until enough has been gathered; False where nobody said so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.mail_poll_seconds):
                await self._wake.wait()
        await asyncio.sleep(max(0.0, self._last_round + self._apart - time.monotonic()))
        woken = self._wake.is_set()
        self._wake.clear()
        self._last_round = time.monotonic()
        return woken

    async def _round_patiently(self, pool: Pool, unit: UnitOfWork) -> bool:
        """One round; False where it has to be done again."""
        try:
            await self._round(unit)
        except LaneLost as lost:
            log.info("lanes_lost", lanes=sorted(lost.lanes))
            return await self._note_patiently(pool, lost.lanes)
        except INFRASTRUCTURE as error:
            log.warning("round_failed_will_retry", error=repr(error))
            return False
        return True

    async def _anything_to_do(self, pool: Pool) -> bool:
        now = clock.now()
        if self._hand.look_again(now):
            return True
        try:
            return await queue.anything_to_do(pool, now, self._hand.places, may_send=not self._quiet)
        except INFRASTRUCTURE as error:
            log.warning("queue_not_looked_at_will_retry", error=repr(error))
            return False

    async def _round(self, unit: UnitOfWork) -> None:
        """Settle what has ended, publish what others have noted, take further messages in hand."""
        room = self._room
        taken: list[DueMessage] = []
        outcomes, delays = list(self._hand.outcomes), list(self._hand.delays)
        async with unit() as work:
            lanes = {lane: work.owned[lane].token for lane in work.lanes}
            await self._settle(work, outcomes, delays)
            if room:
                until = work.now + timedelta(seconds=_HAND_SECONDS + 6 * self._settings.smtp_seconds)
                most = -(-room // max(1, len(lanes)))
                taken = await queue.take(work.conn, lanes, work.now, until, self._hand.places, most)
            left = self._hand.left(lanes, [*outcomes, *delays])
            if left:
                await queue.release(work.conn, left, work.now)
            now = work.now
        self._hand.settled(outcomes, delays)
        self._hand.forget(left)
        self._hand.take(taken, now, self._settings.contact_wait_seconds, _HAND_SECONDS)

    async def _settle(self, work: Work, outcomes: list[Outcome], delays: list[Delay]) -> None:
        """Publish outcomes of our lanes, note those of others, put off what has to wait."""
        ours = [one for one in outcomes if one.lane in work.owned]
        others = [one for one in outcomes if one.lane not in work.owned]
        from_others = await queue.noted(work.conn, work.lanes, self._settings.mail_batch)
        if ours or from_others:
            there = await queue.settle(work.conn, [*ours, *from_others])
            for outcome in (*ours, *from_others):
                if outcome.place in there:
                    there.discard(outcome.place)
                    publish(work, outcome)
        if others:
            await queue.note(work.conn, others)
        await queue.keep(work.conn, outcomes, work.now)
        if delays:
            await queue.put_off(work.conn, delays)

    async def _note_patiently(self, pool: Pool, lanes: Collection[int]) -> bool:
        """What has ended for lanes that are no longer ours is noted without them; False where that failed as well."""
        outcomes = [one for one in self._hand.outcomes if one.lane in lanes]
        delays = [one for one in self._hand.delays if one.lane in lanes]
        left = [held for held in self._hand.left({}, [*outcomes, *delays]) if held[0] in lanes]
        try:
            async with pool.acquire(timeout=10) as conn, conn.transaction():
                if outcomes:
                    await queue.note(conn, outcomes)
                    await queue.keep(conn, outcomes, clock.now())
                if delays:
                    await queue.put_off(conn, delays)
                if left:
                    await queue.release(conn, left, clock.now())
        except INFRASTRUCTURE as error:
            log.warning("outcomes_not_noted_will_retry", error=repr(error))
            return False
        self._hand.settled(outcomes, delays)
        self._hand.forget(left)
        return not self._hand.ended

    async def _leave(self, pool: Pool, unit: UnitOfWork) -> None:
        """Settle the last letters, patiently: until then nobody else touches their messages."""
        for attempt in range(1, _LAST_ATTEMPTS + 1):
            self._quiet_until = float("inf")
            if await self._round_patiently(pool, unit) and not self._hand.ended:
                break
            await asyncio.sleep(min(0.1 * 2.0**attempt, 5.0))
        else:
            log.error("outcomes_not_noted", messages=len(self._hand.outcomes))
            return
        await self._let_go(pool)

    async def _let_go(self, pool: Pool) -> None:
        left = self._hand.left({}, ())
        if left:
            with suppress(*INFRASTRUCTURE):
                await queue.release(pool, left, clock.now())
                self._hand.forget(left)

    async def _carry(self, stop: asyncio.Event) -> None:
        """Hand over one letter after the other on a connection of its own."""
        async with Line(self._server) as line:
            following: _Written | None = None
            while (letter := following or await self._next(line)) is not None:
                if stop.is_set() or time.monotonic() > letter.begin_until or self._quiet:
                    self._hand.drop(letter.due)
                    following = None
                    await line.hang_up()  # the server may have been told of it
                else:
                    following = self._at_once() if line.pipelines else None
                    await self._hand_over(line, letter, following.mail if following else None)

    async def _next(self, line: Line) -> _Written | None:
        """The next letter; None at the end."""
        while (one := await self._hand.next(_IDLE_SECONDS, line.hang_up)) is not None:
            if (letter := self._written(*one)) is not None:
                return letter
        return None

    def _at_once(self) -> _Written | None:
        """The next letter where there is one already."""
        while (one := self._hand.at_once()) is not None:
            if (letter := self._written(*one)) is not None:
                return letter
        return None

    @property
    def _behind(self) -> bool:
        return time.monotonic() < self._behind_until

    @property
    def _apart(self) -> float:
        """Seconds between two rounds at least."""
        return _BEHIND_SECONDS if self._behind else min(_GATHER_SECONDS, self._settings.mail_poll_seconds)

    @property
    def _room(self) -> int:
        """How many messages may be taken in hand now."""
        if self._quiet:
            return 0
        return min(self._hand.room, self._settings.mails_when_behind) if self._behind else self._hand.room

    @property
    def _quiet(self) -> bool:
        return time.monotonic() < self._quiet_until

    def _written(self, due: DueMessage, begin_until: float) -> _Written | None:
        """The letter; None where there is none to hand over, which is then what became of the message."""
        addressed = self._writer.addressed(due)
        if addressed.to is None:
            self._close(due, addressed, Answer("refused", addressed.reason))
            return None
        try:
            return _Written(due, begin_until, addressed, self._writer.mail(due, addressed.locale, addressed.to))
        except Exception:
            log.exception("letter_not_written", notification_id=due.notification_id, template=due.template)
            self._close(due, addressed, Answer("refused", "the letter could not be written"))
            return None

    async def _hand_over(self, line: Line, letter: _Written, following: Mail | None) -> None:
        due, _, addressed, mail = letter
        answer = await self._handed_over(line, due, mail, following)
        self._reached(answer)
        if answer.verdict in ("accepted", "refused"):
            self._close(due, addressed, answer, mail)
        elif clock.now() - due.created_at >= self._give_up:
            reason = f"given up after {due.attempts + 1} attempts: {answer.reason}"
            self._close(due, addressed, Answer("refused", reason))
        else:
            self._put_off(due, answer.reason)

    async def _handed_over(self, line: Line, due: DueMessage, mail: Mail, following: Mail | None) -> Answer:
        """Speak to the mail server, with a span in the claim's trace."""
        started = time.perf_counter()
        if tracing.active is None:
            answer = await line.hand_over(mail, following)
        else:
            with tracing.step("mail", due.traceparent, _about(due)) as told:
                answer = await line.hand_over(mail, following)
                told["makegood.mail.verdict"] = answer.verdict
        _SECONDS[answer.verdict].observe(time.perf_counter() - started)
        return answer

    def _reached(self, answer: Answer) -> None:
        """A server that is not there says nothing about the other letters: they are given back until it is."""
        if answer.verdict != "offline":
            self._offline = 0
            return
        if self._quiet:
            return
        self._offline += 1
        pause = queue.backoff(self._offline, 0.5, _LONGEST_OFFLINE_PAUSE).total_seconds()
        self._quiet_until = time.monotonic() + pause
        self._hand.give_back()
        log.warning("mail_server_offline", server=f"{self._server.host}:{self._server.port}", pause=pause)

    def _put_off(self, due: DueMessage, reason: str) -> None:
        settings = self._settings
        attempts = due.attempts + 1
        wait = queue.backoff(attempts, settings.mail_retry_seconds, settings.mail_retry_longest_seconds)
        log.info("mail_put_off", notification_id=due.notification_id, reason=reason, seconds=wait.total_seconds())
        self._hand.delays.append(
            Delay(due.merchant, due.claim_id, due.place, due.lane, clock.now() + wait, attempts, reason)
        )
        self._wake.set()

    def _close(self, due: DueMessage, addressed: Addressed, answer: Answer, mail: Mail | None = None) -> None:
        kept = mail if self._keeps and answer.verdict == "accepted" else None
        self._hand.outcomes.append(
            Outcome(
                due.merchant,
                due.claim_id,
                due.place,
                due.lane,
                due.notification_id,
                due.order_id,
                due.template,
                due.traceparent,
                answer.verdict == "accepted",
                addressed.locale,
                recipient_hash(addressed.to, self._salt) if addressed.to else None,
                answer.reason or None,
                kept.subject if kept else None,
                kept.text if kept else None,
            )
        )
        self._wake.set()


def _about(due: DueMessage) -> tracing.Attributes:
    """What a span tells of a letter."""
    return {
        "makegood.merchant": due.merchant,
        "makegood.claim_id": due.claim_id,
        "makegood.template": due.template,
        "makegood.attempt": due.attempts + 1,
    }
