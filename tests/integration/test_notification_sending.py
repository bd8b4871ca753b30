"""From events to e-mails on a real Postgres and a real SMTP server: once each, in order, whatever fails on the way."""

import asyncio
import email
import email.policy
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import partial
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr, ValidationError

from services.notification import queue
from services.notification.app import build
from services.notification.handlers import Notification
from services.notification.settings import NotificationSettings
from shared.bus.outbox import Outgoing, unpack
from shared.bus.pipeline import Pipeline
from shared.bus.record import Record
from shared.bus.relay import Relay
from shared.bus.sweep import Sweeper
from shared.db import Pool, connect
from tests.conftest import MakeDatabase
from tests.stack import eventually

LANES = (0, 1)
MERCHANT = "gejet-mall"


@dataclass
class Sink:
    """An SMTP server that answers as a test says: `answers` are used up first, one a letter."""

    answers: list[str] = field(default_factory=list)
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    open_door: asyncio.Event = field(default_factory=asyncio.Event)
    at_the_door: int = 0
    most_at_once: int = 0
    server: asyncio.Server | None = None
    port: int = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        self.at_the_door += 1
        self.most_at_once = max(self.most_at_once, self.at_the_door)
        try:
            async with asyncio.timeout(10):
                await self.open_door.wait()
        finally:
            self.at_the_door -= 1
        answer = self.answers.pop(0) if self.answers else "250 taken"
        if answer.startswith("250"):
            letter = email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default)
            assert isinstance(letter, EmailMessage)
            self.letters.append(letter)
            self.recipients += envelope.rcpt_tos
        return answer

    async def start(self) -> None:
        """Open on the port of before, or on a free one."""
        make = partial(SMTP, self, hostname="sink.example")
        self.server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        if self.server is not None:
            self.server.close()

    def subjects(self) -> list[str]:
        return [letter["Subject"].replace("\u2068", "").replace("\u2069", "") for letter in self.letters]


@dataclass
class Office:
    """The notification service as one process runs it, in this process; nothing is carried to Kafka."""

    pool: Pool
    service: Notification
    pipeline: Pipeline
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    sending: asyncio.Task[None] | None = None
    offset: int = 0

    async def take(self, *records: Record) -> None:
        await self.pipeline.process(records, lambda *at: None)
        assert self.pipeline.owned, "the lanes are lost"

    def send(self) -> None:
        self.sending = asyncio.create_task(self.service.background(self.pool, self.pipeline.unit, self.stop))

    async def close(self) -> None:
        self.stop.set()
        if self.sending is not None:
            async with asyncio.timeout(20):
                await self.sending
            self.sending = None

    async def crash(self) -> None:
        if self.sending is not None:
            self.sending.cancel()
            with suppress(asyncio.CancelledError):
                await self.sending
            self.sending = None

    async def emitted(self, topic: str = "notifications.v1") -> list[Outgoing]:
        rows = await self.pool.fetch("SELECT lane, number, events, written_at FROM outbox ORDER BY lane, number")
        return [event for row in rows for event in unpack(*row).events if event.topic == topic]

    async def told(self, *types: str) -> list[dict[str, Any]]:
        """The notification events once there are as many as types, which must be theirs, in this order."""
        events: list[Outgoing] = await eventually(
            lambda: self._as_many(len(types)), 15, why=f"{len(types)} notification events"
        )
        assert [event.type for event in events] == [f"notification.{type_}.v1" for type_ in types]
        return [json.loads(event.value or b"") for event in events]

    async def _as_many(self, number: int) -> Any:
        events = await self.emitted()
        return events if len(events) >= number else []


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    sink = Sink()
    sink.open_door.set()
    await sink.start()
    yield sink
    sink.stop()


@pytest.fixture
async def pool(make_database: MakeDatabase) -> AsyncIterator[Pool]:
    pool = await connect(await make_database(["shared.bus", "services.notification"]), 8, application="test")
    yield pool
    await asyncio.wait_for(pool.close(), 20)


