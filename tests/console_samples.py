"""Events for the console's tests: whole lives of claims, as the pipeline writes them, without the pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.bus import Record, order_key
from shared.bus.lanes import lane_of
from shared.events.topics import (
    ADMISSIONS,
    ASSESSMENTS,
    CLAIMS,
    CONTACTS,
    DECISIONS,
    INPUT_TOPIC_OF,
    NOTIFICATIONS,
    ORDERS,
    PAYMENTS,
    REFUNDS,
    TYPES_OF,
    dlq_topic,
)

LANES = 4
START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
Data = dict[str, object]

_HOME = {type_: topic for topic, types in TYPES_OF.items() for type_ in types if topic not in INPUT_TOPIC_OF.values()}
_SERVICE = {
    ADMISSIONS: "intake",
    CONTACTS: "intake",
    ASSESSMENTS: "eligibility",
    DECISIONS: "refund-calculation",
    REFUNDS: "refund-calculation",
    NOTIFICATIONS: "notification",
}


@dataclass(slots=True)
class Topics:
    """A log per topic and lane, with offsets, broker times and event ids as the pipeline gives them."""

    now: datetime = START
    records: list[Record] = field(default_factory=list)
    _ends: dict[tuple[str, int], int] = field(default_factory=dict)
    _numbers: dict[tuple[str, int], int] = field(default_factory=dict)

    def wait(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)

    def put(self, type_: str, data: Mapping[str, object], topic: str | None = None) -> Record:
        """Append an event to its topic (or to `topic`)."""
        topic = topic or INPUT_TOPIC_OF.get(type_) or _HOME[type_]
        key = order_key(str(data["merchant"]), str(data["order_id"]))
        lane = lane_of(key, LANES)
        service = _SERVICE.get(topic, "shop")
        number = self._numbers[service, lane] = self._numbers.get((service, lane), 0) + 1
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_type", type_.encode()),
            ("ce_source", f"/makegood/{service}".encode()),
            ("ce_id", f"{lane}-{number}".encode()),
            ("ce_time", self.now.isoformat().encode()),
            ("ce_subject", str(data.get("claim_id", data["order_id"])).encode()),
            ("content-type", b"application/json"),
            ("traceparent", f"00-{abs(hash(key)) % 16**32 or 1:032x}-00f067aa0ba902b7-01".encode()),
        ]
        return self.raw(topic, lane, key, json.dumps(data, ensure_ascii=False).encode(), headers)

    def raw(
        self, topic: str, lane: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> Record:
        """Append a record."""
        offset = self._ends.get((topic, lane), 0)
        self._ends[topic, lane] = offset + 1
        raw = _Raw(topic, lane, offset, int(self.now.timestamp() * 1000), key, value, tuple(headers))
        record = Record.of(raw)
        self.records.append(record)
        self.wait(milliseconds=7)
        return record

    def dead(self, record: Record, service: str, reason: str, path: str = "$") -> Record:
        """Append the record to its dead-letter topic."""
        own = [
            ("dlq_reason", reason.encode()),
            ("dlq_path", path.encode()),
            ("dlq_topic", record.topic.encode()),
            ("dlq_partition", str(record.partition).encode()),
            ("dlq_offset", str(record.offset).encode()),
            ("dlq_service", service.encode()),
            ("dlq_attempts", b"1"),
        ]
        topic = dlq_topic(record.topic, service)
        return self.raw(topic, record.partition, record.key, record.value, [*record.headers, *own])


@dataclass(slots=True)
class _Raw:
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def order(order_id: str, *, merchant: str = "gejet-mall", quantity: int = 2, title: str = "ساعت هوشمند") -> Data:
    """A placed order of one line."""
    vietnamese = merchant == "hakago"
    price = 1_250_000 if vietnamese else 6_000_000
    paid = str(quantity * price + 500_000)
    return {
        "merchant": merchant,
        "order_id": order_id,
        "placed_at": "2026-11-18T09:00:00+03:30",
        "currency": "VND" if vietnamese else "IRR",
        "customer": {
            "customer_id": f"c-{order_id}",
            "name": "Nguyễn Thị Hoa" if vietnamese else "سارا احمدی",
            "email": "hoa@example.vn" if vietnamese else "sara@example.ir",
            "phone": "+84901234567" if vietnamese else "+989121234567",
            "locale": "vi-VN" if vietnamese else "fa-IR",
        },
        "lines": [{"line_id": "1", "sku": "SW-9", "title": title, "quantity": quantity, "unit_price": str(price)}],
        "shipping": {"amount": "500000", "carrier": "post", "collect": False},
        "payments": [{"payment_id": "p-1", "provider": "zarinpal", "amount": paid}],
    }


def claim(claim_id: str, order_: Data, *, reason: str = "withdrawal", quantity: int = 2) -> Data:
    """A claim about the order's only line."""
    return {
        "claim_id": claim_id,
        "merchant": order_["merchant"],
        "order_id": order_["order_id"],
        "reported_at": "2026-11-20T10:00:00+03:30",
        "channel": "whatsapp",
        "reason": reason,
        "wants": "refund",
        "lines": [{"line_id": "1", "quantity": quantity}],
        "facts": {"carton": "intact", "packaging_opened": False, "misuse": False},
        "evidence": [{"kind": "photo", "uri": "https://example.org/p/1.jpg"}],
        "note": "نظرم عوض شد",
    }


