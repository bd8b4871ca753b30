"""Whatever the order in which events arrive, and however often: the same is admitted, and no unit is held twice."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.intake import units
from shared.events import ClaimAdmitted, ClaimSubmitted
from tests.intake_samples import (
    Sample,
    answer,
    cancelled,
    claim,
    decided,
    delivered,
    order,
    order_cancelled,
    returned,
    review,
    shipped,
)
from tests.unit.test_intake_admit import Door

ORDERS = {"o-1": {"1": 3, "2": 1}, "o-2": {"1": 2, "2": 1}}
PLACED = [order("o-1", quantity=3), order("o-2", quantity=2)]
ABOUT_ORDERS = [delivered("o-1"), order_cancelled("o-2")]
MODEST = [claim("c-1", "o-1", {"1": 2}), claim("c-2", "o-1", {"1": 1, "2": 1}), claim("c-3", "o-2", {"1": 2})]
"""Claims that do not compete."""
GREEDY = [
    claim("c-1", "o-1", {"1": 2}),
    claim("c-2", "o-1", {"1": 2}),
    claim("c-3", "o-1"),
    claim("c-4", "o-2", {"2": 2}),
]
"""Claims of which the first comes, the first is served."""
ABOUT_CLAIMS = [
    answer("c-1", "o-1", "a-1"),
    answer("c-3", "o-2", "a-2"),
    returned("c-1", "o-1", "r-1"),
    shipped("c-2", "o-1"),
    review("c-2", "o-1", "v-1"),
    cancelled("c-3", "o-2"),
]

Sent = tuple[str, Sample]


def as_sent(samples: list[Sample]) -> list[Sent]:
    """Each under an id of its own, so that a copy is the same event."""
    return [(f"{sample.type}-{number}", sample) for number, sample in enumerate(samples)]


@st.composite
def shuffled_with_copies(draw: st.DrawFn, sent: list[Sent]) -> list[Sent]:
    copies = draw(st.lists(st.sampled_from(sent), max_size=6))
    return list(draw(st.permutations(sent + copies)))


def holds_no_unit_twice(door: Door) -> None:
    for (_, order_id), state in door.desk.orders.items():
        for line, size in ORDERS[order_id].items():
            held = Counter(
                unit for holding in state.holdings.values() for unit in units.numbers(holding.held.get(line, ()))
            )
            assert all(times == 1 and 1 <= unit <= size for unit, times in held.items())


@given(shuffled_with_copies(as_sent(PLACED + ABOUT_ORDERS + MODEST + ABOUT_CLAIMS)))
def test_any_order_of_arrival_admits_the_same(sent: list[Sent]) -> None:
    door = Door()
    told = [each for id, sample in sent for each in door.send(sample, id)]
    holds_no_unit_twice(door)
    counted = Counter(each.partition(" ")[0] for each in told)
    assert not door.buried
    assert not door.desk.waiting
    assert counted["admitted"] == 3
    assert counted["refused"] == 0
    passed = Counter(
        each for each in told if each.partition(" ")[0] not in ("admitted", "kept", "duplicate", "parked", "contact")
    )
    assert passed == Counter(
        {
            "order.delivered o-1": 1,
            "order.cancelled o-2": 1,
            "seller.answered c-1": 1,
            "seller.answered c-3": 1,
            "return.received c-1": 1,
            "return.shipped c-2": 1,
            "claim.reviewed c-2": 1,
            "claim.cancelled c-3": 1,
        }
    )
    admitted: set[str] = set()
    for emit in door.emitted:
        if isinstance(emit.event, ClaimAdmitted):
            admitted.add(emit.event.claim_id)
        elif emit.event.type.startswith(("claim.cancelled", "claim.reviewed", "seller", "return")):
            assert getattr(emit.event, "claim_id", "") in admitted


@given(st.permutations(range(len(GREEDY) + 2)), st.lists(st.integers(0, 5), max_size=5))
def test_the_first_claim_is_served_first_wherever_its_order_comes(places: list[int], copies: list[int]) -> None:
    """The claims come in one order, the orders anywhere among them: the same units for the same claims."""
    claims = as_sent(GREEDY)
    order_places = {places[0]: PLACED[0], places[1]: PLACED[1]}
    sent = [
        (f"order-{place}", order_places[place]) if place in order_places else claims.pop(0)
        for place in range(len(GREEDY) + 2)
    ]
    for copy in copies:
        sent.append(sent[copy])
    door = Door()
    told = [each for id, sample in sent for each in door.send(sample, id)]
    assert sorted(each for each in told if each.startswith(("admitted", "refused"))) == [
        "admitted c-1 1:1,2",
        "admitted c-3 1:3",
        "refused c-2 units_already_claimed@$.lines[0].quantity",
        "refused c-4 quantity_exceeds_purchase@$.lines[0].quantity",
    ]
    holds_no_unit_twice(door)


@st.composite
def claims_and_decisions(draw: st.DrawFn) -> list[Sample]:
    """Claims of any size under few ids, and decisions as they are made: none takes back what was freed."""
    events: list[Sample] = []
    outcomes: dict[str, str] = {}
    verdicts: dict[str, dict[str, tuple[str, int]]] = {}
    numbers: Counter[str] = Counter()
    for _ in range(draw(st.integers(1, 25))):
        order_id = draw(st.sampled_from(["o-1", "o-2"]))
        claim_id = f"{order_id}-{draw(st.integers(1, 5))}"
        if draw(st.booleans()):
            lines = draw(st.dictionaries(st.sampled_from(["1", "2", "9"]), st.integers(1, 4), min_size=1))
            events.append(claim(claim_id, order_id, lines))
            continue
        outcome = draw(st.sampled_from(["rejected", "cancelled", "replacement", "refund"]))
        if outcome == "refund" and outcomes.setdefault(claim_id, outcome) != "refund":
            continue
        outcomes[claim_id] = outcome
        numbers[claim_id] += 1
        if claim_id not in verdicts:
            verdict = st.tuples(st.sampled_from(["eligible", "rejected"]), st.integers(1, 4))
            verdicts[claim_id] = draw(st.dictionaries(st.sampled_from(["1", "2"]), verdict))
        events.append(decided(claim_id, order_id, outcome, numbers[claim_id], verdicts[claim_id]))
    return events


@given(claims_and_decisions(), st.integers(0, 25))
def test_no_unit_is_held_twice(events: list[Sample], placed_at: int) -> None:
    door = Door()
    for sample in [*events[:placed_at], *PLACED, *events[placed_at:]]:
        door.send(sample)
        holds_no_unit_twice(door)
    for emit in door.emitted:
        if isinstance(emit.event, ClaimAdmitted):
            wanted = {line.line_id: line.quantity for line in emit.event.claim.lines}
            assert {line: len(each) for line, each in emit.event.units.items()} == wanted
    waiting = [letter.arrival.event for letter in door.desk.waiting.values()]
    assert not any(isinstance(event, ClaimSubmitted) for event in waiting)


def test_a_copy_with_other_data_never_wins() -> None:
    """The first stands, in whatever state it is."""
    door = Door()
    sent = as_sent([claim("c-1", "o-1", {"1": 2}), answer("c-1", "o-1")])
    for id, sample in sent:
        door.send(sample, id)
        other = replace(sample, data=sample.data | {"note": "another one"})
        assert door.send(other, id) == [f"dead {sample.type.removesuffix('.v1')} $"]
    assert door.send(PLACED[0]) == ["contact o-1", "admitted c-1 1:1,2", "seller.answered c-1"]
