"""What intake admits: scenarios as data, each a list of what comes in and, in short form, what comes of it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from services.intake import domain
from services.intake.desk import Desk, Letter, event_mark, item_marks, order_key
from services.intake.state import (
    Arrival,
    Bury,
    Count,
    Effect,
    Emit,
    Input,
    Note,
    OrderState,
    as_event,
    read,
    read_decided,
    write,
)
from shared.events import BadEvent, ClaimAdmitted, ClaimDecided, ClaimParked, CustomerContact, Event
from shared.events.envelope import open_input
from tests.intake_samples import (
    HAKAGO,
    Sample,
    answer,
    cancelled,
    claim,
    decided,
    delivered,
    in_short,
    order,
    order_cancelled,
    returned,
    review,
    settled,
    shipped,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PARKING = timedelta(hours=24)
CURRENCIES = {"gejet-mall": "IRR", HAKAGO: "VND"}


class Said(NamedTuple):
    """An event that was emitted, and the record that it comes from."""

    event: Event
    ref: int


class Door:
    """Intake without its database: a desk that is never cleared."""

    def __init__(self) -> None:
        self.desk = Desk(NOW, PARKING, CURRENCIES.get)
        self.events: dict[int, Input] = {}
        self.emitted: list[Said] = []
        self.buried: list[Bury] = []
        self.notes: list[Note] = []

    def send(self, sample: Sample, id: str | None = None) -> list[str]:
        """Take one event in, under an id of its own unless one is given; returns what came of it in short form."""
        ref = len(self.events)
        if sample.type == ClaimDecided.type:
            letter = Letter(Arrival(read_decided(sample.value), ref), ())
        else:
            headers = {"ce_specversion": "1.0", "ce_type": sample.type, "ce_id": id or f"e-{ref}", "ce_source": "/shop"}
            envelope = open_input(sample.topic, [(k, v.encode()) for k, v in headers.items()], sample.value)
            assert isinstance(envelope.data, Input)
            mark = event_mark(envelope.source, envelope.id, envelope.type, envelope.digest)
            letter = Letter(Arrival(envelope.data, ref, name=mark.name), (mark, *item_marks(envelope.data)))
        event = letter.arrival.event
        self.events[ref] = event
        self.desk.orders.setdefault(order_key(event), OrderState())
        return self._told(self.desk.judge(letter))

    def wait(self, hours: float) -> list[str]:
        """Let time pass, and refuse what is overdue."""
        self.desk.now += timedelta(hours=hours)
        return [told for key in list(self.desk.orders) for told in self._told(self.desk.refuse_overdue(key))]

    def _told(self, effects: Iterable[Effect]) -> list[str]:
        told: list[str] = []
        for effect in effects:
            match effect:
                case Emit(output, ref):
                    event = as_event(output)
                    self.emitted.append(Said(event, ref))
                    told.append(in_short(event))
                case Bury(ref, _, path):
                    self.buried.append(effect)
                    told.append(f"dead {self.events[ref].type.removesuffix('.v1')} {path}")
                case Count(outcome):
                    told.append(outcome)
                case Note():
                    self.notes.append(effect)
        return told


WAIT = 25.0
"""Hours."""
TAKEN = "units_already_claimed@$.lines[0].quantity"
HOLD_1 = ["contact o-1", "admitted c-1 1:1"]

SCENARIOS: dict[str, tuple[list[Any], list[str]]] = {
    # --- orders
    "an order is not passed on, its contact is": ([order()], ["contact o-1"]),
    "same order under a new event": ([order(), order()], ["contact o-1", "duplicate"]),
    "other data under the order's id": ([order(), order(quantity=1)], ["contact o-1", "dead order.placed $"]),
    "an order in another currency than the policy's": (
        [order(merchant=HAKAGO, currency="USD"), order(merchant="no-policy", currency="USD")],
        ["dead order.placed $.currency", "contact o-1"],
    ),
    "delivery: the first stands": (
        [order(), delivered(), delivered(), delivered(received_at="2026-11-04T11:00:00Z")],
        ["contact o-1", "order.delivered o-1", "duplicate", "dead order.delivered $.received_at"],
    ),
    "delivery: the same instant in another offset is the same": (
        [order(), delivered(), delivered(received_at="2026-11-04T06:30:00Z")],
        ["contact o-1", "order.delivered o-1", "duplicate"],
    ),
    "delivery before its order": ([delivered(), order()], ["contact o-1", "order.delivered o-1"]),
    "delivery twice before its order, with two times": (
        [delivered(), delivered(received_at="2026-11-05T11:00:00Z"), order()],
        ["dead order.delivered $.received_at", "contact o-1", "order.delivered o-1"],
    ),
    "cancellation of an order changes no claim": (
        [order(), claim(), order_cancelled(), claim("c-2")],
        [*HOLD_1, "order.cancelled o-1", "admitted c-2 1:2"],
    ),
    "cancellation before its order": (
        [order_cancelled(), order(), order_cancelled()],
        ["contact o-1", "order.cancelled o-1", "duplicate"],
    ),
    # --- refusals
    "every error that holds": (
        [order(), claim(), claim("c-1", lines={"9": 1, "1": 3, "2": 2})],
        [
            *HOLD_1,
            "refused c-1 duplicate_claim_id@$.claim_id unknown_line@$.lines[0].line_id "
            "quantity_exceeds_purchase@$.lines[1].quantity quantity_exceeds_purchase@$.lines[2].quantity",
        ],
    ),
    "more than was bought, and some of it in another claim": (
        [order(), claim(), claim("c-2", lines={"1": 3})],
        [
            *HOLD_1,
            f"refused c-2 quantity_exceeds_purchase@$.lines[0].quantity {TAKEN}",
        ],
    ),
    "units in another open claim": (
        [order(), claim("c-1", lines={"1": 2}), claim("c-2"), claim("c-3", lines={"2": 1})],
        [
            "contact o-1",
            "admitted c-1 1:1,2",
            f"refused c-2 {TAKEN}",
            "admitted c-3 2:1",
        ],
    ),
    "a refused claim takes no unit, and its id may be used again": (
        [order(), claim("c-1", lines={"1": 1, "9": 1}), claim("c-1", lines={"1": 2})],
        ["contact o-1", "refused c-1 unknown_line@$.lines[1].line_id", "admitted c-1 1:1,2"],
    ),
    "a claim id is unique within a merchant, over all its orders": (
        [
            order(),
            order("o-2"),
            claim(),
            claim("c-1", "o-2"),
            order("o-3", HAKAGO),
            claim("c-1", "o-3", merchant=HAKAGO),
        ],
        [
            "contact o-1",
            "contact o-2",
            "admitted c-1 1:1",
            "refused c-1 duplicate_claim_id@$.claim_id",
            "contact o-3",
            "admitted c-1 1:1",
        ],
    ),
    "a line named twice is summed": (
        [order(), claim(lines=[{"line_id": "1", "quantity": 1}, {"line_id": "1", "quantity": 1}])],
        ["contact o-1", "admitted c-1 1:1,2"],
    ),
    "an unknown merchant's claim is admitted": (
        [order(merchant="new-shop"), claim(merchant="new-shop")],
        HOLD_1,
    ),
    # --- units and decisions
    "a rejected claim frees its units": (
        [order(quantity=1), claim(), decided(outcome="rejected"), claim("c-2")],
        [*HOLD_1, "admitted c-2 1:1"],
    ),
    "a cancelled claim frees its units, once its closing is read": (
        [order(quantity=1), claim(), cancelled(), claim("c-2"), decided(outcome="cancelled"), claim("c-3")],
        [*HOLD_1, "claim.cancelled c-1", f"refused c-2 {TAKEN}", "admitted c-3 1:1"],
    ),
    "a replaced unit may be claimed again": (
        [order(quantity=1), claim(), decided(outcome="replacement", verdicts={"1": ("eligible", 1)}), claim("c-2")],
        [*HOLD_1, "admitted c-2 1:1"],
    ),
    "a refunded unit stays taken": (
        [order(quantity=1), claim(), decided(outcome="refund", verdicts={"1": ("eligible", 1)}), claim("c-2")],
        [*HOLD_1, f"refused c-2 {TAKEN}"],
    ),
    "a refund takes the eligible lines alone": (
        [
            order(),
            claim(lines={"1": 2, "2": 1}),
            decided(outcome="refund", verdicts={"1": ("eligible", 2), "2": ("rejected", 1)}),
            claim("c-2", lines={"2": 1}),
            claim("c-3"),
        ],
        [
            "contact o-1",
            "admitted c-1 1:1,2 2:1",
            "admitted c-2 2:1",
            f"refused c-3 {TAKEN}",
        ],
    ),
    "an appeal takes the units again": (
        [
            order(quantity=1),
            claim(),
            decided(outcome="rejected"),
            decided(outcome="refund", no=2, verdicts={"1": ("eligible", 1)}),
            claim("c-2"),
        ],
        [*HOLD_1, f"refused c-2 {TAKEN}"],
    ),
    "an older decision that comes again changes nothing": (
        [order(quantity=1), claim(), decided(outcome="refund", no=2), decided(outcome="rejected", no=1), claim("c-2")],
        [*HOLD_1, "duplicate", f"refused c-2 {TAKEN}"],
    ),
    "the same decision again changes nothing": (
        [order(quantity=1), claim(), decided(outcome="refund"), decided(outcome="rejected"), claim("c-2")],
        [*HOLD_1, "duplicate", f"refused c-2 {TAKEN}"],
    ),
    "the id of a closed claim stays taken": (
        [order(), claim(), decided(outcome="rejected"), claim()],
        [*HOLD_1, "refused c-1 duplicate_claim_id@$.claim_id"],
    ),
    "the same claim again holds no unit against itself, unless refunded": (
        [order(quantity=1), claim(), claim(), decided(outcome="refund", verdicts={"1": ("eligible", 1)}), claim()],
        [
            *HOLD_1,
            "refused c-1 duplicate_claim_id@$.claim_id",
            f"refused c-1 duplicate_claim_id@$.claim_id {TAKEN}",
        ],
    ),
    "the lowest free units are taken, also in the middle": (
        [
            order(quantity=4),
            claim("c-1"),
            claim("c-2", lines={"1": 2}),
            claim("c-3"),
            decided("c-2"),
            claim("c-4", lines={"1": 2}),
        ],
        ["contact o-1", "admitted c-1 1:1", "admitted c-2 1:2,3", "admitted c-3 1:4", "admitted c-4 1:2,3"],
    ),
    "a decision about a claim nobody admitted": (
        [order(), decided("c-9")],
        ["contact o-1", "dead claim.decided $.claim_id"],
    ),
    # --- parking
    "parked claims are taken up when the order comes, the first first": (
        [claim("c-1", lines={"1": 2}), claim("c-2"), order()],
        [
            "parked c-1",
            "parked c-2",
            "contact o-1",
            "admitted c-1 1:1,2",
            f"refused c-2 {TAKEN}",
        ],
    ),
    "a parked claim is refused after a day": (
        [claim(), WAIT, order(), claim()],
        ["parked c-1", "refused c-1 unknown_order@$.order_id", *HOLD_1],
    ),
    "a claim that came later is parked longer": (
        [claim(), 23.0, claim("c-2"), 2.0, order()],
        ["parked c-1", "parked c-2", "refused c-1 unknown_order@$.order_id", "contact o-1", "admitted c-2 1:1"],
    ),
    "two parked claims with one id": (
        [claim(), claim(), order()],
        ["parked c-1", "parked c-1", *HOLD_1, "refused c-1 duplicate_claim_id@$.claim_id"],
    ),
    "a claim id taken by an admitted claim need not be parked": (
        [order(), claim(), claim("c-1", "o-9")],
        [*HOLD_1, "refused c-1 duplicate_claim_id@$.claim_id"],
    ),
    "every error that holds, for a parked claim too": (
        [claim("c-1", "o-9"), order(), claim(), WAIT],
        ["parked c-1", *HOLD_1, "refused c-1 unknown_order@$.order_id duplicate_claim_id@$.claim_id"],
    ),
    "a claim parked for an order that is refused goes on waiting": (
        [claim(), order(currency="USD"), order()],
        ["parked c-1", "dead order.placed $.currency", *HOLD_1],
    ),
    # --- before its claim
    "what comes before its claim follows it, in the order of arrival": (
        [order(), answer(), returned(), shipped(), review(), cancelled(), claim()],
        [
            "contact o-1",
            *["kept"] * 5,
            "admitted c-1 1:1",
            "seller.answered c-1",
            "return.received c-1",
            "return.shipped c-1",
            "claim.reviewed c-1",
            "claim.cancelled c-1",
        ],
    ),
    "what comes before claim and order": (
        [answer(), claim(), cancelled(), order()],
        ["kept", "parked c-1", "kept", *HOLD_1, "seller.answered c-1", "claim.cancelled c-1"],
    ),
    "what is kept outlives the claim that was refused": (
        [order(), answer(), claim(lines={"9": 1}), claim()],
        [
            "contact o-1",
            "kept",
            "refused c-1 unknown_line@$.lines[0].line_id",
            "admitted c-1 1:1",
            "seller.answered c-1",
        ],
    ),
    "what is kept outlives the claim that was parked in vain": (
        [claim(), answer(), WAIT, claim(), order()],
        ["parked c-1", "kept", "refused c-1 unknown_order@$.order_id", "parked c-1", *HOLD_1, "seller.answered c-1"],
    ),
    "a settlement waits for nothing": ([settled()], ["refund.settled c-1"]),
    # --- order and claim do not belong together
    "an event with another order than its claim's": (
        [order(), claim(), answer(order_id="o-2"), cancelled(order_id="o-2"), settled(order_id="o-2")],
        [
            *HOLD_1,
            "dead seller.answered $.order_id",
            "dead claim.cancelled $.order_id",
            "dead refund.settled $.order_id",
        ],
    ),
    "the same, told before the claim": (
        [answer(order_id="o-2"), order(), claim(), returned()],
        ["kept", *HOLD_1, "dead seller.answered $.order_id", "return.received c-1"],
    ),
    "the same, told before the claim and released by the order": (
        [shipped(order_id="o-2"), claim(), shipped(), order()],
        ["kept", "parked c-1", "kept", *HOLD_1, "dead return.shipped $.order_id", "return.shipped c-1"],
    ),
    # --- money
    "a partial answer in the order's or its exchange currency": (
        [
            order(exchange={"currency": "USD", "rate": "25400"}),
            claim(),
            *[
                answer(answer_id=f"a-{code}", answer="refund_partial", amount={"amount": "5", "currency": code})
                for code in ("IRR", "USD", "EUR")
            ],
        ],
        [*HOLD_1, "seller.answered c-1", "seller.answered c-1", "dead seller.answered $.amount.currency"],
    ),
    "a partial answer in another currency, told before the claim": (
        [order(), answer(answer="refund_partial", amount={"amount": "5", "currency": "USD"}), claim()],
        ["contact o-1", "dead seller.answered $.amount.currency", "admitted c-1 1:1"],
    ),
    "a partial answer in another currency, told before the order": (
        [answer(answer="refund_partial", amount={"amount": "5", "currency": "USD"}), order(), claim()],
        ["kept", "contact o-1", "dead seller.answered $.amount.currency", "admitted c-1 1:1"],
    ),
    "a staff amount in the order's currency alone": (
        [
            order(exchange={"currency": "USD", "rate": "25400"}),
            claim(),
            review(verdict="refund", amount={"amount": "5", "currency": "USD"}),
            review(verdict="refund", amount={"amount": "5", "currency": "IRR"}),
        ],
        [*HOLD_1, "dead claim.reviewed $.amount.currency", "claim.reviewed c-1"],
    ),
    "return postage has no more decimals than the order's currency": (
        [
            order(),
            claim(),
            returned(postage={"amount": "5.5", "paid_by": "customer"}),
            returned(postage={"amount": "5", "paid_by": "customer"}),
        ],
        [*HOLD_1, "dead return.received $.postage.amount", "return.received c-1"],
    ),
    # --- answers, returns and reviews that came before under another event
    "the same answer, return, review again": (
        [order(), claim(), answer(), returned(), review(), answer(), returned(), review()],
        [*HOLD_1, "seller.answered c-1", "return.received c-1", "claim.reviewed c-1", *["duplicate"] * 3],
    ),
    "another answer, return, review under the same id": (
        [
            order(),
            claim(),
            answer(),
            returned(),
            review(),
            answer(answer="refuse"),
            returned(fault="seller"),
            review(reason="looked again"),
        ],
        [
            *HOLD_1,
            "seller.answered c-1",
            "return.received c-1",
            "claim.reviewed c-1",
            "dead seller.answered $.answer_id",
            "dead return.received $.return_id",
            "dead claim.reviewed $.review_id",
        ],
    ),
    "one id for an answer, a return and a review, and with two merchants": (
        [
            order(),
            claim(),
            answer(answer_id="x"),
            returned(return_id="x"),
            review(review_id="x"),
            answer("c-2", "o-2", "x", merchant=HAKAGO),
        ],
        [*HOLD_1, "seller.answered c-1", "return.received c-1", "claim.reviewed c-1", "kept"],
    ),
    "the same answer again while the first is kept": (
        [answer(), answer(), answer(answer="refuse"), order(), claim()],
        ["kept", "duplicate", "dead seller.answered $.answer_id", *HOLD_1, "seller.answered c-1"],
    ),
    "an answer id whose first answer was a dead letter is free": (
        [
            order(),
            claim(),
            answer(answer="refund_partial", amount={"amount": "5", "currency": "EUR"}),
            answer(answer="refund_partial", amount={"amount": "5", "currency": "IRR"}),
        ],
        [*HOLD_1, "dead seller.answered $.amount.currency", "seller.answered c-1"],
    ),
    "an answer id whose first answer was kept and then a dead letter is free": (
        [answer(order_id="o-2"), order(), claim(), answer()],
        ["kept", *HOLD_1, "dead seller.answered $.order_id", "seller.answered c-1"],
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    steps, expected = SCENARIOS[name]
    door = Door()
    told: list[str] = []
    for step in steps:
        told += door.wait(step) if isinstance(step, float) else door.send(step)
    assert told == expected


def test_the_same_event_again_has_no_effect_and_other_data_is_a_conflict() -> None:
    door = Door()
    assert door.send(order(), id="1") == ["contact o-1"]
    assert door.send(order(), id="1") == ["duplicate"]
    assert door.send(claim(), id="1") == ["dead claim.submitted $"]
    assert "event 1 of /shop came before with other data" in door.buried[-1].reason
    assert door.send(claim(), id="2") == ["admitted c-1 1:1"]
    assert door.send(claim(), id="2") == ["duplicate"]


def test_an_event_that_repeats_an_answer_is_known_from_then_on() -> None:
    door = Door()
    for sample in (order(), claim(), answer()):
        door.send(sample)
    assert door.send(answer(), id="again") == ["duplicate"]
    assert door.send(answer(answer_id="a-2"), id="again") == ["dead seller.answered $"]


def test_a_dead_letter_can_be_sent_again_under_its_id() -> None:
    door = Door()
    assert door.send(order(currency="USD"), id="1") == ["dead order.placed $.currency"]
    assert door.send(order(), id="1") == ["contact o-1"]
    assert door.send(answer("c-1", "o-2"), id="2") == ["kept"]
    assert door.send(claim()) == ["admitted c-1 1:1", "dead seller.answered $.order_id"]
    assert door.send(answer(), id="2") == ["seller.answered c-1"]


def test_what_is_admitted_carries_the_order_without_contact_data() -> None:
    door = Door()
    for sample in (order(), claim(lines={"1": 1, "2": 1})):
        door.send(sample)
    contact, before = (emit.event for emit in door.emitted)
    assert isinstance(contact, CustomerContact)
    assert (contact.name, contact.email, contact.phone) == ("Sara", "sara@example.org", "+98")
    assert isinstance(before, ClaimAdmitted)
    assert before.admitted_at == NOW
    assert before.order.received_at is None
    assert before.order.customer.model_dump() == {"customer_id": "k-1", "locale": "fa"}
    assert "example.org" not in before.model_dump_json()
    assert "example.org" not in write(door.desk.orders["gejet-mall", "o-1"])
    door.send(delivered())
    door.send(decided())
    door.send(claim("c-2"))
    after = door.emitted[-1].event
    assert isinstance(after, ClaimAdmitted)
    assert after.order.received_at == datetime.fromisoformat("2026-11-04T10:00:00+03:30")


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"merchant": "\xff"}', b"{}"])
def test_a_decision_that_cannot_be_read_is_told_so(value: bytes) -> None:
    with pytest.raises(BadEvent):
        read_decided(value)


def test_a_parked_claim_says_until_when() -> None:
    door = Door()
    door.send(claim())
    parked = door.emitted[0].event
    assert isinstance(parked, ClaimParked)
    assert (parked.waiting_for, parked.until) == ("order", NOW + PARKING)
    assert door.wait(23.99) == []
    assert door.wait(0.01) == ["refused c-1 unknown_order@$.order_id"]
    assert door.desk.orders["gejet-mall", "o-1"].parked == 0


def test_what_waited_keeps_its_own_number() -> None:
    """A released claim and what follows it come from their own records, not from the order that released them."""
    door = Door()
    for sample in (claim(), answer(), order()):
        door.send(sample)
    assert [emit.ref for emit in door.emitted] == [0, 2, 0, 1]


def test_a_bug_on_one_event_leaves_its_neighbours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door()
    door.send(order())
    whole = domain._reserve

    def broken(state: OrderState, submitted: Any, placed: Any) -> Any:
        if submitted.claim_id == "c-1":
            raise KeyError("broken")
        return whole(state, submitted, placed)

    monkeypatch.setattr(domain, "_reserve", broken)
    assert door.send(claim(), id="1") == ["dead claim.submitted $"]
    assert "KeyError" in door.buried[0].reason
    assert door.send(claim("c-2")) == ["admitted c-2 1:1"]
    monkeypatch.undo()
    assert door.send(claim(), id="1") == ["admitted c-1 1:2"]


@pytest.mark.parametrize(
    ("limit", "steps", "last"),
    [
        (
            "MOST_UNITS",
            [order(quantity=3), claim("c-1", lines={"1": 2}), claim("c-2", lines={"1": 3})],
            "dead claim.submitted $.lines",
        ),
        ("MOST_PARKED", [claim("c-1"), claim("c-2"), claim("c-3")], "dead claim.submitted $.order_id"),
        ("MOST_KEPT", [shipped(), cancelled(), answer()], "dead seller.answered $.claim_id"),
        (
            "MOST_CLAIMS",
            [order(quantity=3), claim("c-1"), claim("c-2"), claim("c-3")],
            "dead claim.submitted $.order_id",
        ),
    ],
)
def test_limits(limit: str, steps: list[Sample], last: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, limit, 2)
    door = Door()
    told = [each for step in steps for each in door.send(step)]
    assert told[-1] == last
    assert sum(each.startswith("dead") for each in told) == 1


def test_state_is_read_as_it_was_written() -> None:
    door = Door()
    for sample in (
        order(),
        delivered(),
        claim(),
        claim("c-2"),
        decided(outcome="refund", verdicts={"1": ("eligible", 1)}),
    ):
        door.send(sample)
    state = door.desk.orders["gejet-mall", "o-1"]
    assert read(write(state)) == state
    assert write(OrderState()) == "{}"


def test_a_dead_letter_says_what_is_wrong() -> None:
    door = Door()
    for sample in (order(), claim(), answer(order_id="o-2"), order(quantity=1), order(merchant=HAKAGO, currency="USD")):
        door.send(sample)
    assert [bury.reason for bury in door.buried] == [
        "claim c-1 is about order o-1, not about o-2",
        "order o-1 was placed before with other data; the first stands",
        "the order is in USD, and hakago's policy is in VND",
    ]


def test_the_history_of_a_claim_that_had_to_wait() -> None:
    door = Door()
    for sample in (answer(), claim()):
        door.send(sample)
    door.wait(WAIT)
    notes = [f"{note.claim_id} {note.what}" for note in door.notes]
    assert notes == [
        "c-1 seller.answered.v1 kept: the claim is not admitted yet",
        "c-1 parked: order o-1 is not known yet",
        "c-1 refused: unknown_order",
    ]


def test_keys_of_the_inbox_tell_apart_whose_ids_they_are_and_keep_the_order_of_ids() -> None:
    def key(source: str, id: str) -> bytes:
        return event_mark(source, id, "order.placed.v1", b"").key

    ids = [f"{n:04}" for n in range(20)]
    assert sorted(ids, key=lambda id: key("/shop", id)) == ids
    long = "x" * 200
    named = [("/shop", "1"), ("/shop2", "1"), ("/shop", "2"), ("/shop", long), ("/shop", long + "y"), ("/shop2", long)]
    assert len({key(*one) for one in named}) == len(named)
    assert max(len(key(*one)) for one in named) <= 60
