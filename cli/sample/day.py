"""Makes the sample day from `day.yaml`, always the same: `python -m cli.sample.day` writes the files in `day/`.

A file per round (`1-orders.jsonl` …) with events as `claims publish` takes them, `bad.jsonl` with what nobody should
send, and `expected.jsonl` with the end of each claim.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

FOLDER: Final = Path(__file__).parent
FILES: Final = FOLDER / "day"
Event = dict[str, Any]
"""A line of a file."""


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Product(Row):
    sku: str
    title: str
    price: int
    category: str | None = None
    sealed: bool = False
    gift: bool = False
    seller: str | None = None


class Merchant(Row):
    currency: str
    offset: str
    locale: str
    carrier: str
    shipping: int
    fee: int
    provider: str
    phone: str
    exchange: dict[str, str] | None = None
    customers: list[str]
    products: dict[str, Product]


class End(Row):
    """Where a claim has to end; one of `outcome`, `awaiting`, `refused`, `parked`."""

    outcome: Literal["refund", "replacement", "rejected", "cancelled"] | None = None
    amount: int = 0
    clause: str | None = None
    by: Literal["policy", "staff"] = "policy"
    decisions: int = 1
    awaiting: Literal["delivery", "seller", "return", "review"] | None = None
    refused: list[str] = Field(default_factory=list)
    parked: bool = False


class Claim(Row):
    id: str
    merchant: str
    order: dict[str, int] = Field(default_factory=dict)
    order_of: str | None = None
    order_round: int | Literal["never"] = 1
    code: int = 0
    carrier: str | None = None
    collect: bool = False
    payments: list[int] | None = None
    received: bool = False
    told: str
    round: int = 3
    reason: str
    wants: str | None = None
    channel: str = "web"
    claims: dict[int, int] = Field(default_factory=dict)
    facts: dict[str, Any] = Field(default_factory=dict)
    part: str | None = None
    note: str | None = None
    then: list[dict[str, dict[str, Any]]] = Field(default_factory=list)
    end: End


class Bad(Row):
    id: str
    topic: str
    round: int
    path: str
    raw: str | None = None
    type: str | None = None
    like: str | None = None
    put: dict[str, Any] = Field(default_factory=dict)


class Day(Row):
    day: Any
    rounds: list[str]
    uneventful: dict[str, int]
    merchants: dict[str, Merchant]
    claims: list[Claim]
    bad: list[Bad]
    repeated: list[str]
    duplicated: list[str]


@dataclass(slots=True)
class Made:
    """The day's lines: events by round (from 1), what is bad, and the ends."""

    rounds: dict[int, list[Event]] = field(default_factory=dict)
    bad: list[Event] = field(default_factory=list)
    expected: list[Event] = field(default_factory=list)


def make() -> Made:
    """The whole day."""
    return _Maker(Day.model_validate(yaml.safe_load((FOLDER / "day.yaml").read_text(encoding="utf-8")))).make()


def files(made: Made, names: list[str]) -> dict[str, str]:
    """File name → content."""
    lines = {
        f"{number}-{names[number - 1].replace(' ', '-')}.jsonl": events
        for number, events in sorted(made.rounds.items())
    }
    lines |= {"bad.jsonl": made.bad, "expected.jsonl": made.expected}
    return {
        name: "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in several)
        for name, several in lines.items()
    }


def all_files() -> dict[str, str]:
    """The files as they have to be."""
    day = yaml.safe_load((FOLDER / "day.yaml").read_text(encoding="utf-8"))
    return files(make(), day["rounds"])


