"""From a message row to the mail server and back: lease, write the letter, hand it over, note the outcome, publish it.

No transaction is open while the mail server is spoken to. A message is leased in one short unit of work, which only the
owner of its lane can commit; its outcome is then noted on its own row at once, whoever owns the lane by then, and
published by the owner. So a letter is handed over a second time only where the server's answer, or the note of it, was
lost; its Message-ID tells the repeat.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import ParamSpec, cast

import structlog

from services.notification import store
from services.notification.domain import Desk, Occasion, compose
from services.notification.formats import language_of, locale_for
from services.notification.mail import BadAddress, address, message, recipient_hash
from services.notification.post import Answer, Line, Server
from services.notification.settings import UNSALTED, NotificationSettings
from services.notification.wording import Catalog, Merchant, unnamed_merchant
from shared import clock, metrics, tracing
from shared.bus import LaneLost, Work, order_key
from shared.bus.pipeline import INFRASTRUCTURE
from shared.db import Pool
from shared.events import (
    ClaimAssessed,
    ClaimDecided,
    NotificationFailed,
    NotificationSent,
    dump,
    parse_data,
)
from shared.events.topics import NOTIFICATIONS
from shared.policy.book import PolicyBook

log = structlog.get_logger(__name__)

_CHANNEL = "email"
_ROUND_SECONDS = 30.0
"""After so long a round takes up no further letter: what is left is given back."""
_LONGEST_OFFLINE_PAUSE = 15.0
_NOTE_ATTEMPTS = 12

Params = ParamSpec("Params")
UnitOfWork = Callable[[], AbstractAsyncContextManager[Work]]


@dataclass(frozen=True, slots=True)
class Addressed:
    """Where a message goes: to an address, or nowhere for a reason."""

    locale: str
    to: str | None
    reason: str = ""


@dataclass(slots=True)
class Round:
    """The messages in hand, and what has been learned about the mail server with them."""

    waiting: deque[store.DueMessage]
    until: float
    offline: bool = False
    reached: bool = False


class Courier:
    """Hands due messages over, some at a time."""

    def __init__(
        self,
        settings: NotificationSettings,
        catalogs: Mapping[str, Catalog],
        merchants: Mapping[str, Merchant],
        policies: Callable[[], PolicyBook],
    ) -> None:
        self._settings = settings
        self._catalogs = catalogs
        self._merchants = merchants
        self._policies = policies
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
        self._offline = 0
        self._quiet_until = 0.0

    async def run(self, pool: Pool, unit: UnitOfWork, stop: asyncio.Event) -> None:
        """Work until `stop` is set; the letters that are on the line then are finished first."""
        if self._salt == UNSALTED:
            log.warning("recipient_salt_not_set", hint="MAKEGOOD_RECIPIENT_SALT keeps addresses from being guessed")
        while not stop.is_set():
            busy = False
            try:
                busy = await self._round(pool, unit, stop)
            except LaneLost:
                log.info("lanes_lost")
            except INFRASTRUCTURE as error:
                log.warning("round_failed_will_retry", error=repr(error))
            if not busy:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.mail_poll_seconds):
                        await stop.wait()

    async def _round(self, pool: Pool, unit: UnitOfWork, stop: asyncio.Event) -> bool:
        """Publish outcomes, take messages, hand them over; False where there was nothing to do."""
        may_send = asyncio.get_running_loop().time() >= self._quiet_until
        if not await store.anything_to_do(pool, clock.now(), may_send=may_send):
            return False
        settings = self._settings
        async with unit() as work:
            outcomes = await store.publish_outcomes(work.conn, work.lanes, work.now, settings.mail_batch)
            for outcome in outcomes:
                _publish(work, outcome)
            leased: list[store.DueMessage] = []
            if may_send:
                until = work.now + timedelta(seconds=_ROUND_SECONDS + 6 * settings.smtp_seconds)
                leased = await store.lease(work.conn, work.lanes, work.now, until, settings.mail_batch)
            ready = [due for due in leased if not await self._put_off(work, due)]
        if ready:
            await self._hand_over_all(pool, ready, stop)
        return bool(outcomes or ready)

    async def _put_off(self, work: Work, due: store.DueMessage) -> bool:
        """Give a message back while what its letter needs can still come on another topic."""
        last_chance = due.created_at + timedelta(seconds=self._settings.contact_wait_seconds)
        complete = due.has_contact and (due.sheet is not None or due.template == "refused")
        if complete or work.now >= last_chance:
            return False
        await store.put_off(work.conn, due.notification_id, last_chance, tried=False)
        return True

    async def _hand_over_all(self, pool: Pool, ready: list[store.DueMessage], stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        now = Round(deque(ready), loop.time() + _ROUND_SECONDS)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._settings.smtp_connections, len(ready))):
                group.create_task(self._work_through(pool, now, stop))
        if now.reached or not now.offline:
            self._offline = 0
            return
        self._offline += 1
        pause = store.backoff(self._offline, 0.5, _LONGEST_OFFLINE_PAUSE).total_seconds()
        self._quiet_until = loop.time() + pause
        log.warning("mail_server_offline", server=f"{self._server.host}:{self._server.port}", pause=pause)

    async def _work_through(self, pool: Pool, now: Round, stop: asyncio.Event) -> None:
        """Hand over one message after the other on a connection of its own."""
        loop = asyncio.get_running_loop()
        async with Line(self._server) as line:
            while now.waiting:
                due = now.waiting.popleft()
                if stop.is_set() or now.offline or loop.time() > now.until:
                    await self._noted(store.put_off, pool, due.notification_id, clock.now(), tried=False)
                else:
                    await self._hand_over(pool, line, due, now)

    async def _hand_over(self, pool: Pool, line: Line, due: store.DueMessage, now: Round) -> None:
        addressed = self._addressed(due)
        if addressed.to is None:
            await self._close(pool, due, addressed, Answer("refused", addressed.reason))
            return
        try:
            mail = self._mail(due, addressed.locale, addressed.to)
        except Exception:
            log.exception("letter_not_written", notification_id=due.notification_id, template=due.template)
            await self._close(pool, due, addressed, Answer("refused", "the letter could not be written"))
            return
        answer = await self._handed_over(line, due, mail, addressed.to)
        now.offline = now.offline or answer.verdict == "offline"
        now.reached = now.reached or answer.verdict != "offline"
        if answer.verdict in ("accepted", "refused"):
            await self._close(pool, due, addressed, answer)
        elif clock.now() - due.created_at >= self._give_up:
            reason = f"given up after {due.attempts} attempts: {answer.reason}"
            await self._close(pool, due, addressed, Answer("refused", reason))
        else:
            settings = self._settings
            wait = store.backoff(due.attempts, settings.mail_retry_seconds, settings.mail_retry_longest_seconds)
            log.info(
                "mail_put_off", notification_id=due.notification_id, reason=answer.reason, seconds=wait.total_seconds()
            )
            await self._noted(
                store.put_off, pool, due.notification_id, clock.now() + wait, tried=True, reason=answer.reason
            )

    async def _handed_over(self, line: Line, due: store.DueMessage, mail: EmailMessage, to: str) -> Answer:
        """Speak to the mail server, with a span in the claim's trace."""
        about = {
            "makegood.merchant": due.merchant,
            "makegood.claim_id": due.claim_id,
            "makegood.template": due.template,
            "makegood.attempt": due.attempts,
        }
        started = time.perf_counter()
        with tracing.step("mail", due.traceparent, about) as told:
            answer = await line.hand_over(mail, self._settings.mail_from, to)
            told["makegood.mail.verdict"] = answer.verdict
        metrics.MAIL_SECONDS.labels(answer.verdict).observe(time.perf_counter() - started)
        return answer

    async def _close(self, pool: Pool, due: store.DueMessage, addressed: Addressed, answer: Answer) -> None:
        await self._noted(
            store.close,
            pool,
            due.notification_id,
            accepted=answer.verdict == "accepted",
            locale=addressed.locale,
            recipient_hash=recipient_hash(addressed.to, self._salt) if addressed.to else None,
            reason=answer.reason or None,
        )

    async def _noted(
        self, note: Callable[Params, Awaitable[None]], *values: Params.args, **named: Params.kwargs
    ) -> None:
        """Write an outcome down, patiently: while the lease lasts nobody else touches the message."""
        for attempt in range(1, _NOTE_ATTEMPTS + 1):
            try:
                await note(*values, **named)
            except INFRASTRUCTURE as error:
                log.warning("outcome_not_noted_will_retry", error=repr(error), attempt=attempt)
                await asyncio.sleep(min(0.1 * 2.0**attempt, 5.0))
            else:
                return
        log.error("outcome_not_noted", note=note.__name__)

    def _addressed(self, due: store.DueMessage) -> Addressed:
        merchant = self._merchant(due)
        given = due.locale or (due.sheet.locale if due.sheet else None)
        locale = locale_for(given, merchant.locale)
        if not due.email or not due.email.strip():
            return Addressed(locale, None, "no address")
        try:
            return Addressed(locale, address(due.email))
        except BadAddress as bad:
            return Addressed(locale, None, str(bad))

    def _mail(self, due: store.DueMessage, locale: str, to: str) -> EmailMessage:
        event = cast(Occasion, parse_data(due.event_type, due.event.encode()))
        catalog = self._catalogs[language_of(locale) or "en"]
        desk = Desk(catalog, self._merchant(due), due.name, due.sheet, self._clauses(event))
        return message(
            compose(event, desk),
            to=to,
            sender=self._settings.mail_from,
            sender_name=desk.signed,
            notification_id=due.notification_id,
            written_at=due.created_at,
        )

    def _merchant(self, due: store.DueMessage) -> Merchant:
        known = self._merchants.get(due.merchant)
        if known is not None:
            return known
        policy = self._policies().in_force(due.merchant, due.created_at)
        return unnamed_merchant(due.merchant, policy.locale if policy else None)

    def _clauses(self, event: Occasion) -> dict[str, dict[str, str]]:
        """The wording of the governing policy's clauses, by number and language."""
        if not isinstance(event, ClaimAssessed | ClaimDecided) or event.policy is None:
            return {}
        policy = self._policies().version(event.merchant, event.policy.version)
        if policy is None:
            return {}
        local = language_of(policy.locale) or policy.locale
        return {number: {local: said.local, "en": said.en} for number, said in policy.clauses.items()}


