"""A client that knows CONTRACT.md and nothing else: plain aiokafka, its own partitioner, no import from the project."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol, TypeAlias

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.structs import RecordMetadata

Data = dict[str, Any]
Record: TypeAlias = ConsumerRecord[bytes, bytes]
Match: TypeAlias = Callable[[Record], bool]

INPUTS = ("orders.v1", "claims.v1", "sellers.v1", "returns.v1", "reviews.v1", "payments.v1")
OUTPUTS = ("admissions.v1", "assessments.v1", "decisions.v1", "refunds.v1", "notifications.v1")
DEAD = (*(f"{topic}.intake.dlq" for topic in INPUTS), "admissions.v1.refund-calculation.dlq")
SOURCE = "/outside/client"
LIMIT = 45.0


class HasKafka(Protocol):
    @property
    def kafka(self) -> str: ...


class Client:
    """Publishes with keys null or not, to whatever partition it likes; hears all topics from their beginning."""

    def __init__(self, producer: AIOKafkaProducer, consumer: AIOKafkaConsumer, prefix: str) -> None:
        self.producer = producer
        self.consumer = consumer
        self.prefix = prefix
        self.heard: list[Record] = []
        self._random = random.Random(7)

    def id(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    async def binary(
        self,
        type_: str,
        topic: str,
        data: Data | bytes,
        *,
        id_: str = "",
        key: bytes | None = None,
        partition: int | None = None,
        headers: Mapping[str, str] | None = None,
        content_type: bool = False,
    ) -> RecordMetadata:
        """Publish in binary mode, by default without a key, to some partition or other."""
        given = {"ce_specversion": "1.0", "ce_type": type_, "ce_source": SOURCE, "ce_id": id_ or uuid.uuid4().hex}
        if content_type:
            given["content-type"] = "application/json"
        value = data if isinstance(data, bytes) else json.dumps(data, ensure_ascii=False).encode()
        pairs = [(name, text.encode()) for name, text in {**given, **(headers or {})}.items()]
        return await self.raw(topic, value, key=key, partition=partition, headers=pairs)

    async def structured(self, type_: str, topic: str, data: Data, **extra: str) -> RecordMetadata:
        """Publish in structured mode."""
        envelope = {
            "specversion": "1.0",
            "type": type_,
            "source": SOURCE,
            "id": uuid.uuid4().hex,
            "data": data,
            **extra,
        }
        headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
        return await self.raw(topic, json.dumps(envelope).encode(), headers=headers)

    async def raw(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> RecordMetadata:
        """Publish bytes; returns where they went."""
        lanes = sorted(await self.producer.partitions_for(topic))
        lane = self._random.choice(lanes) if partition is None else partition
        return await self.producer.send_and_wait(topic, value=value, key=key, partition=lane, headers=headers or [])

    async def until(self, match: Match, count: int = 1, what: str = "") -> list[Record]:
        """The records that match, once there are that many."""
        deadline = time.monotonic() + LIMIT
        while True:
            found = [record for record in self.heard if match(record)]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"not heard within {LIMIT:.0f} s: {what or match}; {self._last()}"
            for batch in (await self.consumer.getmany(timeout_ms=200)).values():
                self.heard += batch

    def _last(self) -> list[str]:
        ours = [record for record in self.heard if self.prefix.encode() in (record.value or b"")]
        return [f"{record.topic} {header(record, 'ce_type')} {(record.value or b'')[:300]!r}" for record in ours[-8:]]

    async def one(self, type_: str, **members: object) -> Record:
        """The record of a type whose data has these members."""
        found = await self.until(lambda record: is_a(record, type_, members), what=f"{type_} {members}")
        return found[0]

    async def data(self, type_: str, **members: object) -> Data:
        """Its data."""
        return data_of(await self.one(type_, **members))

    async def dead(self, sent: RecordMetadata, service: str = "intake") -> Record:
        """The dead letter of a record that was sent."""

        def match(record: Record) -> bool:
            return record.topic == f"{sent.topic}.{service}.dlq" and (
                header(record, "dlq_partition"),
                header(record, "dlq_offset"),
            ) == (str(sent.partition), str(sent.offset))

        return (await self.until(match, what=f"dead letter of {sent}"))[0]


def data_of(record: Record) -> Data:
    try:
        data = json.loads(record.value or b"null")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def header(record: Record, name: str) -> str:
    return next((value.decode(errors="replace") for key, value in record.headers if key == name), "")


def is_a(record: Record, type_: str, members: Mapping[str, object]) -> bool:
    if header(record, "ce_type") != type_ or record.topic not in OUTPUTS:
        return False
    data = data_of(record)
    return all(data.get(name) == value for name, value in members.items())


@pytest.fixture
async def client(stack: HasKafka, unique: str) -> AsyncIterator[Client]:
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka, max_request_size=2 << 20)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stack.kafka, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await producer.start()
    await consumer.start()
    try:
        lanes = [
            TopicPartition(topic, lane)
            for topic in (*OUTPUTS, *DEAD)
            for lane in sorted(await producer.partitions_for(topic))
        ]
        consumer.assign(lanes)
        await consumer.seek_to_end(*lanes)
        await asyncio.gather(*(consumer.position(lane) for lane in lanes))
        yield Client(producer, consumer, unique)
    finally:
        await consumer.stop()
        await producer.stop()


def gejet_order(order_id: str, **members: Any) -> Data:
    """The contract's own example."""
    order: Data = {
        "merchant": "gejet-mall",
        "order_id": order_id,
        "placed_at": "2026-11-01T09:00:00+03:30",
        "currency": "IRR",
        "customer": {
            "customer_id": "c-77",
            "name": "نگار",
            "email": "n@example.org",
            "phone": "+989120000000",
            "locale": "fa-IR",
        },
        "lines": [
            {
                "line_id": "1",
                "sku": "SW-9",
                "title": "ساعت هوشمند",
                "quantity": 2,
                "unit_price": "6000000",
                "discount": "0",
                "gift": False,
                "category": "digital",
                "sealed": True,
                "seller": {"marketplace": "amazon.com", "seller_id": "s-1"},
            }
        ],
        "discount": "0",
        "shipping": {"amount": "500000", "carrier": "tipax", "collect": True},
        "transaction_fee": "0",
        "payments": [{"payment_id": "p-1", "provider": "shaparak", "amount": "12000000"}],
        "exchange": {"currency": "USD", "rate": "25400"},
    }
    return order | members