@pytest.fixture
async def open_office(pool: Pool, sink: Sink) -> AsyncIterator[Callable[..., Any]]:
    made: list[Office] = []

    async def open_(**settings: Any) -> Office:
        patience: dict[str, Any] = {
            "smtp": f"127.0.0.1:{sink.port}",
            "smtp_seconds": 5,
            "mail_poll_seconds": 0.02,
            "mail_retry_seconds": 0.05,
            "contact_wait_seconds": 30,
            "recipient_salt": "salt",
        }
        service = build(NotificationSettings(**(patience | settings)))
        office = Office(pool, service, Pipeline(service, pool, Relay(service.name, "127.0.0.1:1", pool)))
        await office.pipeline.claim(LANES)
        made.append(office)
        return office

    yield open_
    for office in made:
        await office.close()


def record(type_: str, data: dict[str, Any], *, topic: str | None = None, lane: int = 0, id_: str = "") -> Record:
    """A record as the kit hands it over; without an id of our own making the inbox lets every repeat through."""
    topics = {
        "customer.contact.v1": "contacts.v1",
        "claim.assessed.v1": "assessments.v1",
        "claim.decided.v1": "decisions.v1",
        "claim.settled.v1": "decisions.v1",
    }
    at = topic or topics.get(type_, "admissions.v1")
    offset = record_offsets[at, lane] = record_offsets.get((at, lane), -1) + 1
    key = f"{data.get('merchant')}/{data.get('order_id')}".encode()
    value = json.dumps(data, ensure_ascii=False).encode()
    return Record(at, lane, offset, 0, key, value, (), type_, id_, "/makegood/test", traceparent=f"trace-{offset}")


record_offsets: dict[tuple[str, int], int] = {}


@pytest.fixture(autouse=True)
def _from_the_first_offset() -> None:
    record_offsets.clear()


def contact(order: str = "o-1", lane: int = 0, **about: Any) -> Record:
    data = {
        "merchant": MERCHANT,
        "order_id": order,
        "customer_id": "c-77",
        "name": "علی",
        "email": f"{order}@example.com",
    }
    return record("customer.contact.v1", data | {"phone": None, "locale": "en-GB"} | about, lane=lane)


def claim(order: str = "o-1", claim_id: str = "c-1", lane: int = 0) -> Record:
    about = {"merchant": MERCHANT, "order_id": order}
    line = {"line_id": "1", "sku": "SW-9", "title": "Smart watch", "quantity": 2, "unit_price": "6000000"}
    placed = about | {
        "placed_at": "2026-11-01T09:00:00+03:30",
        "received_at": None,
        "currency": "IRR",
        "customer": {"customer_id": "c-77", "locale": "en-GB"},
        "lines": [line],
        "shipping": {"amount": "0", "carrier": "tipax", "collect": True},
        "payments": [{"payment_id": "p-1", "provider": "bank", "amount": "12000000"}],
    }
    submitted = about | {
        "claim_id": claim_id,
        "reported_at": "2026-11-05T10:00:00+03:30",
        "channel": "web",
        "reason": "withdrawal",
        "lines": [{"line_id": "1", "quantity": 2}],
    }
    data = about | {
        "claim_id": claim_id,
        "claim": submitted,
        "order": placed,
        "admitted_at": "2026-11-05T10:00:01+03:30",
    }
    return record("claim.admitted.v1", data, lane=lane)


def awaiting_return(order: str = "o-1", claim_id: str = "c-1", lane: int = 0) -> Record:
    data = {
        "claim_id": claim_id,
        "merchant": MERCHANT,
        "order_id": order,
        "status": "awaiting",
        "awaiting": "return",
        "since": "2026-11-05T10:00:02+03:30",
        "due": "2026-11-19T10:00:02+03:30",
        "overdue": False,
        "authorization": f"RA-{claim_id}",
        "lines": [{"line_id": "1", "quantity": 2, "verdict": "undecided", "reasons": []}],
        "remedy": None,
        "readings": [],
        "policy": None,
    }
    return record("claim.assessed.v1", data, lane=lane)


def decision(order: str = "o-1", claim_id: str = "c-1", lane: int = 0, number: int = 1, **about: Any) -> Record:
    reason = {"rule": "carton", "clause": "G1.4", "effect": "deny", "text": "The carton is marked"}
    data = {
        "claim_id": claim_id,
        "merchant": MERCHANT,
        "order_id": order,
        "decision_no": number,
        "follows": number - 1 or None,
        "outcome": "rejected",
        "lines": [{"line_id": "1", "quantity": 2, "verdict": "rejected", "reasons": [reason]}],
        "refund": None,
        "replacement": None,
        "policy": {"id": MERCHANT, "version": 1, "digest": "d"},
        "readings": [],
        "decided_by": "policy",
        "decided_at": "2026-11-08T10:00:00+03:30",
    }
    return record("claim.decided.v1", data | about, lane=lane)


