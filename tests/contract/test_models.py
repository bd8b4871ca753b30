"""What is taken, and what it becomes."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.events import (
    TYPES,
    BadEvent,
    ClaimAdmitted,
    ClaimSubmitted,
    CustomerContact,
    Facts,
    Inspection,
    OrderDelivered,
    OrderPlaced,
    ReturnReceived,
    dump,
    parse,
    parse_data,
)
from shared.money import DECIMALS
from tests.contract.samples import example, spoil


def _parse(type_: str, **put: object) -> object:
    data = spoil(example(type_), {f"$.{name}": value for name, value in put.items()}, [])
    return parse_data(type_, json.dumps(data).encode())


@pytest.mark.parametrize("type_", TYPES)
def test_examples_survive_the_round_trip(type_: str) -> None:
    event = parse_data(type_, json.dumps(example(type_)).encode())
    assert type(event) is TYPES[type_]
    assert parse_data(type_, dump(event)) == event


@pytest.mark.parametrize("type_", TYPES)
def test_unknown_members_are_ignored(type_: str) -> None:
    data = {**example(type_), "added_later": {"x": [1.5, None]}}
    assert parse_data(type_, json.dumps(data).encode()) == parse_data(type_, json.dumps(example(type_)).encode())


def test_unknown_types_are_refused() -> None:
    with pytest.raises(BadEvent, match=r"order\.lost\.v1"):
        parse_data("order.lost.v1", b"{}")


# The examples of the contract's own page, in the shape it gives them.
CONTRACT_EXAMPLES = {
    "order.placed.v1": """{"merchant": "gejet-mall", "order_id": "GM-1001", "placed_at": "2026-11-01T09:00:00+03:30",
        "currency": "IRR", "customer": {"customer_id": "c-77", "name": "…", "email": "…", "phone": "+98…",
        "locale": "fa-IR"}, "lines": [{"line_id": "1", "sku": "SW-9", "title": "…", "quantity": 2,
        "unit_price": "6000000", "discount": "0", "gift": false, "category": "digital", "sealed": true,
        "seller": {"marketplace": "amazon.com", "seller_id": "s-1"}}], "discount": "0", "shipping": {"amount":
        "500000", "carrier": "tipax", "collect": true}, "transaction_fee": "0", "payments": [{"payment_id": "p-1",
        "provider": "…", "amount": "12000000"}], "exchange": {"currency": "USD", "rate": "25400"}}""",
    "claim.submitted.v1": """{"claim_id": "c-1", "merchant": "gejet-mall", "order_id": "GM-1001", "reported_at":
        "2026-11-05T10:00:00+03:30", "channel": "whatsapp", "reason": "withdrawal", "wants": "refund", "lines":
        [{"line_id": "1", "quantity": 2, "part": null, "facts": null}], "facts": {"carton": "intact",
        "packaging_opened": false, "seal": "unopened", "misuse": false, "regional_variant": false}, "evidence":
        [{"kind": "photo", "uri": "…", "sha256": "…"}], "note": "…"}""",
    "claim.decided.v1": """{"claim_id": "c-1", "merchant": "gejet-mall", "order_id": "GM-1001", "decision_no": 1,
        "follows": null, "outcome": "refund", "lines": [{"line_id": "1", "quantity": 2, "verdict": "eligible",
        "reasons": [{"rule": "…", "clause": "G4.1", "effect": "allow", "text": "…"}]}], "refund": {"refund_id": "…",
        "amount": "11700000", "currency": "IRR", "breakdown": [{"item": "goods", "amount": "12000000", "payer":
        "merchant", "clause": "GN2"}, {"item": "withdrawal_fee", "amount": "-300000", "payer": "customer", "clause":
        "GN4"}]}, "replacement": null, "policy": {"id": "gejet-mall", "version": 1, "digest": "…"}, "readings": [],
        "decided_by": "policy", "decided_at": "2026-11-06T07:30:00Z"}""",
}


@pytest.mark.parametrize("type_", CONTRACT_EXAMPLES)
def test_the_contract_page_s_examples(type_: str) -> None:
    text = CONTRACT_EXAMPLES[type_]
    written = json.loads(dump(parse_data(type_, text.encode())))
    assert {name: value for name, value in written.items() if name != "revision"} == json.loads(text)


LEFT_OUT_OR_NULL = {
    "order.placed.v1": [
        *(f"$.customer.{name}" for name in ("name", "email", "phone", "locale")),
        "$.exchange",
        "$.lines[0].seller",
        "$.lines[0].category",
    ],
    "claim.submitted.v1": [
        *("$.evidence", "$.note", "$.facts", "$.wants", "$.lines[0].part", "$.lines[0].facts", "$.evidence[0].sha256"),
        *(f"$.facts.{name}" for name in Facts.model_fields),
    ],
    "return.received.v1": [
        *("$.postage", "$.fault", "$.inspection"),
        *(f"$.inspection.{name}" for name in Inspection.model_fields),
    ],
    "return.shipped.v1": ["$.tracking"],
    "seller.answered.v1": ["$.note"],
    "refund.settled.v1": ["$.provider_reference", "$.failure_reason"],
}


@pytest.mark.parametrize(
    ("type_", "path"), [(type_, path) for type_, paths in LEFT_OUT_OR_NULL.items() for path in paths]
)
def test_left_out_is_null(type_: str, path: str) -> None:
    null = spoil(example(type_), {path: None}, [])
    absent = spoil(null, {}, [path])
    assert parse_data(type_, json.dumps(null).encode()) == parse_data(type_, json.dumps(absent).encode())


@pytest.mark.parametrize(
    ("path", "default"),
    [
        ("$.discount", "0"),
        ("$.transaction_fee", "0"),
        ("$.lines[0].discount", "0"),
        ("$.lines[0].gift", False),
    ],
)
def test_left_out_is_the_default(path: str, default: object) -> None:
    absent = spoil(example("order.placed.v1"), {}, [path])
    given_ = spoil(example("order.placed.v1"), {path: default}, [])
    parsed = parse_data("order.placed.v1", json.dumps(absent).encode())
    assert parsed == parse_data("order.placed.v1", json.dumps(given_).encode())


def test_sealed_left_out_is_false() -> None:
    absent = spoil(example("order.placed.v1"), {}, ["$.lines[0].sealed"])
    assert not parse(OrderPlaced, json.dumps(absent).encode()).lines[0].sealed


def test_what_is_not_inspected_is_unknown() -> None:
    assert parse(
        ReturnReceived, json.dumps({**example("return.received.v1"), "inspection": None}).encode()
    ).inspection == (Inspection())


SUMS = [
    # name, currency, lines (quantity, unit price, discount), order discount, shipping, collect, fee, payments
    ("plain", "IRR", [(2, "500", "0")], "0", "0", False, "0", ["1000"]),
    ("shipping", "IRR", [(2, "500", "0")], "0", "70", False, "0", ["1070"]),
    ("shipping to the carrier", "IRR", [(2, "500", "0")], "0", "70", True, "0", ["1000"]),
    ("fee and both discounts", "VND", [(3, "1000", "500"), (1, "250", "0")], "250", "40", False, "9", ["2549"]),
    ("several payments", "IRR", [(1, "1000", "0")], "0", "0", False, "0", ["1", "0", "999"]),
    ("cents", "USD", [(3, "0.1", "0")], "0.05", "1.5", False, "0.00", ["1.75"]),
    ("fils", "KWD", [(1, "0.125", "0")], "0", "0", False, "0", ["0.125"]),
    ("all for free", "IRR", [(1, "0", "0")], "0", "0", True, "0", []),
    ("all discounted", "IRR", [(1, "90", "90")], "0", "0", True, "0", ["0"]),
    ("a code for all", "IRR", [(1, "90", "0")], "90", "0", True, "0", []),
    ("the largest", "IRR", [(1, "999999999999999", "0")], "0", "0", True, "0", ["999999999999999"]),
    ("Persian digits", "IRR", [(1, "۱۰۰۰", "٠")], "0", "۰۷۰", False, "0", ["۱٠۷۰"]),
]


@pytest.mark.parametrize("case", SUMS, ids=lambda case: case[0])
def test_orders_that_add_up(
    case: tuple[str, str, list[tuple[int, str, str]], str, str, bool, str, list[str]],
) -> None:
    _, currency, lines, discount, shipping, collect, fee, payments = case
    _parse(
        "order.placed.v1",
        currency=currency,
        lines=[
            {"line_id": str(index), "sku": "a", "title": "", "quantity": quantity, "unit_price": price, "discount": off}
            for index, (quantity, price, off) in enumerate(lines)
        ],
        discount=discount,
        shipping={"amount": shipping, "carrier": "post", "collect": collect},
        transaction_fee=fee,
        payments=[
            {"payment_id": f"p-{index}", "provider": "x", "amount": amount} for index, amount in enumerate(payments)
        ],
    )


def test_an_order_inside_has_no_contact_data() -> None:
    placed = _parse("order.placed.v1")
    assert isinstance(placed, OrderPlaced)
    order = json.loads(dump(placed.order()))
    assert order.pop("received_at") is None
    assert order.pop("customer") == {"customer_id": "c-77", "locale": "fa-IR"}
    whole = json.loads(dump(placed))
    whole.pop("customer")
    assert order == whole


def test_contact_data_travels_alone() -> None:
    placed = _parse("order.placed.v1")
    assert isinstance(placed, OrderPlaced)
    assert placed.contact() == parse(CustomerContact, json.dumps(example("customer.contact.v1")).encode())


LINES_TWICE = [
    # lines as they came, lines as they are
    ([("1", 2, None, None), ("1", 3, None, None)], [("1", 5, None, None)]),
    ([("1", 1, None, None), ("2", 1, None, None), ("۱", 1, None, None)], [("1", 2, None, None), ("2", 1, None, None)]),
    ([("1", 1, "lid", None), ("1", 1, None, None)], [("1", 2, "lid", None)]),
    ([("1", 1, "lid", None), ("1", 1, "belt", None), ("1", 1, "lid", None)], [("1", 3, "lid; belt", None)]),
    ([("1", 1, None, {"misuse": False}), ("1", 1, None, None)], [("1", 2, None, {"misuse": False})]),
    ([("1", 9_999, None, None), ("1", 1, None, None)], [("1", 10_000, None, None)]),
]


@pytest.mark.parametrize(("came", "are"), LINES_TWICE)
def test_a_line_named_twice_is_summed(came: list[tuple[object, ...]], are: list[tuple[object, ...]]) -> None:
    names = ("line_id", "quantity", "part", "facts")
    claim = _parse("claim.submitted.v1", lines=[dict(zip(names, line, strict=True)) for line in came])
    assert isinstance(claim, ClaimSubmitted)
    facts = [line.facts.model_dump(exclude_none=True) if line.facts else None for line in claim.lines]
    lines = [(line.line_id, line.quantity, line.part) for line in claim.lines]
    assert [(*line, known) for line, known in zip(lines, facts, strict=True)] == are


def test_a_returned_line_named_twice_is_summed() -> None:
    returned = _parse(
        "return.received.v1", lines=[{"line_id": "1", "quantity": 2}, {"line_id": "2", "quantity": 1}] * 2
    )
    assert isinstance(returned, ReturnReceived)
    assert [(line.line_id, line.quantity) for line in returned.lines] == [("1", 4), ("2", 2)]


INSTANTS = [
    ("2026-11-05T10:00:00Z", datetime(2026, 11, 5, 10, tzinfo=UTC)),
    ("2026-11-05t10:00:00z", datetime(2026, 11, 5, 10, tzinfo=UTC)),
    ("2026-11-05T10:00:00-00:00", datetime(2026, 11, 5, 10, tzinfo=UTC)),
    ("2026-11-05T13:30:00+03:30", datetime(2026, 11, 5, 10, tzinfo=UTC)),
    ("2026-11-05T14:00:00+04:30", datetime(2026, 11, 5, 9, 30, tzinfo=UTC)),
    ("2026-11-05T00:00:00-23:59", datetime(2026, 11, 5, 23, 59, tzinfo=UTC)),
    ("2026-11-05T10:00:00.5Z", datetime(2026, 11, 5, 10, 0, 0, 500_000, tzinfo=UTC)),
    ("2026-11-05T10:00:00.123456789Z", datetime(2026, 11, 5, 10, 0, 0, 123_456, tzinfo=UTC)),
    ("2026-11-05t10:00:00.123456789+00:00", datetime(2026, 11, 5, 10, 0, 0, 123_456, tzinfo=UTC)),
    ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
    ("2017-01-01T03:29:60.7+03:30", datetime(2017, 1, 1, tzinfo=UTC)),
    ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
]


@pytest.mark.parametrize(("text", "instant"), INSTANTS)
def test_instants(text: str, instant: datetime) -> None:
    delivered = _parse("order.delivered.v1", received_at=text)
    assert isinstance(delivered, OrderDelivered)
    assert delivered.received_at == instant
    assert parse(OrderDelivered, dump(delivered)).received_at == instant


OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1900, 1, 1), datetime(8999, 12, 30)), OFFSETS)  # noqa: DTZ001 - the offset is drawn apart
def test_instants_survive_the_round_trip(local: datetime, offset: timezone) -> None:
    delivered = OrderDelivered(merchant="m", order_id="o", received_at=local.replace(tzinfo=offset))
    assert parse(OrderDelivered, dump(delivered)).received_at == delivered.received_at


@pytest.mark.parametrize("code", DECIMALS)
def test_every_currency_with_the_decimals_it_has(code: str) -> None:
    places = DECIMALS[code]
    most = "1" + ("." + "5" * places if places else "")
    _parse("seller.answered.v1", amount={"amount": most, "currency": code})
    with pytest.raises(BadEvent, match=code) as refusal:
        _parse("seller.answered.v1", amount={"amount": most + ("5" if places else ".5"), "currency": code})
    assert refusal.value.path == "$.amount.amount"


def test_models_are_strict_in_python_too() -> None:
    with pytest.raises(ValidationError):
        OrderDelivered(merchant="m", order_id="o", received_at=datetime(2026, 11, 5))  # noqa: DTZ001
    with pytest.raises(ValidationError):
        OrderDelivered(merchant="m", order_id=" ", received_at=datetime(2026, 11, 5, tzinfo=UTC))


def test_models_are_frozen() -> None:
    claim = _parse("claim.submitted.v1")
    assert isinstance(claim, ClaimSubmitted)
    with pytest.raises(ValidationError):
        claim.claim_id = "c-2"  # type: ignore[misc]


def test_an_admitted_claim_is_as_submitted() -> None:
    admitted = _parse("claim.admitted.v1")
    assert isinstance(admitted, ClaimAdmitted)
    assert admitted.claim == _parse("claim.submitted.v1")