def hakago_order(order_id: str) -> Data:
    return {
        "merchant": "hakago",
        "order_id": order_id,
        "placed_at": "2026-11-01T09:00:00+07:00",
        "currency": "VND",
        "customer": {"customer_id": "c-9", "email": "ha@example.org", "name": None, "phone": None, "locale": None},
        "lines": [
            {"line_id": "1", "sku": "LEGO", "title": "Bộ xếp hình", "quantity": 2, "unit_price": "1290000"},
            {"line_id": "2", "sku": "BOOK", "title": "Sách", "quantity": 1, "unit_price": "780000"},
        ],
        "shipping": {"amount": "350000", "carrier": "hakago", "collect": False},
        "transaction_fee": "120000",
        "payments": [{"payment_id": "p-1", "provider": "vnpay", "amount": "3830000"}],
    }


def gejet_claim(claim_id: str, order_id: str, **members: Any) -> Data:
    claim: Data = {
        "claim_id": claim_id,
        "merchant": "gejet-mall",
        "order_id": order_id,
        "reported_at": "2026-11-05T10:00:00+03:30",
        "channel": "whatsapp",
        "reason": "withdrawal",
        "wants": "refund",
        "lines": [{"line_id": "1", "quantity": 2, "part": None, "facts": None}],
        "facts": {
            "carton": "intact",
            "packaging_opened": False,
            "seal": "unopened",
            "misuse": False,
            "regional_variant": False,
        },
        "evidence": [{"kind": "photo", "uri": "https://example.org/1.jpg", "sha256": "0" * 64}],
        "note": "پشیمان شدم",
    }
    return claim | members


