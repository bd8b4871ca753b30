"""The claims of the benchmark: both merchants, every reason; 40 % decided at once, 60 % after an answer or a return.

Pure: the same numbers give the same bytes. Each claim has an order of its own, so that every claim comes to exactly one
end: one `claim.refused.v1` or one `claim.decided.v1`.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

Data = dict[str, object]
End = Literal["refused", "rejected", "refund", "replacement"]

HERE: Final = b"@here@"
"""Stands in the templates where a claim's own number goes."""
BLOCK: Final = 100
"""So many claims have the mix exactly."""


@dataclass(frozen=True, slots=True)
class Template:
    """One event, its own number left open."""

    topic: str
    type: str
    kind: str
    value: bytes

    def written(self, number: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Value and headers of the event of claim `number`."""
        return self.value.replace(HERE, number), [
            ("ce_specversion", b"1.0"),
            ("ce_id", self.kind.encode() + b"-" + number),
            ("ce_source", b"/bench"),
            ("ce_type", self.type.encode()),
            ("ce_time", b"2026-11-06T08:00:00Z"),
            ("content-type", b"application/json"),
        ]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of claim: `share` of 100, what is published before the clock starts, and what after, in order."""

    name: str
    share: int
    merchant: str
    end: End
    before: tuple[Template, ...]
    claim: Template
    follows: Template | None


@dataclass(frozen=True, slots=True)
class Event:
    """One event to publish; `order` is the order that its key names."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim; its events are written when they are asked for."""

    kind: Kind
    number: bytes

    @property
    def claim_id(self) -> str:
        return "c-" + self.number.decode()

    @property
    def end(self) -> End:
        return self.kind.end

    @property
    def before(self) -> tuple[Event, ...]:
        """What is published before the clock starts: the order, and its delivery."""
        return self._written(self.kind.before)

    @property
    def after(self) -> tuple[Event, ...]:
        """The claim, and the answer or the return that follows it."""
        follows = () if self.kind.follows is None else (self.kind.follows,)
        return self._written((self.kind.claim, *follows))

    def waiting(self) -> "Claim":
        """The same claim, but nothing follows it: it waits."""
        return Claim(replace(self.kind, follows=None), self.number)

    def _written(self, templates: tuple[Template, ...]) -> tuple[Event, ...]:
        key = f"{self.kind.merchant}/o-".encode() + self.number
        return tuple(Event(one.topic, key, *one.written(self.number)) for one in templates)


_GEJET: Final = "gejet-mall"
_HAKAGO: Final = "hakago"
_LOCAL: Final = {_GEJET: "+03:30", _HAKAGO: "+07:00"}
_INTACT: Final[Data] = {"carton": "intact", "packaging_opened": False, "seal": "unopened", "misuse": False}
_SOUND: Final[Data] = {**_INTACT, "fault_confirmed": False, "regional_variant": False}
_FAULTY: Final[Data] = {**_INTACT, "fault_confirmed": True, "regional_variant": False}


def kinds() -> tuple[Kind, ...]:
    """Every kind of claim; the shares add up to 100."""
    found = (*_at_once(), *_refused(), *_answered(), *_returned())
    assert sum(kind.share for kind in found) == BLOCK
    return found


def claims(run: str, number: int) -> Iterator[Claim]:
    """`number` claims of a run, the kinds mixed anew in each hundred; ids of different runs differ."""
    dealt = [kind for kind in kinds() for _ in range(kind.share)]
    chance = random.Random(run)  # noqa: S311 - an order of kinds, no secret
    for n in range(number):
        if n % BLOCK == 0:
            chance.shuffle(dealt)
        yield Claim(dealt[n % BLOCK], f"{run}-{n}".encode())


def _at_once() -> Iterator[Kind]:
    shop = _order(_GEJET)
    tipax = _order(_GEJET, carrier="tipax")
    torn: Data = {**_INTACT, "carton": "torn"}
    yield _kind("out-of-stock", 12, "refund", shop, _said(_GEJET, "out_of_stock", quantity=2))
    yield _kind("wrong-address", 4, "replacement", shop, _said(_GEJET, "undelivered_wrong_address", "replacement"))
    yield _kind("absent", 4, "replacement", tipax, _said(_GEJET, "undelivered_absent", "replacement"))
    yield _kind("too-late", 4, "rejected", shop, _said(_GEJET, "withdrawal", day=9, quantity=2, facts=_INTACT))
    yield _kind("torn", 3, "rejected", shop, _said(_GEJET, "technical_fault", facts=torn))
    variant: Data = {**_INTACT, "regional_variant": True}
    yield _kind("variant", 2, "rejected", shop, _said(_GEJET, "not_as_described", facts=variant))
    misuse: Data = {**_INTACT, "misuse": True}
    yield _kind("misuse", 2, "rejected", shop, _said(_GEJET, "physical_damage", facts=misuse))
    gift = _order(_GEJET, gift=True)
    yield _kind("gift-late", 1, "rejected", gift, _said(_GEJET, "late", line="3"))
    yield _kind("gift-other", 1, "rejected", gift, _said(_GEJET, "other", line="3"))


def _refused() -> Iterator[Kind]:
    shop, abroad = _order(_GEJET), _order(_HAKAGO)
    yield _kind("unknown-line", 2, "refused", abroad, _said(_HAKAGO, "late", line="9"))
    yield _kind("other-line", 2, "refused", abroad, _said(_HAKAGO, "physical_damage", line="8"))
    yield _kind("too-many", 2, "refused", abroad, _said(_HAKAGO, "other", quantity=50))
    yield _kind("too-many-parts", 1, "refused", shop, _said(_GEJET, "missing_part", quantity=50))


def _answered() -> Iterator[Kind]:
    order = _order(_HAKAGO)
    said = {reason: _said(_HAKAGO, reason) for reason in ("wrong_item", "missing_quantity", "missing_part")}
    full, resend = _answer("refund_full"), _answer("resend")
    some = _answer("refund_partial", {"amount": "150000", "currency": "VND"})
    dollars = _answer("refund_partial", {"amount": "12.50", "currency": "USD"})
    yield _kind("wrong-full", 9, "refund", order, said["wrong_item"], full)
    yield _kind("wrong-dollars", 5, "refund", order, said["wrong_item"], dollars)
    yield _kind("missing-full", 8, "refund", order, said["missing_quantity"], full)
    yield _kind("missing-resent", 4, "replacement", order, said["missing_quantity"], resend)
    yield _kind("part-some", 4, "refund", order, said["missing_part"], some)
    yield _kind("part-resent", 4, "replacement", order, said["missing_part"], resend)


def _returned() -> Iterator[Kind]:
    shop = _order(_GEJET)
    back, all_back = _return(1, _FAULTY), _return(2, _SOUND)
    whole = _said(_GEJET, "withdrawal", quantity=2, whole=True, facts=_INTACT)
    yield _kind("fault-new", 6, "replacement", shop, _said(_GEJET, "technical_fault", "replacement"), back)
    yield _kind("fault-money", 4, "refund", shop, _said(_GEJET, "technical_fault", facts=_INTACT), back)
    yield _kind("withdrawn", 8, "refund", shop, whole, all_back)
    yield _kind("mismatch", 3, "refund", shop, _said(_GEJET, "not_as_described", facts=_INTACT), back)
    yield _kind("damage", 3, "refund", shop, _said(_GEJET, "physical_damage", facts=_INTACT), back)
    yield _kind("at-the-door", 2, "replacement", shop, _said(_GEJET, "refused_damaged", "replacement"), back)


def _kind(
    name: str, share: int, end: End, before: tuple[Template, ...], claim: Data, follows: Template | None = None
) -> Kind:
    merchant = str(claim["merchant"])
    return Kind(name, share, merchant, end, before, _template("claims.v1", "claim.submitted.v1", claim), follows)


def _template(topic: str, type: str, data: Data) -> Template:
    return Template(topic, type, type.partition(".v1")[0], json.dumps(data, ensure_ascii=False).encode())


def _at(merchant: str, day: int, hour: int) -> str:
    return f"2026-11-{day:02}T{hour:02}:00:00{_LOCAL[merchant]}"


def _order(merchant: str, *, carrier: str = "post", gift: bool = False) -> tuple[Template, ...]:
    """An order of two lines (a third is a gift) and, at Gejet, its delivery."""
    shop = merchant == _GEJET
    title = "ساعت هوشمند" if shop else "đồng hồ thông minh"
    price, other = (6_000_000, 1_500_000) if shop else (900_000, 250_000)
    line: Data = {"sku": "SW-9", "title": title, "discount": "0", "gift": False, "category": "watches"}
    if not shop:
        line["seller"] = {"marketplace": "amazon.com", "seller_id": "s-1"}
    lines: list[Data] = [
        {"line_id": "1", **line, "quantity": 2, "unit_price": str(price)},
        {"line_id": "2", **line, "quantity": 2, "unit_price": str(other), "discount": "20000"},
    ]
    if gift:
        lines.append({"line_id": "3", **line, "quantity": 1, "unit_price": "0", "gift": True})
    shipping, fee = (500_000, 0) if shop else (200_000, 50_000)
    paid = 2 * price + 2 * other - 20_000 - 100_000 + shipping + fee
    name, locale, phone = ("سارا احمدی", "fa-IR", "+982112345678") if shop else ("Nguyễn Lan", "vi-VN", "+842412345678")
    data: Data = {
        "merchant": merchant,
        "order_id": "o-@here@",
        "placed_at": _at(merchant, 1, 9),
        "currency": "IRR" if shop else "VND",
        "customer": {
            "customer_id": "u-@here@",
            "name": name,
            "email": "u-@here@@customers.example",
            "phone": phone,
            "locale": locale,
        },
        "lines": lines,
        "discount": "100000",
        "shipping": {"amount": str(shipping), "carrier": carrier, "collect": False},
        "transaction_fee": str(fee),
        "payments": [{"payment_id": "p-@here@", "provider": "zarinpal" if shop else "vnpay", "amount": str(paid)}],
    }
    if not shop:
        data["exchange"] = {"currency": "USD", "rate": "25400"}
        return (_template("orders.v1", "order.placed.v1", data),)
    received: Data = {"merchant": merchant, "order_id": "o-@here@", "received_at": _at(merchant, 5, 10)}
    return (
        _template("orders.v1", "order.placed.v1", data),
        _template("orders.v1", "order.delivered.v1", received),
    )


def _said(
    merchant: str,
    reason: str,
    wants: str = "refund",
    *,
    line: str = "1",
    quantity: int = 1,
    day: int = 5,
    whole: bool = False,
    facts: Data | None = None,
) -> Data:
    """A claim about one line, or with `whole` about both."""
    lines: list[Data] = [{"line_id": line, "quantity": quantity, "part": "strap" if "part" in reason else None}]
    if whole:
        lines.append({"line_id": "2", "quantity": quantity, "part": None})
    return {
        "claim_id": "c-@here@",
        "merchant": merchant,
        "order_id": "o-@here@",
        "reported_at": _at(merchant, day, 20),
        "channel": "whatsapp",
        "reason": reason,
        "wants": wants,
        "lines": lines,
        "facts": facts,
        "evidence": [
            {"kind": "photo", "uri": "https://files.example/c-@here@/1.jpg", "sha256": "9f86d081884c7d65" * 4}
        ],
        "note": "لطفا بررسی کنید" if merchant == _GEJET else "xin kiểm tra giúp tôi",
    }


def _answer(answer: str, amount: Data | None = None) -> Template:
    data: Data = {
        "answer_id": "a-@here@",
        "claim_id": "c-@here@",
        "merchant": _HAKAGO,
        "order_id": "o-@here@",
        "answered_at": _at(_HAKAGO, 6, 9),
        "answer": answer,
        "amount": amount,
        "note": "as agreed",
    }
    return _template("sellers.v1", "seller.answered.v1", data)


def _return(quantity: int, inspection: Data) -> Template:
    """The goods of one line, or with `quantity` 2 of both lines, back and inspected."""
    lines: list[Data] = [{"line_id": str(n), "quantity": quantity} for n in range(1, quantity + 1)]
    data: Data = {
        "return_id": "r-@here@",
        "claim_id": "c-@here@",
        "merchant": _GEJET,
        "order_id": "o-@here@",
        "received_at": _at(_GEJET, 6, 11),
        "lines": lines,
        "inspection": inspection,
        "fault": "none",
        "postage": None,
    }
    return _template("returns.v1", "return.received.v1", data)