def _names(claim_: Data) -> Data:
    return {name: claim_[name] for name in ("claim_id", "merchant", "order_id")}


def admitted(claim_: Data, order_: Data) -> Data:
    """The claim as intake admits it."""
    placed = {k: v for k, v in order_.items() if k != "customer"}
    customer = order_["customer"]
    assert isinstance(customer, dict)
    inside = {"customer_id": customer["customer_id"], "locale": customer["locale"]}
    return {
        **_names(claim_),
        "claim": claim_,
        "order": {**placed, "customer": inside, "received_at": "2026-11-20T07:00:00Z"},
        "admitted_at": "2026-11-20T08:00:00Z",
        "units": {"1": [1, 2]},
    }


def policy(merchant: object) -> Data:
    """The policy's name in events."""
    return {"id": merchant, "version": 1, "digest": "d" * 64}


SEEN = "reported 23 h 30 min 00 s after receipt, 24 h are allowed"


def reasons(clause: str, effect: str = "allow") -> list[Data]:
    """Reasons of a line."""
    return [{"rule": "withdrawal-window", "clause": clause, "effect": effect, "text": SEEN}]


def assessed(
    claim_: Data,
    revision: int,
    *,
    status: str = "awaiting",
    awaiting: str | None = None,
    at: datetime = START,
    due: datetime | None = None,
    readings: Sequence[Data] = (),
    clause: str = "G0.2",
) -> Data:
    """An assessment of the claim."""
    verdict = {"eligible": "eligible", "rejected": "rejected"}.get(status, "undecided")
    return {
        **_names(claim_),
        "status": status,
        "awaiting": awaiting,
        "since": at.isoformat(),
        "due": None if due is None else due.isoformat(),
        "overdue": False,
        "authorization": "RMA-7" if awaiting == "return" else None,
        "lines": [{"line_id": "1", "quantity": 2, "verdict": verdict, "reasons": reasons(clause)}],
        "remedy": "refund",
        "readings": list(readings),
        "policy": policy(claim_["merchant"]),
        "basis": {
            "revision": revision,
            "reason": claim_["reason"],
            "wants": "refund",
            "reported_at": "2026-11-20T06:30:00Z",
        },
    }


def decided(
    claim_: Data, number: int, amount: str, *, currency: str = "IRR", at: datetime = START, by: str = "policy"
) -> Data:
    """A decision that gives money, with a fee kept back."""
    items = [
        {"item": "goods", "amount": str(int(amount) + 312_500), "payer": "merchant", "clause": "GN2"},
        {"item": "withdrawal_fee", "amount": "-312500", "payer": "customer", "clause": "GN4"},
    ]
    return {
        **_names(claim_),
        "decision_no": number,
        "follows": None if number == 1 else number - 1,
        "outcome": "refund",
        "lines": [{"line_id": "1", "quantity": 2, "verdict": "eligible", "reasons": reasons("G4.1")}],
        "refund": {
            "refund_id": f"r-{claim_['claim_id']}-{number}",
            "amount": amount,
            "currency": currency,
            "breakdown": items,
        },
        "replacement": None,
        "policy": policy(claim_["merchant"]),
        "readings": [],
        "decided_by": by,
        "decided_at": at.isoformat(),
        "revision": 2 if by == "policy" else None,
    }


def instructed(decision: Data) -> Data:
    """The instruction of a decision."""
    refund = decision["refund"]
    assert isinstance(refund, dict)
    return {
        **_names(decision),
        "refund_id": refund["refund_id"],
        "decision_no": decision["decision_no"],
        "amount": refund["amount"],
        "currency": refund["currency"],
        "payments": [{"payment_id": "p-1", "provider": "zarinpal", "amount": refund["amount"]}],
        "breakdown": refund["breakdown"],
        "reason": "withdrawal",
        "policy": decision["policy"],
        "instructed_at": decision["decided_at"],
    }


def settled(instruction: Data, status: str = "succeeded") -> Data:
    """What a payment system says of an instruction."""
    return {
        **_names(instruction),
        "refund_id": instruction["refund_id"],
        "status": status,
        "provider_reference": "ref-1",
        "settled_at": "2026-11-20T09:00:00Z",
        "failure_reason": None if status == "succeeded" else "account closed",
    }