@dataclass(slots=True)
class _Maker:
    day: Day
    made: Made = field(default_factory=Made)
    named: dict[str, Event] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def make(self) -> Made:
        for claim in self.day.claims:
            self._claim(claim)
        for merchant, count in self.day.uneventful.items():
            for number in range(count):
                self._uneventful(merchant, number)
        self.made.rounds[1].sort(key=lambda event: (event["time"], event["id"]))
        for name in self.day.repeated:
            event = self.named[name]
            next(several for several in self.made.rounds.values() if event in several).append(event)
        for bad in self.day.bad:
            self._bad(bad)
        return self.made

    # --- orders ---

    def _start(self, merchant: str) -> datetime:
        return datetime.fromisoformat(f"{self.day.day.isoformat()}T08:00:00{self.day.merchants[merchant].offset}")

    def _number(self, merchant: str) -> int:
        self.numbers[merchant] = self.numbers.get(merchant, 0) + 1
        return self.numbers[merchant]

    def _order(self, merchant: str, number: int, lines: dict[str, int], claim: Claim | None = None) -> Event:
        shop = self.day.merchants[merchant]
        bought = [(shop.products[name], quantity) for name, quantity in lines.items()]
        code, collect = (claim.code, claim.collect) if claim else (0, False)
        paid = sum(product.price * quantity for product, quantity in bought) - code
        paid += (0 if collect else shop.shipping) + shop.fee
        payments = (claim.payments if claim else None) or [paid]
        customer = number % len(shop.customers)
        data: Event = {
            "merchant": merchant,
            "order_id": f"{'GM' if merchant == 'gejet-mall' else 'HK'}-{1000 + number}",
            "placed_at": (self._start(merchant) - timedelta(days=7, minutes=-7 * number)).isoformat(),
            "currency": shop.currency,
            "customer": {
                "customer_id": f"{merchant}-{customer + 1}",
                "name": shop.customers[customer],
                "email": f"customer{customer + 1}@{merchant}.example",
                "phone": shop.phone.format(customer + 1),
                "locale": shop.locale,
            },
            "lines": [_line(str(index), product, quantity) for index, (product, quantity) in enumerate(bought, 1)],
            "discount": str(code),
            "shipping": {
                "amount": str(shop.shipping),
                "carrier": (claim.carrier if claim else None) or shop.carrier,
                "collect": collect,
            },
            "transaction_fee": str(shop.fee),
            "payments": [
                {"payment_id": f"pay-{merchant[0]}{number}-{index}", "provider": shop.provider, "amount": str(amount)}
                for index, amount in enumerate(payments, 1)
            ],
        }
        return data | ({"exchange": shop.exchange} if shop.exchange else {})

    def _uneventful(self, merchant: str, index: int) -> None:
        names = [name for name, product in self.day.merchants[merchant].products.items() if not product.gift]
        number = self._number(merchant)
        lines = {names[(index * 3 + step) % len(names)]: 1 + (index + step) % 2 for step in range(1 + index % 3)}
        data = self._order(merchant, number, lines)
        self._event(1, "order.placed.v1", f"order of {data['order_id']}", data, data["placed_at"])
        if index % 6:
            self._delivered(merchant, number, data["order_id"], data["order_id"])

    def _delivered(self, merchant: str, number: int, order_id: str, name: str) -> datetime:
        received = self._start(merchant) - timedelta(days=2, minutes=-5 * number)
        data = {"merchant": merchant, "order_id": order_id, "received_at": received.isoformat()}
        self._event(2, "order.delivered.v1", f"delivery of {name}", data, data["received_at"])
        return received

    # --- claims ---

    def _claim(self, claim: Claim) -> None:
        merchant = claim.merchant
        number = self._number(merchant)
        told_from = self._start(merchant) + timedelta(minutes=3 * number)
        data = self._order(merchant, number, claim.order or {}, claim)
        order_id = self.orders[claim.order_of] if claim.order_of else data["order_id"]
        self.orders[claim.id] = order_id
        if claim.order and claim.order_round != "never":
            self._event(claim.order_round, "order.placed.v1", f"order of {claim.id}", data, data["placed_at"])
        if claim.received:
            told_from = self._delivered(merchant, number, order_id, claim.id)
        reported = told_from + timedelta(hours=int(claim.told.removesuffix("h")))
        about = {"claim_id": claim.id, "merchant": merchant, "order_id": order_id}
        lines = claim.claims or dict(enumerate(claim.order.values(), 1))
        submitted: Event = {
            **about,
            "reported_at": reported.isoformat(),
            "channel": claim.channel,
            "reason": claim.reason,
            **({"wants": claim.wants} if claim.wants else {}),
            "lines": [
                {"line_id": str(line), "quantity": quantity} | ({"part": claim.part} if claim.part else {})
                for line, quantity in lines.items()
            ],
            **({"facts": claim.facts} if claim.facts else {}),
            **({"note": claim.note} if claim.note else {}),
        }
        self._event(claim.round, "claim.submitted.v1", f"claim {claim.id}", submitted, submitted["reported_at"])
        if claim.id in self.day.duplicated:
            again = submitted | {"note": "the same id once more"}
            self._event(claim.round + 1, "claim.submitted.v1", f"claim {claim.id} again", again, again["reported_at"])
        for place, step in enumerate(claim.then, 1):
            kind, said = next(iter(step.items()))
            self._follow(claim, kind, dict(said), about, submitted["lines"], reported, place)
        self.made.expected.append(self._expected(claim))

    def _follow(
        self,
        claim: Claim,
        kind: str,
        said: dict[str, Any],
        about: dict[str, str],
        lines: list[Event],
        reported: datetime,
        place: int,
    ) -> None:
        round_ = said.pop("round", 4)
        at = (reported + timedelta(hours=24 * (round_ - 3) + place)).isoformat()
        name = f"{kind} of {claim.id}" + (f", {place}" if place > 1 else "")
        currency = self.day.merchants[claim.merchant].currency
        match kind:
            case "answer":
                money = said.pop("amount", None)
                given: Event = (
                    {"amount": {"amount": money, "currency": said.pop("currency", currency)}} if money else {}
                )
                data = {"answer_id": f"an-{claim.id}-{place}", **about, "answered_at": at, **said, **given}
                self._event(round_, "seller.answered.v1", name, data, at)
            case "return":
                transport: Event = {member: said.pop(member) for member in ("fault", "postage") if member in said}
                if "postage" in transport:
                    transport["postage"] = {"amount": str(transport["postage"]), "paid_by": "customer"}
                found: Event = {"carton": "intact", "packaging_opened": False, "seal": "unopened", "misuse": False}
                inspection: Event = found | {"fault_confirmed": True, "regional_variant": False} | said
                brought = [{"line_id": line["line_id"], "quantity": line["quantity"]} for line in lines]
                data = {"return_id": f"re-{claim.id}-{place}", **about, "received_at": at, "lines": brought}
                self._event(round_, "return.received.v1", name, data | {"inspection": inspection, **transport}, at)
            case "shipped":
                data = {**about, "shipped_at": at, "tracking": f"RR{place:03d}{claim.id[-3:]}"}
                self._event(round_, "return.shipped.v1", name, data, at)
            case "cancel":
                self._event(round_, "claim.cancelled.v1", name, {**about, "cancelled_at": at, "by": "customer"}, at)
            case "review":
                amount = said.pop("amount", None)
                given = {"amount": {"amount": str(amount), "currency": currency}} if amount else {}
                data = {
                    "review_id": f"rv-{claim.id}-{place}",
                    **about,
                    "reviewed_at": at,
                    "actor": "mina",
                    **said,
                    **given,
                }
                self._event(round_, "claim.reviewed.v1", name, data, at)
            case _:
                raise ValueError(f"{claim.id}: {kind} is no kind of step")

    def _expected(self, claim: Claim) -> Event:
        shop = self.day.merchants[claim.merchant]
        end = claim.end.model_dump(exclude_defaults=True)
        refused = [*claim.end.refused, *(["duplicate_claim_id"] if claim.id in self.day.duplicated else [])]
        return {
            "claim_id": claim.id,
            "merchant": claim.merchant,
            "reason": claim.reason,
            "currency": shop.currency,
            **end,
            **({"refused": refused} if refused else {}),
        }

    # --- lines ---

    def _event(self, round_: int, type_: str, name: str, data: Event, time: str) -> None:
        sender = {"seller": "sellers-desk", "return": "warehouse"}.get(type_.partition(".")[0], "shop")
        source = "/console" if type_ == "claim.reviewed.v1" else f"/{data['merchant']}/{sender}"
        event = {"type": type_, "id": re.sub(r"[ ,]+", "-", name), "source": source, "time": time, "data": data}
        self.named[name] = event
        self.made.rounds.setdefault(round_, []).append(event)

    def _bad(self, bad: Bad) -> None:
        event: Event = {"round": bad.round, "topic": bad.topic, "id": bad.id, "source": "/elsewhere", "path": bad.path}
        if bad.like is None:
            self.made.bad.append(event | {"type": bad.type, "raw": bad.raw})
            return
        model = self.named[bad.like]
        data = copy.deepcopy(model["data"])
        for path, value in bad.put.items():
            _put(data, path, value)
        self.made.bad.append(event | {"type": model["type"], "raw": json.dumps(data, ensure_ascii=False)})


def _line(line_id: str, product: Product, quantity: int) -> Event:
    line: Event = {
        "line_id": line_id,
        "sku": product.sku,
        "title": product.title,
        "quantity": quantity,
        "unit_price": str(product.price),
    }
    line |= {"gift": True} if product.gift else {}
    line |= {"category": product.category} if product.category else {}
    line |= {"sealed": True} if product.sealed else {}
    return line | ({"seller": {"marketplace": product.seller, "seller_id": "s-1"}} if product.seller else {})


def _put(data: Any, path: str, value: Any) -> None:
    *way, last = [int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)]
    for step in way:
        data = data[step]
    data[last] = value


def written() -> Iterator[tuple[Path, str]]:
    """Where each file is, and what has to be in it."""
    for name, content in all_files().items():
        yield FILES / name, content


if __name__ == "__main__":
    FILES.mkdir(exist_ok=True)
    for path, content in written():
        path.write_text(content, encoding="utf-8")
        print(f"{path.relative_to(FOLDER)}: {content.count(chr(10))} lines")