def returned(return_id: str, claim_id: str, order_id: str) -> Data:
    return {
        "return_id": return_id,
        "claim_id": claim_id,
        "merchant": "gejet-mall",
        "order_id": order_id,
        "received_at": "2026-11-08T10:00:00+03:30",
        "lines": [{"line_id": "1", "quantity": 2}],
        "inspection": {"carton": "intact", "packaging_opened": False, "seal": "unopened", "misuse": False},
        "fault": None,
        "postage": None,
    }


def about(claim_id: str, order_id: str, merchant: str = "gejet-mall") -> Data:
    return {"claim_id": claim_id, "merchant": merchant, "order_id": order_id}


# --- both merchants, both modes ---


async def test_gejet_withdrawal_in_binary_mode(client: Client) -> None:
    """The contract's example from order to instruction, with keys null and any partition."""
    order, claim = client.id("GM-1"), client.id("c-1")
    trace = f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"
    await client.binary("order.placed.v1", "orders.v1", gejet_order(order))
    received = {"merchant": "gejet-mall", "order_id": order, "received_at": "2026-11-04T12:00:00+03:30"}
    await client.binary("order.delivered.v1", "orders.v1", received)
    await client.binary("claim.submitted.v1", "claims.v1", gejet_claim(claim, order), content_type=True)
    admitted = await client.data("claim.admitted.v1", claim_id=claim)
    assert admitted["order"]["customer"] == {"customer_id": "c-77", "locale": "fa-IR"}
    assert "n@example.org" not in json.dumps(admitted)
    assert "+989120000000" not in json.dumps(admitted)
    assessed = await client.data("claim.assessed.v1", claim_id=claim, awaiting="return")
    assert assessed["status"] == "awaiting"
    assert assessed["authorization"]
    assert assessed["overdue"] is False
    await client.binary(
        "return.received.v1", "returns.v1", returned(client.id("r-1"), claim, order), headers={"traceparent": trace}
    )

    record = await client.one("claim.decided.v1", claim_id=claim)
    decided = data_of(record)
    assert (decided["outcome"], decided["decision_no"], decided["follows"]) == ("refund", 1, None)
    assert decided["decided_by"] == "policy"
    assert decided["replacement"] is None
    assert (decided["policy"]["id"], decided["policy"]["version"]) == ("gejet-mall", 1)
    assert decided["policy"]["digest"]
    assert [(line["line_id"], line["quantity"], line["verdict"]) for line in decided["lines"]] == [("1", 2, "eligible")]
    assert {"G4.1", "G0.2", "GN3"} <= {reason["clause"] for reason in decided["lines"][0]["reasons"]}
    refund = decided["refund"]
    assert (refund["amount"], refund["currency"]) == ("11700000", "IRR")
    assert refund["breakdown"] == [
        {"item": "goods", "amount": "12000000", "payer": "merchant", "clause": "GN2"},
        {"item": "withdrawal_fee", "amount": "-300000", "payer": "customer", "clause": "GN4"},
    ]
    instruction = await client.one("refund.instructed.v1", claim_id=claim)
    instructed = data_of(instruction)
    assert instructed["refund_id"] == refund["refund_id"]
    assert (instructed["amount"], instructed["currency"], instructed["decision_no"]) == ("11700000", "IRR", 1)
    assert instructed["payments"] == [{"payment_id": "p-1", "provider": "shaparak", "amount": "11700000"}]
    assert instructed["breakdown"] == refund["breakdown"]

    for each, type_ in ((record, "claim.decided.v1"), (instruction, "refund.instructed.v1")):
        assert each.key == f"gejet-mall/{order}".encode()
        assert header(each, "ce_type") == type_
        assert header(each, "ce_specversion") == "1.0"
        assert header(each, "ce_subject") == claim
        assert header(each, "content-type") == "application/json"
        assert header(each, "ce_id")
        assert header(each, "ce_source")
        assert header(each, "ce_time")
        assert header(each, "traceparent") == trace
    ours = await client.until(lambda each: each.key == f"gejet-mall/{order}".encode() and each.topic in OUTPUTS, 6)
    assert len({each.partition for each in ours}) == 1, "one order lives in one partition"
    names = [(header(each, "ce_source"), header(each, "ce_id")) for each in ours]
    assert len(names) == len(set(names))
    sent = await client.data("notification.sent.v1", claim_id=claim)
    assert (sent["locale"], sent["channel"]) == ("fa-IR", "email")
    assert "n@example.org" not in json.dumps(sent)