def told(claim_: Data, template: str, *, sent: bool = True) -> tuple[str, Data]:
    """Type and data of a notification."""
    data = {
        **_names(claim_),
        "notification_id": f"n-{claim_['merchant']}-{claim_['claim_id']}-{template}",
        "template": template,
        "locale": "fa-IR",
        "channel": "email",
        "recipient_hash": "a" * 64 if sent else None,
    }
    return ("notification.sent.v1", data) if sent else ("notification.failed.v1", data | {"reason": "no address"})


READINGS: list[Data] = [
    {
        "entry": "withdrawal-fee-base",
        "chosen": None,
        "alternatives": [
            {"reading": "whole-deposit", "result": "refund", "amount": "5687500"},
            {"reading": "units-share", "result": "refund", "amount": "5850000"},
        ],
    }
]


def life(topics: Topics, name: str, end: str, *, merchant: str = "gejet-mall") -> None:
    """One claim from its order to `end`: received, awaiting_return, awaiting_seller, review, paid, failed, refused."""
    order_ = order(f"O-{name}", merchant=merchant)
    claim_ = claim(f"C-{name}", order_, reason="wrong_item" if merchant == "hakago" else "withdrawal")
    topics.put("order.placed.v1", order_)
    customer = order_["customer"]
    assert isinstance(customer, dict)
    topics.put("customer.contact.v1", {"merchant": merchant, "order_id": order_["order_id"], **customer})
    topics.put("claim.submitted.v1", claim_)
    if end == "received":
        return
    if end == "refused":
        error = {"code": "unknown_line", "path": "$.lines[0].line_id", "message": "line 9 is not in the order"}
        topics.put("claim.refused.v1", {**_names(claim_), "errors": [error]})
        topics.put(*told(claim_, "refused"))
        return
    topics.put("claim.admitted.v1", admitted(claim_, order_))
    for type_, data in _middle(topics, claim_, end, "VND" if merchant == "hakago" else "IRR"):
        topics.put(type_, data)


def _middle(topics: Topics, claim_: Data, end: str, currency: str) -> Iterator[tuple[str, Data]]:
    due = topics.now + timedelta(days=7)
    if end == "awaiting_seller":
        yield "claim.assessed.v1", assessed(claim_, 1, awaiting="seller", at=topics.now, due=due, clause="HW.1")
        yield told(claim_, "received")
        return
    yield "claim.assessed.v1", assessed(claim_, 1, awaiting="return", at=topics.now, due=due)
    yield told(claim_, "awaiting_return")
    if end == "awaiting_return":
        return
    if end == "review":
        yield (
            "claim.referred.v1",
            {
                **_names(claim_),
                "entry": "withdrawal-fee-base",
                "readings": READINGS,
                "revision": 1,
            },
        )
        yield "claim.assessed.v1", assessed(claim_, 2, awaiting="review", at=topics.now, readings=READINGS)
        return
    yield "claim.assessed.v1", assessed(claim_, 2, status="eligible", at=topics.now)
    decision = decided(claim_, 1, "11687500" if currency == "IRR" else "2187500", currency=currency, at=topics.now)
    yield "claim.decided.v1", decision
    yield "refund.instructed.v1", instructed(decision)
    yield told(claim_, "decided", sent=end != "failed")
    status = "failed" if end == "failed" else "succeeded"
    topics.put("refund.settled.v1", settled(instructed(decision), status), PAYMENTS)
    yield "claim.settled.v1", settled(instructed(decision), status)
    if end == "failed":
        yield "claim.assessed.v1", assessed(claim_, 3, awaiting="review", at=topics.now)


ENDS = ("received", "refused", "awaiting_return", "awaiting_seller", "review", "paid", "failed")


def day(claims: int = 14) -> Topics:
    """A small day: every end, both merchants, two kinds of dead letters, and a claim of a reused id."""
    topics = Topics()
    for index in range(claims):
        merchant = "hakago" if index % 3 == 2 else "gejet-mall"
        life(topics, f"{index + 1}", ENDS[index % len(ENDS)], merchant=merchant)
    for n in range(3):
        broken = topics.raw(CLAIMS, n % LANES, None, b'{"claim_id": "<script>alert(1)</script>', [("ce_id", b"x")])
        topics.dead(broken, "intake", f"not JSON: line {n}")
    bad = topics.put("order.placed.v1", {**order("O-bad"), "currency": "IRT"}, ORDERS)
    topics.dead(bad, "intake", "'IRT' is not an ISO 4217 code (toman is not a currency code)", "$.currency")
    return topics