async def test_a_claim_is_told_turn_by_turn(open_office: Callable[..., Any], sink: Sink) -> None:
    office: Office = await open_office()
    office.send()
    await office.take(contact(), claim(), awaiting_return(), decision())
    first, second = await office.told("sent", "sent")
    assert sink.subjects() == ["Your claim c-1: please return the goods", "Decision on your claim c-1"]
    assert sink.recipients == ["o-1@example.com"] * 2
    assert "2 × Smart watch" in sink.letters[0].get_content()
    assert [first["template"], second["template"]] == ["awaiting_return", "decided"]
    assert first | {"notification_id": "", "recipient_hash": ""} == {
        "notification_id": "",
        "claim_id": "c-1",
        "merchant": MERCHANT,
        "order_id": "o-1",
        "template": "awaiting_return",
        "locale": "en-GB",
        "channel": "email",
        "recipient_hash": "",
    }
    events = await office.emitted()
    assert [(event.key, event.subject, event.partition) for event in events] == [(b"gejet-mall/o-1", "c-1", 0)] * 2
    assert [event.traceparent for event in events] == ["trace-0", "trace-0"]
    assert sink.letters[0]["Message-ID"] == f"<{first['notification_id']}@makegood.example>"


async def test_no_personal_data_leaves_the_service(open_office: Callable[..., Any], sink: Sink, pool: Pool) -> None:
    office: Office = await open_office()
    sink.answers = ["550 5.1.1 <o-1@example.com>: no such user"]
    office.send()
    await office.take(contact(name="Ali Rezaei", phone="+989121234567"), claim(), decision(), decision(number=2))
    failed, sent = await office.told("failed", "sent")
    assert failed["reason"] == "mail server: 550"
    assert failed["recipient_hash"] == sent["recipient_hash"]
    await office.take(contact("o-9", email="o-9@example.com"), decision("o-9", "c-9"))  # waits for its claim: a message
    for table in ("outbox", "history", "dead_letter", "claim", "message"):
        rows = b"".join([repr(tuple(row)).encode() for row in await pool.fetch(f"SELECT * FROM {table}")])
        assert rows if table not in ("dead_letter",) else True
        for secret in (b"example.com", b"Rezaei", b"9121234567"):
            assert secret not in rows, table


async def test_in_the_merchants_language_with_the_policys_own_words(
    open_office: Callable[..., Any], sink: Sink
) -> None:
    office: Office = await open_office()
    office.send()
    await office.take(contact(locale="xx-YY"), claim(), decision())
    (sent,) = await office.told("sent")
    assert sent["locale"] == "fa-IR"
    assert sink.letters[0]["Content-Language"] == "fa"
    policy = office.service._courier._writer.policies().version(MERCHANT, 1)
    assert policy is not None
    assert policy.clauses["G1.4"].local.rstrip(". ") in sink.letters[0].get_content()


async def test_what_comes_again_is_not_told_again(open_office: Callable[..., Any], sink: Sink) -> None:
    office: Office = await open_office()
    office.send()
    await office.take(contact(), claim(), awaiting_return(), awaiting_return(), decision(), decision())
    await office.told("sent", "sent")
    await office.take(awaiting_return(), decision(), contact(), claim())
    await office.take(decision(number=2))
    await office.told("sent", "sent", "sent")
    assert sink.subjects() == ["Your claim c-1: please return the goods", *["Decision on your claim c-1"] * 2]


async def test_a_message_waits_for_contact_data_that_comes_on_another_topic(
    open_office: Callable[..., Any], sink: Sink
) -> None:
    office: Office = await open_office()
    office.send()
    await office.take(decision())
    await eventually(lambda: _waiting_for_something(office), why="the message waits")
    await office.take(claim())
    assert not await _waiting_for_something(office), "what came may be what it waits for"
    await eventually(lambda: _waiting_for_something(office), why="the message waits again")
    assert sink.letters == []
    await office.take(contact())
    await office.told("sent")
    assert len(sink.letters) == 1


