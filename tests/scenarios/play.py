"""From a scenario to the events that it publishes: compact rows become the contract's inputs, in order of arrival."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Final

from tests.scenarios.table import (
    RECEIPT,
    AnswerRow,
    AnyRow,
    CancelRow,
    ClaimExpected,
    ClaimRow,
    ClockRow,
    DeliveredRow,
    Expected,
    Free,
    LineRow,
    OrderCancelledRow,
    OrderRow,
    PlacedRow,
    Quantities,
    ReturnRow,
    ReviewRow,
    ScenarioRow,
    SettledRow,
    ShippedRow,
    Tampering,
    duration,
    expected,
    rows,
    steps,
)

SOURCE: Final = "/tests/scenarios"
GOOD: Final[Free] = {
    "carton": "intact",
    "packaging_opened": False,
    "seal": "unopened",
    "misuse": False,
    "fault_confirmed": True,
    "regional_variant": False,
}
"""What an inspection finds unless a scenario says otherwise."""


@dataclass(frozen=True, slots=True)
class House:
    """A merchant's defaults."""

    currency: str
    price: str
    shipping: str
    fee: str
    carrier: str
    locale: str
    offset: timezone


GEJET: Final = House("IRR", "10000000", "500000", "0", "post", "fa-IR", timezone(timedelta(hours=3, minutes=30)))
HAKAGO: Final = House("VND", "1000000", "200000", "50000", "hakago-express", "vi-VN", timezone(timedelta(hours=7)))


def house(merchant: str) -> House:
    """The defaults of a merchant; one that nobody knows has Gejet's."""
    return HAKAGO if merchant == "hakago" else GEJET


@dataclass(frozen=True, slots=True)
class Publish:
    """One event to publish `times` times. `settles`: its refund id is that of this claim's decision (0: the last)."""

    topic: str
    type: str
    id: str
    key: str
    data: Free
    times: int = 1
    settles: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Time passes; before anything else happens, `until` has to hold of claim `a`: `overdue`, or where it is."""

    by: timedelta
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario ready to be played. `run` is before all its ids; `claims`: label → (merchant, claim id); `orders`:
    order id → what was paid, by payment."""

    id: str
    run: str
    says: str
    clauses: tuple[str, ...]
    acts: tuple[Publish | Wait, ...]
    claims: dict[str, tuple[str, str]]
    orders: dict[str, dict[str, int]]
    merchants: dict[str, str]
    expected: Expected

    def claim(self, label: str) -> ClaimExpected:
        return self.expected.claims[label]

    @property
    def moves_the_clock(self) -> bool:
        return any(isinstance(act, Wait) for act in self.acts)


def scenarios(run: str = "") -> list[Scenario]:
    """The whole table; `run` goes before every id, so that a second run meets nothing of the first."""
    return [_Play(row, run).play() for row in rows()]


def scenario(name: str, run: str) -> Scenario:
    """One of the table."""
    return _Play(next(row for row in rows() if row.id == name), run).play()