async def test_hakago_missing_quantity_in_structured_mode(client: Client) -> None:
    """A partial quantity with its shares, answered in two steps; the second pays the difference."""
    order, claim = client.id("HK-1"), client.id("c-1")
    await client.structured("order.placed.v1", "orders.v1", hakago_order(order))
    submitted = about(claim, order, "hakago") | {
        "reported_at": "2026-11-05T10:00:00+07:00",
        "channel": "app",
        "reason": "missing_quantity",
        "lines": [{"line_id": "1", "quantity": 1}],
    }
    await client.structured("claim.submitted.v1", "claims.v1", submitted, subject=claim)
    assessed = await client.data("claim.assessed.v1", claim_id=claim, awaiting="seller")
    assert assessed["due"] is not None
    answer = about(claim, order, "hakago") | {
        "answer_id": client.id("a-1"),
        "answered_at": "2026-11-06T10:00:00Z",
        "answer": "refund_partial",
        "amount": {"amount": "470447", "currency": "VND"},
    }
    await client.structured("seller.answered.v1", "sellers.v1", answer)
    first = await client.data("claim.decided.v1", claim_id=claim, decision_no=1)
    assert first["refund"]["breakdown"] == [
        {
            "item": "compensation",
            "amount": "470447",
            "payer": first["refund"]["breakdown"][0]["payer"],
            "clause": "HW.2",
        }
    ]
    later = answer | {"answer_id": client.id("a-2"), "answered_at": "2026-11-07T10:00:00Z", "answer": "refund_full"}
    del later["amount"]
    await client.structured("seller.answered.v1", "sellers.v1", later)
    second = await client.data("claim.decided.v1", claim_id=claim, decision_no=2)
    # the first LEGO: 1,290,000 with 134,375 of the shipping and 46,072 of the fee
    items = {item["item"]: item["amount"] for item in second["refund"]["breakdown"]}
    assert items == {
        "goods": "1290000",
        "shipping": "134375",
        "transaction_fee": "46072",
        "compensation": "-470447",
    }
    assert (second["refund"]["amount"], second["follows"]) == ("1000000", 1)
    instructed = await client.until(lambda each: is_a(each, "refund.instructed.v1", {"claim_id": claim}), 2)
    assert [data_of(each)["amount"] for each in instructed] == ["470447", "1000000"]
    assert len({data_of(each)["refund_id"] for each in instructed}) == 2
    assert (await client.data("notification.sent.v1", claim_id=claim))["locale"].startswith("vi")