async def test_without_contact_data_the_message_fails_after_the_wait(
    open_office: Callable[..., Any], sink: Sink
) -> None:
    office: Office = await open_office(contact_wait_seconds=0.3)
    office.send()
    await office.take(decision())
    (failed,) = await office.told("failed")
    assert (failed["reason"], failed["recipient_hash"], failed["locale"]) == ("no address", None, "fa-IR")
    assert sink.letters == []


@pytest.mark.parametrize(
    ("given", "reason"), [(None, "no address"), ("  ", "no address"), ("ali", "the address is not valid")]
)
async def test_without_a_usable_address_the_message_fails_at_once(
    given: str | None, reason: str, open_office: Callable[..., Any], sink: Sink
) -> None:
    office: Office = await open_office()
    office.send()
    await office.take(contact(email=given), claim(), decision())
    (failed,) = await office.told("failed")
    assert failed["reason"] == reason
    assert sink.letters == []


async def test_a_temporary_no_is_tried_again_and_only_its_own_claim_waits(
    open_office: Callable[..., Any], sink: Sink, pool: Pool
) -> None:
    office: Office = await open_office(smtp_connections=1, mail_retry_seconds=1.0)
    sink.answers = ["451 4.7.1 greylisted"]
    await office.take(contact(), claim(), awaiting_return(), decision(), contact("o-2"), claim("o-2", "c-2"))
    await office.take(decision("o-2", "c-2"))
    office.send()
    await office.told("sent")
    row = await pool.fetchrow("SELECT attempts, reason FROM message WHERE template = 'awaiting_return'")
    assert row is not None
    assert tuple(row) == (1, "mail server: 451")
    sent = await office.told("sent", "sent", "sent")
    assert [(event["claim_id"], event["template"]) for event in sent] == [
        ("c-2", "decided"),
        ("c-1", "awaiting_return"),
        ("c-1", "decided"),
    ]


async def test_what_cannot_be_delivered_for_long_is_given_up(open_office: Callable[..., Any], sink: Sink) -> None:
    office: Office = await open_office(mail_give_up_hours=0.3 / 3600)
    sink.answers = ["451 not now"] * 100
    office.send()
    await office.take(contact(), claim(), decision())
    (failed,) = await office.told("failed")
    assert failed["reason"].startswith("given up after ")
    assert failed["reason"].endswith(" attempts: mail server: 451")


async def test_a_mail_server_that_is_down_costs_nothing_but_time(
    open_office: Callable[..., Any], sink: Sink, pool: Pool
) -> None:
    office: Office = await open_office()
    sink.stop()
    await office.take(contact(), claim(), awaiting_return(), decision(), contact("o-2"), claim("o-2", "c-2"))
    await office.take(decision("o-2", "c-2"))
    office.send()
    tried = "SELECT count(*) FROM message WHERE reason LIKE 'mail server not reached%'"
    await eventually(lambda: pool.fetchval(tried), why="an attempt is noted")
    assert await office.emitted() == []
    await sink.start()
    await office.told("sent", "sent", "sent")
    assert len(sink.letters) == 3


async def test_only_so_many_letters_are_on_the_line_at_once(open_office: Callable[..., Any], sink: Sink) -> None:
    office: Office = await open_office(smtp_connections=3)
    sink.open_door.clear()
    orders = [f"o-{number}" for number in range(20)]
    await office.take(*(contact(order) for order in orders), *(claim(order, order) for order in orders))
    await office.take(*(decision(order, order) for order in orders))
    office.send()
    await eventually(lambda: sink.at_the_door == 3, why="three letters on the line")
    sink.open_door.set()
    await office.told(*["sent"] * 20)
    assert sink.most_at_once == 3
    assert sorted(sink.recipients) == sorted(f"{order}@example.com" for order in orders)


def _lately(records: Sequence[Record], seconds: float) -> list[Record]:
    """The same records, written to their topics so long ago."""
    written = round((datetime.now(UTC).timestamp() - seconds) * 1000)
    return [replace(one, timestamp_ms=written) for one in records]


def _forty_claims() -> list[Record]:
    orders = [(f"o-{number}", number % len(LANES)) for number in range(40)]
    return [
        one
        for order, lane in orders
        for one in (contact(order, lane), claim(order, order, lane), decision(order, order, lane))
    ]