@dataclass(slots=True)
class _Play:
    row: ScenarioRow
    run: str
    count: int = 0
    claims: dict[str, tuple[str, str]] = field(default_factory=dict)
    claimed: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    order_of: dict[str, str] = field(default_factory=dict)

    def play(self) -> Scenario:
        orders = self._orders()
        typed = list(steps(self.row))
        acts: list[Publish | Wait] = []
        if self.row.order != "none" and not any(isinstance(step, PlacedRow) for step, _ in typed):
            acts += [self._act(PlacedRow(order=name), Tampering()) for name in orders]
        acts += [self._act(step, tampering) for step, tampering in typed]
        end = expected(self.row)
        for label in end.claims:
            self.claims.setdefault(label, (self._merchant(None), self._id(label)))
        return Scenario(
            id=self.row.id,
            run=self.run,
            says=self.row.says,
            clauses=tuple(self.row.clauses),
            acts=tuple(acts),
            claims=self.claims,
            orders={self._id(name): self._paid(name) for name in orders},
            merchants={self._id(name): self._merchant(name) for name in orders},
            expected=end,
        )

    # --- names ---

    def _orders(self) -> dict[str, OrderRow]:
        if self.row.orders is not None:
            return self.row.orders
        return {"o": self.row.order if isinstance(self.row.order, OrderRow) else OrderRow()}

    def _id(self, name: str) -> str:
        return f"{self.run}{self.row.id}.{name}"

    def _merchant(self, order: str | None) -> str:
        given = self._orders()[order or next(iter(self._orders()))].merchant
        return given or self.row.merchant or ""

    def _instant(self, at: str | None, otherwise: str, offset: timezone) -> str:
        text = at or otherwise
        if text[0] not in "+-":
            return text
        passed = duration(text[1:])
        instant: datetime = RECEIPT + passed if text[0] == "+" else RECEIPT - passed
        return instant.astimezone(offset).isoformat()

    # --- orders ---

    def _lines(self, name: str) -> list[tuple[str, LineRow]]:
        order = self._orders()[name]
        lines = order.lines or [LineRow(price=house(self._merchant(name)).price)]
        return [(line.id or str(number), line) for number, line in enumerate(lines, 1)]

    def _paid(self, name: str) -> dict[str, int]:
        order, defaults = self._orders()[name], house(self._merchant(name))
        if order.payments is not None:
            return {f"p-{number}": amount for number, amount in enumerate(order.payments, 1)}
        goods = sum(int(line.price) * line.qty - int(line.discount) for _, line in self._lines(name))
        shipping = 0 if order.collect else int(order.shipping or defaults.shipping)
        return {"p-1": goods - int(order.code) + shipping + int(order.fee or defaults.fee)}

    def _placed(self, name: str) -> Free:
        order, merchant = self._orders()[name], self._merchant(name)
        defaults = house(merchant)
        lines: list[Free] = []
        for line_id, line in self._lines(name):
            said: Free = {
                "line_id": line_id,
                "sku": f"SKU-{line_id}",
                "title": "یک کالا" if defaults is GEJET else "một món hàng",
                "quantity": line.qty,
                "unit_price": line.price,
                "discount": line.discount,
                "gift": line.gift,
            }
            said |= {} if line.category is None else {"category": line.category}
            said |= {} if line.sealed is None else {"sealed": line.sealed}
            said |= {} if line.seller is None else {"seller": line.seller}
            lines.append(said)
        placed: Free = {
            "merchant": merchant,
            "order_id": self._id(name),
            "placed_at": order.placed,
            "currency": defaults.currency,
            "customer": {
                "customer_id": f"cu-{self.row.id}",
                "name": None,
                "email": f"{self.row.id}@example.org",
                "phone": None,
                "locale": defaults.locale,
            },
            "lines": lines,
            "discount": order.code,
            "shipping": {
                "amount": order.shipping or defaults.shipping,
                "carrier": order.carrier or defaults.carrier,
                "collect": order.collect,
            },
            "transaction_fee": order.fee or defaults.fee,
            "payments": [
                {"payment_id": payment, "provider": "bank", "amount": str(amount)}
                for payment, amount in self._paid(name).items()
            ],
        }
        return placed | ({} if order.exchange is None else {"exchange": order.exchange})

    # --- steps ---

    def _act(self, step: AnyRow, tampering: Tampering) -> Publish | Wait:
        if isinstance(step, ClockRow):
            return Wait(duration(step.by), step.until)
        self.count += 1
        label = step.id if isinstance(step, ClaimRow) else step.claim
        order = step.order or self.order_of.get(label) or next(iter(self._orders()))
        if isinstance(step, ClaimRow):
            self.order_of[label] = order
            self.claims[label] = (self._merchant(order), self._id(step.claim_id or label))
        merchant = self._merchant(order)
        topic, type_, said = self._said(step, label, order, house(merchant))
        data: Free = {"merchant": merchant, "order_id": self._id(order)}
        if not isinstance(step, PlacedRow | DeliveredRow | OrderCancelledRow):
            data["claim_id"] = self.claims.get(label, (merchant, self._id(label)))[1]
        data |= said
        for path, value in tampering.set.items():
            _put(data, path, value)
        for path in tampering.drop:
            _drop(data, path)
        settles = (label, step.decision or 0) if isinstance(step, SettledRow) and step.refund_id is None else None
        return Publish(
            topic=tampering.topic or topic,
            type=tampering.type or type_,
            id=f"{self.run}{self.row.id}#{tampering.event or self.count}",
            key=f"{merchant}/{self._id(order)}",
            data=data,
            times=1 + tampering.repeat,
            settles=settles,
        )

    def _said(self, step: AnyRow, label: str, order: str, defaults: House) -> tuple[str, str, Free]:
        """Topic, type, and the members beyond merchant, order and claim."""
        later = f"+{100 + self.count}:00:00"
        match step:
            case PlacedRow():
                return "orders.v1", "order.placed.v1", self._placed(order)
            case DeliveredRow():
                received = self._instant(step.at, "+0:00:00", defaults.offset)
                return "orders.v1", "order.delivered.v1", {"received_at": received}
            case OrderCancelledRow():
                return (
                    "orders.v1",
                    "order.cancelled.v1",
                    {"cancelled_at": self._instant(step.at, later, defaults.offset)},
                )
            case ClaimRow():
                return "claims.v1", "claim.submitted.v1", self._claim(step, order, defaults)
            case CancelRow():
                cancelled = self._instant(step.at, later, defaults.offset)
                return "claims.v1", "claim.cancelled.v1", {"cancelled_at": cancelled, "by": "customer"}
            case AnswerRow():
                return "sellers.v1", "seller.answered.v1", self._answer(step, later, defaults)
            case ShippedRow():
                shipped = self._instant(step.at, later, defaults.offset)
                return "returns.v1", "return.shipped.v1", {"shipped_at": shipped, "tracking": "RR123"}
            case ReturnRow():
                return "returns.v1", "return.received.v1", self._return(step, label, order, later, defaults)
            case ReviewRow():
                return "reviews.v1", "claim.reviewed.v1", self._review(step, later, defaults)
            case SettledRow():
                said: Free = {
                    "refund_id": step.refund_id or "",
                    "status": step.status,
                    "provider_reference": "bank-1",
                    "settled_at": self._instant(step.at, later, defaults.offset),
                    "failure_reason": step.failure_reason,
                }
                return "payments.v1", "refund.settled.v1", said
            case ClockRow():
                raise AssertionError("the clock publishes nothing")

    def _claim(self, step: ClaimRow, order: str, defaults: House) -> Free:
        lines = _pairs(step.lines) or [(line_id, line.qty) for line_id, line in self._lines(order)]
        self.claimed[step.id] = lines
        said: list[Free] = []
        for line_id, quantity in lines:
            line: Free = {"line_id": line_id, "quantity": quantity}
            line |= {"part": step.parts[line_id]} if line_id in step.parts else {}
            line |= {"facts": step.line_facts[line_id]} if line_id in step.line_facts else {}
            said.append(line)
        claim: Free = {
            "reported_at": self._instant(step.at, "+10:00:00", defaults.offset),
            "channel": step.channel,
            "reason": step.reason,
            "lines": said,
            "evidence": None,
            "note": step.note,
        }
        claim |= {} if step.wants is None else {"wants": step.wants}
        return claim | ({"facts": step.facts} if step.facts else {})

    def _answer(self, step: AnswerRow, later: str, defaults: House) -> Free:
        answer: Free = {
            "answer_id": self._id(step.answer_id or f"an{self.count}"),
            "answered_at": self._instant(step.at, later, defaults.offset),
            "answer": step.answer,
            "note": None,
        }
        return answer | _money(step.amount, step.currency or defaults.currency)

    def _return(self, step: ReturnRow, label: str, order: str, later: str, defaults: House) -> Free:
        lines = _pairs(step.lines) or self.claimed.get(label)
        lines = lines or [(line_id, line.qty) for line_id, line in self._lines(order)]
        said: Free = {
            "return_id": self._id(step.return_id or f"re{self.count}"),
            "received_at": self._instant(step.at, later, defaults.offset),
            "lines": [{"line_id": line_id, "quantity": quantity} for line_id, quantity in lines],
            "inspection": None if step.inspection == "none" else GOOD | step.inspection,
        }
        said |= {} if step.fault is None else {"fault": step.fault}
        return said | ({} if step.postage is None else {"postage": step.postage})

    def _review(self, step: ReviewRow, later: str, defaults: House) -> Free:
        review: Free = {
            "review_id": self._id(step.review_id or f"rv{self.count}"),
            "reviewed_at": self._instant(step.at, later, defaults.offset),
            "actor": step.actor,
            "reason": step.reason,
            "verdict": step.verdict,
        }
        return review | _money(step.amount, step.currency or defaults.currency)


def _money(amount: str | None, currency: str) -> Free:
    return {} if amount is None else {"amount": {"amount": amount, "currency": currency}}


def _pairs(lines: Quantities | None) -> list[tuple[str, int]]:
    if lines is None:
        return []
    return list(lines.items()) if isinstance(lines, dict) else list(lines)


def _steps(path: str) -> list[str | int]:
    return [int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)]


def _inside(data: Free, path: str) -> tuple[object, str | int]:
    """What holds the member that the path names, and the member's name."""
    *way, last = _steps(path)
    at: object = data
    for step in way:
        if isinstance(step, int):
            assert isinstance(at, list), f"{path}: no list there"
            at = at[step]
        else:
            assert isinstance(at, dict), f"{path}: no object there"
            at = at[step]
    return at, last


def _put(data: Free, path: str, value: object) -> None:
    at, last = _inside(data, path)
    assert isinstance(at, dict), f"{path} names no member"
    at[last] = value


def _drop(data: Free, path: str) -> None:
    at, last = _inside(data, path)
    assert isinstance(at, dict), f"{path} names no member"
    del at[last]