async def test_settlements_and_reviews(client: Client) -> None:
    """A refund that failed goes to review, and a person instructs it again under a new id."""
    order, claim = client.id("GM-2"), client.id("c-2")
    await client.binary("order.placed.v1", "orders.v1", gejet_order(order))
    await client.binary("claim.submitted.v1", "claims.v1", gejet_claim(claim, order, reason="out_of_stock"))
    first = await client.data("refund.instructed.v1", claim_id=claim)
    assert first["amount"] == "12000000"
    settled = about(claim, order) | {
        "refund_id": first["refund_id"],
        "status": "failed",
        "provider_reference": "x-1",
        "settled_at": "2026-11-06T10:00:00Z",
        "failure_reason": "card closed",
    }
    await client.binary("refund.settled.v1", "payments.v1", settled)
    told = await client.data("claim.settled.v1", claim_id=claim)
    assert {name: told[name] for name in ("refund_id", "status", "provider_reference", "failure_reason")} == {
        name: settled[name] for name in ("refund_id", "status", "provider_reference", "failure_reason")
    }
    await client.data("claim.assessed.v1", claim_id=claim, awaiting="review")
    review = about(claim, order) | {
        "review_id": client.id("rv-1"),
        "reviewed_at": "2026-11-07T10:00:00Z",
        "actor": "sara",
        "reason": "to the customer's other card",
        "verdict": "refund",
        "amount": {"amount": "12000001", "currency": "IRR"},
    }
    await client.binary("claim.reviewed.v1", "reviews.v1", review)
    refused = await client.data("review.refused.v1", claim_id=claim)
    assert refused["review_id"] == review["review_id"]
    assert refused["errors"]
    fitting = review | {"review_id": client.id("rv-2"), "amount": {"amount": "12000000", "currency": "IRR"}}
    await client.binary("claim.reviewed.v1", "reviews.v1", fitting)
    second = await client.data("claim.decided.v1", claim_id=claim, decision_no=2)
    assert (second["decided_by"], second["follows"]) == ("staff:sara", 1)
    assert [(item["item"], item["amount"], item["clause"]) for item in second["refund"]["breakdown"]] == [
        ("compensation", "12000000", None)
    ]
    again = await client.data("refund.instructed.v1", claim_id=claim, decision_no=2)
    assert again["refund_id"] != first["refund_id"]


# --- what comes back for bad input ---


def bad_cases(order: str, claim: str) -> dict[str, tuple[str, str, bytes, str]]:
    """Name → topic, type, value, path of the dead letter."""
    good = gejet_order(order)
    line = good["lines"][0]

    def encoded(data: Data) -> bytes:
        return json.dumps(data, ensure_ascii=False).encode()

    placed = ("orders.v1", "order.placed.v1")
    return {
        "not JSON": (*placed, b'{"merchant": "gejet-mall', "$"),
        "not UTF-8": (*placed, b"\xff\xfe\x00", "$"),
        "unknown type": ("orders.v1", "order.imagined.v1", encoded(good), "$"),
        "another's topic": ("sellers.v1", "order.placed.v1", encoded(good), "$"),
        "an output's type": ("claims.v1", "claim.decided.v1", encoded({"claim_id": claim}), "$"),
        "missing member": (*placed, encoded({k: v for k, v in good.items() if k != "placed_at"}), "$.placed_at"),
        "JSON number": (*placed, encoded(good | {"lines": [line | {"unit_price": 6000000}]}), "$.lines[0].unit_price"),
        "exponent": (*placed, encoded(good | {"lines": [line | {"unit_price": "6e6"}]}), "$.lines[0].unit_price"),
        "thousands mark": (
            *placed,
            encoded(good | {"lines": [line | {"unit_price": "۶٬۰۰۰٬۰۰۰"}]}),
            "$.lines[0].unit_price",
        ),
        "decimals": (*placed, encoded(good | {"lines": [line | {"unit_price": "6000000.0"}]}), "$.lines[0].unit_price"),
        "negative": (*placed, encoded(good | {"transaction_fee": "-1"}), "$.transaction_fee"),
        "toman": (*placed, encoded(good | {"currency": "IRT"}), "$.currency"),
        "local time": (*placed, encoded(good | {"placed_at": "2026-11-01T09:00:00"}), "$.placed_at"),
        "unknown reason": (
            "claims.v1",
            "claim.submitted.v1",
            encoded(gejet_claim(claim, order, reason="bored")),
            "$.reason",
        ),
        "quantity 0": (
            "claims.v1",
            "claim.submitted.v1",
            encoded(gejet_claim(claim, order, lines=[{"line_id": "1", "quantity": 0}])),
            "$.lines[0].quantity",
        ),
        "no actor": (
            "reviews.v1",
            "claim.reviewed.v1",
            encoded(
                about(claim, order)
                | {"review_id": "x", "reviewed_at": "2026-11-07T10:00:00Z", "reason": "r", "verdict": "reject"}
            ),
            "$.actor",
        ),
        "partial without amount": (
            "sellers.v1",
            "seller.answered.v1",
            encoded(
                about(claim, order)
                | {"answer_id": "x", "answered_at": "2026-11-07T10:00:00Z", "answer": "refund_partial"}
            ),
            "$.amount",
        ),
        "too large": (
            "claims.v1",
            "claim.submitted.v1",
            encoded(gejet_claim(claim, order, evidence=["x" * 300_000])),
            "$",
        ),
    }