async def test_letters_make_way_while_the_service_is_behind_with_reading_and_never_stop(
    open_office: Callable[..., Any], sink: Sink
) -> None:
    office: Office = await open_office(mails_when_behind=4)
    office.send()
    await office.take(*_lately(_forty_claims(), 2.0))
    await eventually(lambda: _as_many_letters(sink, 4), why="the letters of the first second")
    began = time.monotonic()
    assert len(sink.letters) == 4
    await office.take(*_lately(_forty_claims(), 2.0))  # still behind, though nothing of it is news
    await eventually(lambda: _as_many_letters(sink, 8), why="the letters of the next second")
    assert time.monotonic() - began > 0.7
    await office.told(*["sent"] * 40)
    assert len(sink.letters) == 40


@pytest.mark.parametrize(("number", "seconds"), [(120, 0.0), (90, 2.0)])
async def test_what_is_much_or_late_alone_holds_no_letter_up(
    number: int, seconds: float, open_office: Callable[..., Any], sink: Sink
) -> None:
    office: Office = await open_office(mails_when_behind=4)
    office.send()
    await office.take(*_lately(_forty_claims()[:number], seconds))
    await eventually(lambda: _as_many_letters(sink, number // 3), 0.9, why="all letters are sent at once")


async def test_records_are_taken_while_a_letter_is_on_the_line(open_office: Callable[..., Any], sink: Sink) -> None:
    office: Office = await open_office()
    sink.open_door.clear()
    office.send()
    await office.take(contact(), claim(), awaiting_return())
    await eventually(lambda: sink.at_the_door == 1, why="a letter on the line")
    async with asyncio.timeout(2):
        await office.take(decision())
    sink.open_door.set()
    await office.told("sent", "sent")


async def test_a_lane_that_changes_hands_during_a_letter_tells_it_once(
    open_office: Callable[..., Any], sink: Sink
) -> None:
    first = await _with_a_letter_on_the_line(open_office, sink)
    second: Office = await open_office()
    second.send()
    sink.open_door.set()
    await second.told("sent")
    await first.close()
    assert len(sink.letters) == 1


async def test_killed_between_the_servers_answer_and_the_note_the_repeat_is_known_by_its_id(
    open_office: Callable[..., Any], sink: Sink, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: Office = await open_office()

    async def killed(*values: object, **named: object) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(queue, "settle", killed)
        first.send()
        await first.take(contact(), claim(), decision())
        await eventually(lambda: len(sink.letters) == 1, why="the letter is taken")
        await first.crash()
    second: Office = await open_office()
    second.send()
    await pool.execute("UPDATE in_hand SET until = now()")
    await second.told("sent")
    assert len({letter.as_bytes() for letter in sink.letters}) == 1
    assert len(sink.letters) == 2


async def test_stopping_finishes_the_letter_on_the_line_and_gives_the_others_back(
    open_office: Callable[..., Any], sink: Sink, pool: Pool
) -> None:
    office: Office = await open_office(smtp_connections=1)
    sink.open_door.clear()
    await office.take(contact(), claim(), decision(), contact("o-2"), claim("o-2", "c-2"), decision("o-2", "c-2"))
    office.send()
    await eventually(lambda: sink.at_the_door == 1, why="a letter on the line")
    office.stop.set()
    sink.open_door.set()
    await office.close()
    assert [event.subject for event in await office.emitted()] == ["c-1"]
    assert [tuple(row) for row in await pool.fetch("SELECT claim_id, attempts FROM message")] == [("c-2", 0)]
    assert await pool.fetch("SELECT FROM in_hand") == []


async def test_a_bad_record_does_not_stop_its_neighbours(
    open_office: Callable[..., Any], sink: Sink, pool: Pool
) -> None:
    office: Office = await open_office()
    office.send()
    await office.take(
        contact(),
        claim(),
        record("claim.decided.v1", {"merchant": MERCHANT}),
        record("claim.decided.v2", {}, topic="decisions.v1"),
        record("claim.referred.v1", {}, topic="decisions.v1"),
        decision(),
    )
    await office.told("sent")
    rows = await pool.fetch("SELECT topic, reason, path FROM dead_letter ORDER BY record_offset")
    assert [(row["topic"], row["path"]) for row in rows] == [("decisions.v1", "$.claim_id"), ("decisions.v1", "$")]
    assert "claim.decided.v2" in rows[1]["reason"]


async def test_a_letter_that_cannot_be_written_fails_alone(
    open_office: Callable[..., Any], sink: Sink, pool: Pool
) -> None:
    office: Office = await open_office(smtp_connections=1)
    await office.take(contact(), claim(), decision(), contact("o-2"), claim("o-2", "c-2"), decision("o-2", "c-2"))
    await pool.execute("UPDATE message SET event = '{}'::bytea WHERE claim_id = 'c-1'")
    office.send()
    failed, _ = await office.told("failed", "sent")
    assert (failed["claim_id"], failed["reason"]) == ("c-1", "the letter could not be written")


async def test_other_lanes_messages_are_left_alone(open_office: Callable[..., Any], sink: Sink, pool: Pool) -> None:
    office: Office = await open_office()
    await office.take(contact(lane=1), claim(lane=1), decision(lane=1), contact("o-2"), claim("o-2", "c-2"))
    await office.take(decision("o-2", "c-2"))
    office.pipeline.lose([1])
    office.send()
    (sent,) = await office.told("sent")
    assert sent["claim_id"] == "c-2"
    assert await pool.fetchval("SELECT claim_id FROM message WHERE lane = 1") == "c-1"


async def test_the_text_of_a_mail_is_kept_as_it_went_out(
    open_office: Callable[..., Any], sink: Sink, pool: Pool
) -> None:
    office: Office = await open_office()
    sink.answers = ["250 taken", "550 no such user"]
    office.send()
    await office.take(contact(name='Ali "O\\"'), claim(), awaiting_return(), decision(), decision(number=2))
    first, _, third = await office.told("sent", "failed", "sent")
    kept = await queue.kept(pool, MERCHANT, "c-1")
    assert [(one["notification_id"], one["subject"], one["text"]) for one in reversed(kept)] == [
        (told["notification_id"], letter["Subject"], letter.get_content().replace("\r\n", "\n"))
        for told, letter in zip((first, third), sink.letters, strict=True)
    ]
    (sweep,) = office.service.sweeps()
    assert await Sweeper("notification", pool, [sweep]).bite(datetime.now(UTC) + timedelta(days=89)) == 0
    assert await Sweeper("notification", pool, [sweep]).bite(datetime.now(UTC) + timedelta(days=91)) == 2


async def test_no_text_is_kept_where_none_is_wanted(open_office: Callable[..., Any], sink: Sink, pool: Pool) -> None:
    office: Office = await open_office(keep_mails_days=0)
    office.send()
    await office.take(contact(), claim(), decision())
    await office.told("sent")
    assert await pool.fetchval("SELECT count(*) FROM mail_text") == 0


async def test_the_text_of_a_mail_whose_lane_was_lost_is_kept_as_well(
    open_office: Callable[..., Any], sink: Sink, pool: Pool
) -> None:
    first = await _with_a_letter_on_the_line(open_office, sink)
    await open_office()
    sink.open_door.set()
    await first.close()
    assert len(await queue.kept(pool, MERCHANT, "c-1")) == 1


def test_a_key_that_can_be_guessed_is_not_taken() -> None:
    assert NotificationSettings(mails_key=SecretStr("")).mails_key.get_secret_value() == ""
    with pytest.raises(ValidationError, match="16 characters"):
        NotificationSettings(mails_key=SecretStr("short"))


def test_waits_double_up_to_a_limit() -> None:
    waits: Sequence[float] = [queue.backoff(attempts, 5, 60).total_seconds() for attempts in (1, 2, 3, 4, 5, 100)]
    assert waits == [5, 10, 20, 40, 60, 60]


async def _waiting_for_something(office: Office) -> Any:
    return office.service._courier._hand._incomplete


async def _as_many_letters(sink: Sink, number: int) -> bool:
    return len(sink.letters) >= number


async def _with_a_letter_on_the_line(open_office: Callable[..., Any], sink: Sink) -> Office:
    office: Office = await open_office()
    sink.open_door.clear()
    office.send()
    await office.take(contact(), claim(), decision())
    await eventually(lambda: sink.at_the_door == 1, why="a letter on the line")
    return office