def _publish(work: Work, outcome: store.Outcome) -> None:
    """Tell the pipeline what became of a message."""
    event: NotificationSent | NotificationFailed
    if outcome.accepted:
        event = NotificationSent(
            notification_id=outcome.notification_id,
            claim_id=outcome.claim_id,
            merchant=outcome.merchant,
            order_id=outcome.order_id,
            template=outcome.template,
            locale=outcome.locale,
            channel=_CHANNEL,
            recipient_hash=outcome.recipient_hash or "",
        )
    else:
        event = NotificationFailed(
            notification_id=outcome.notification_id,
            claim_id=outcome.claim_id,
            merchant=outcome.merchant,
            order_id=outcome.order_id,
            template=outcome.template,
            locale=outcome.locale,
            channel=_CHANNEL,
            recipient_hash=outcome.recipient_hash,
            reason=outcome.reason or "unknown",
        )
    work.emit(
        NOTIFICATIONS,
        event.type,
        dump(event),
        key=order_key(outcome.merchant, outcome.order_id),
        subject=outcome.claim_id,
        lane=outcome.lane,
        traceparent=outcome.traceparent,
    )
    what = "told" if outcome.accepted else "not told"
    work.history(outcome.merchant, outcome.claim_id, f"{what}: {outcome.template}", lane=outcome.lane)
    work.count("sent" if outcome.accepted else "failed")
    work.tally(metrics.NOTIFICATIONS, "sent" if outcome.accepted else "failed", outcome.template)