async def test_malformed_input_is_dead_lettered_and_the_partition_goes_on(client: Client) -> None:
    """A dead letter is byte for byte what came, key and headers too, and says why and where; what is behind goes on."""
    order, claim = client.id("GM-3"), client.id("c-3")
    sent: dict[str, tuple[RecordMetadata, bytes, str]] = {}
    for name, (topic, type_, value, path) in bad_cases(order, claim).items():
        key = f"{client.prefix}/{name}".encode()
        record = await client.binary(
            type_, topic, value, key=key, partition=0, id_=client.id(name), headers={"x-sender": name}
        )
        sent[name] = (record, value, path)
    await client.binary("order.placed.v1", "orders.v1", gejet_order(order), partition=0)
    await client.binary(
        "claim.submitted.v1", "claims.v1", gejet_claim(claim, order, reason="out_of_stock"), partition=0
    )
    await client.data("claim.decided.v1", claim_id=claim, outcome="refund")
    for name, (record, value, path) in sent.items():
        dead = await client.dead(record)
        assert dead.value == value, name
        assert dead.key == f"{client.prefix}/{name}".encode(), name
        given = dict(dead.headers)
        assert given["ce_id"].decode() == client.id(name)
        assert given["x-sender"].decode() == name
        assert given["ce_source"].decode() == SOURCE
        assert header(dead, "dlq_path") == path, (name, header(dead, "dlq_reason"))
        assert header(dead, "dlq_reason"), name
        assert header(dead, "dlq_topic") == record.topic
        assert header(dead, "dlq_service") == "intake"
        assert header(dead, "dlq_time")
        assert int(header(dead, "dlq_attempts")) >= 1
        if path != "$":
            assert path in header(dead, "dlq_reason"), name


async def test_what_has_no_envelope_is_dead_lettered(client: Client) -> None:
    order = client.id("GM-4")
    value = json.dumps(gejet_order(order)).encode()
    nothing = await client.raw("orders.v1", value)
    typed = [("ce_specversion", b"1.0"), ("ce_type", b"order.placed.v1")]
    null = await client.raw("orders.v1", None, key=b"k", headers=typed)  # aiokafka sends no null without a key
    broken = await client.raw("orders.v1", value, headers=[("ce_type", b"\xff\xfe"), ("ce_id", b"1")])
    half = await client.raw(
        "orders.v1", b'{"specversion": "1.0"}', headers=[("content-type", b"application/cloudevents+json")]
    )
    for record, expected in ((nothing, value), (null, None), (broken, value), (half, b'{"specversion": "1.0"}')):
        dead = await client.dead(record)
        assert dead.value == expected
        assert header(dead, "dlq_path") == "$"
    assert dict((await client.dead(broken)).headers)["ce_type"] == b"\xff\xfe"


async def test_payments_that_do_not_add_up_are_named_with_both_sums(client: Client) -> None:
    order = gejet_order(client.id("GM-5"))
    order["payments"][0]["amount"] = "11999999"
    dead = await client.dead(await client.binary("order.placed.v1", "orders.v1", order))
    assert "11999999" in header(dead, "dlq_reason")
    assert "12000000" in header(dead, "dlq_reason")


async def test_a_claim_before_its_order_is_parked_and_taken_up(client: Client) -> None:
    order, claim = client.id("GM-6"), client.id("c-6")
    await client.binary("claim.submitted.v1", "claims.v1", gejet_claim(claim, order, reason="out_of_stock"))
    parked = await client.data("claim.parked.v1", claim_id=claim)
    assert parked["waiting_for"] == "order"
    assert parked["until"]
    await client.binary("order.placed.v1", "orders.v1", gejet_order(order))
    assert (await client.data("claim.decided.v1", claim_id=claim))["refund"]["amount"] == "12000000"


async def test_what_comes_before_its_order_or_claim_is_kept_and_applied(client: Client) -> None:
    order, claim = client.id("GM-7"), client.id("c-7")
    received = {"merchant": "gejet-mall", "order_id": order, "received_at": "2026-11-04T12:00:00+03:30"}
    await client.binary("return.received.v1", "returns.v1", returned(client.id("r-7"), claim, order))
    await client.binary("order.delivered.v1", "orders.v1", received)
    await client.binary("claim.submitted.v1", "claims.v1", gejet_claim(claim, order))
    await client.data("claim.parked.v1", claim_id=claim)
    await client.binary("order.placed.v1", "orders.v1", gejet_order(order))
    assert (await client.data("claim.decided.v1", claim_id=claim))["refund"]["amount"] == "11700000"


async def test_the_same_event_again_has_no_effect_and_other_data_is_a_conflict(client: Client) -> None:
    order, claim, event = client.id("GM-8"), client.id("c-8"), client.id("event-8")
    await client.binary("order.placed.v1", "orders.v1", gejet_order(order))
    for _ in range(4):
        await client.binary(
            "claim.submitted.v1", "claims.v1", gejet_claim(claim, order, reason="late"), id_=event, content_type=True
        )
    await client.data("claim.assessed.v1", claim_id=claim, awaiting="review")
    other = await client.binary("claim.submitted.v1", "claims.v1", gejet_claim(claim, order, reason="other"), id_=event)
    assert (await client.dead(other)).topic == "claims.v1.intake.dlq"
    await client.binary(
        "claim.cancelled.v1",
        "claims.v1",
        about(claim, order) | {"cancelled_at": "2026-11-06T10:00:00Z", "by": "customer"},
    )
    await client.data("claim.decided.v1", claim_id=claim, outcome="cancelled")
    for type_ in ("claim.admitted.v1", "claim.decided.v1"):
        assert len([each for each in client.heard if is_a(each, type_, {"claim_id": claim})]) == 1
    refused = [each for each in client.heard if is_a(each, "claim.refused.v1", {"claim_id": claim})]
    assert refused == []


async def test_claims_that_cannot_be_taken_are_refused_with_every_code(client: Client) -> None:
    order, first, second = client.id("GM-9"), client.id("c-9a"), client.id("c-9b")
    await client.binary("order.placed.v1", "orders.v1", gejet_order(order))
    await client.binary(
        "claim.submitted.v1",
        "claims.v1",
        gejet_claim(first, order, reason="late", lines=[{"line_id": "1", "quantity": 1}]),
    )
    await client.data("claim.admitted.v1", claim_id=first)
    lines = [{"line_id": "1", "quantity": 3}, {"line_id": "9", "quantity": 1}]
    await client.binary("claim.submitted.v1", "claims.v1", gejet_claim(second, order, lines=lines))
    refused = await client.data("claim.refused.v1", claim_id=second)
    codes = [error["code"] for error in refused["errors"]]
    assert (
        {"quantity_exceeds_purchase", "unknown_line"}
        <= set(codes)
        <= {
            "quantity_exceeds_purchase",
            "unknown_line",
            "units_already_claimed",
        }
    )
    assert all(error["path"].startswith("$.lines[") and error["message"] for error in refused["errors"])
    await client.binary(
        "claim.submitted.v1",
        "claims.v1",
        gejet_claim(client.id("c-9c"), order, lines=[{"line_id": "1", "quantity": 2}]),
    )
    taken = await client.data("claim.refused.v1", claim_id=client.id("c-9c"))
    assert [error["code"] for error in taken["errors"]] == ["units_already_claimed"]
    again = gejet_claim(first, order, reason="late", lines=[{"line_id": "1", "quantity": 1}], note="once more")
    await client.binary("claim.submitted.v1", "claims.v1", again)
    twice = await client.data("claim.refused.v1", claim_id=first)
    assert [error["code"] for error in twice["errors"]] == ["duplicate_claim_id"]


async def test_an_event_for_a_closed_claim_has_no_effect(client: Client) -> None:
    order, claim = client.id("GM-10"), client.id("c-10")
    await client.binary("order.placed.v1", "orders.v1", gejet_order(order))
    await client.binary("claim.submitted.v1", "claims.v1", gejet_claim(claim, order, reason="out_of_stock"))
    await client.data("claim.decided.v1", claim_id=claim)
    cancelled = about(claim, order) | {"cancelled_at": "2026-11-06T10:00:00Z", "by": "customer"}
    await client.binary("claim.cancelled.v1", "claims.v1", cancelled)
    await client.binary("return.received.v1", "returns.v1", returned(client.id("r-10"), claim, order))
    # A review comes last and is answered: by then what was before it has been read.
    review = about(claim, order) | {
        "review_id": client.id("rv-10"),
        "reviewed_at": "2026-11-07T10:00:00Z",
        "actor": "sara",
        "reason": "too much",
        "verdict": "refund",
        "amount": {"amount": "12000001", "currency": "IRR"},
    }
    await client.until(lambda each: is_a(each, "return.received.v1", {"claim_id": claim}))
    await client.binary("claim.reviewed.v1", "reviews.v1", review)
    await client.data("review.refused.v1", claim_id=claim)
    assert len([each for each in client.heard if is_a(each, "claim.decided.v1", {"claim_id": claim})]) == 1


async def test_without_a_policy_a_person_decides(client: Client) -> None:
    for number, members in enumerate(({"merchant": "nobody-knows-me"}, {"placed_at": "2019-12-31T23:59:59Z"})):
        order, claim = client.id(f"GM-11{number}"), client.id(f"c-11{number}")
        placed = gejet_order(order, **members)
        await client.binary("order.placed.v1", "orders.v1", placed)
        submitted = gejet_claim(claim, order) | {"merchant": placed["merchant"]}
        await client.binary("claim.submitted.v1", "claims.v1", submitted)
        assessed = await client.data("claim.assessed.v1", claim_id=claim, awaiting="review")
        assert assessed["policy"] is None


async def test_an_unknown_refund_is_a_dead_letter_of_refund_calculation(client: Client) -> None:
    order, claim = client.id("GM-12"), client.id("c-12")
    await client.binary("order.placed.v1", "orders.v1", gejet_order(order))
    await client.binary("claim.submitted.v1", "claims.v1", gejet_claim(claim, order, reason="late"))
    await client.data("claim.admitted.v1", claim_id=claim)
    settled = about(claim, order) | {
        "refund_id": client.id("unknown"),
        "status": "succeeded",
        "provider_reference": "x-1",
        "settled_at": "2026-11-06T10:00:00Z",
        "failure_reason": None,
    }
    await client.binary("refund.settled.v1", "payments.v1", settled)
    found = await client.until(
        lambda each: (
            each.topic == "admissions.v1.refund-calculation.dlq"
            and data_of(each).get("refund_id") == client.id("unknown")
        )
    )
    assert header(found[0], "dlq_service") == "refund-calculation"
    assert header(found[0], "dlq_topic") == "admissions.v1"
