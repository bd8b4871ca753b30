"""Whatever the order in which independent facts arrive, the claim stands in the same place at the end."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import ClaimAssessed
from tests.unit.eligibility_stage import GOOD, NOW, RECEIVED, Stage

Fact = Callable[[Stage], object]

SCENES: dict[str, tuple[Callable[[], Stage], Sequence[Fact]]] = {
    "a fault, delivered and back in two parcels": (
        lambda: Stage(facts=GOOD, received_at=None, lines=[{"quantity": 2}, {}]),
        (
            lambda stage: stage.admit(),
            lambda stage: stage.deliver(),
            lambda stage: stage.give_back({"1": 1}, name="r-1", fault_confirmed=True),
            lambda stage: stage.give_back({"1": 1, "2": 1}, name="r-2", fault_confirmed=True, misuse=False),
            lambda stage: stage.answer("refuse", hour=1, name="nobody asked"),
        ),
    ),
    "a withdrawal of a sealed good": (
        lambda: Stage("withdrawal", facts=GOOD, received_at=None, lines=[{"category": "digital", "sealed": True}]),
        (
            lambda stage: stage.admit(),
            lambda stage: stage.deliver(),
            lambda stage: stage.give_back(seal="none"),
        ),
    ),
    "a mismatch between the windows": (
        lambda: Stage("not_as_described", facts=GOOD, received_at=None, reported_at=RECEIVED.replace(day=6, hour=16)),
        (
            lambda stage: stage.admit(),
            lambda stage: stage.deliver(),
            lambda stage: stage.give_back(fault_confirmed=True),
        ),
    ),
    "a wrong item that goes back": (
        lambda: Stage("wrong_item", "hakago", received_at=None, lines=[{"quantity": 2}]),
        (
            lambda stage: stage.admit(),
            lambda stage: stage.answer("require_return", hour=1, name="a-1"),
            lambda stage: stage.give_back({"1": 1}, name="r-1", fault="transport", postage=("1000", "customer")),
            lambda stage: stage.give_back({"1": 1}, name="r-2", fault="seller", postage=("2000", "customer")),
            lambda stage: stage.deliver(),
        ),
    ),
    "a cancelled one": (
        lambda: Stage("withdrawal", facts=GOOD, received_at=None),
        (
            lambda stage: stage.admit(),
            lambda stage: stage.cancel(),
            lambda stage: stage.decide("cancelled", revision=99),
            lambda stage: stage.answer("refund_full", hour=1),
        ),
    ),
}


def end(stage: Stage) -> ClaimAssessed | None:
    """What was said last, without the counter."""
    if not stage.said:
        return None
    last = stage.last
    assert last.basis is not None
    return last.model_copy(update={"basis": last.basis.model_copy(update={"revision": 0})})


@cache
def told_in_order(scene: str) -> ClaimAssessed | None:
    return end(played(scene, range(len(SCENES[scene][1]))))


def played(scene: str, order: Iterable[int]) -> Stage:
    make, facts = SCENES[scene]
    stage = make()
    for index in order:
        facts[index](stage)
    return stage


@st.composite
def repeated(draw: st.DrawFn, scene: str) -> list[int]:
    """All facts of a scene in any order, some of them more than once."""
    places = range(len(SCENES[scene][1]))
    return draw(st.permutations([*places, *draw(st.lists(st.sampled_from(places), max_size=4))]))


@pytest.mark.parametrize("scene", [name for name in SCENES if name != "a cancelled one"])
@given(data=st.data())
def test_the_end_does_not_depend_on_the_order(scene: str, data: st.DataObject) -> None:
    first = told_in_order(scene)
    assert first is not None
    assert end(played(scene, data.draw(repeated(scene)))) == first


@given(order=repeated("a cancelled one"))
def test_a_cancelled_claim_says_nothing_more(order: list[int]) -> None:
    stage = played("a cancelled one", order)
    before = len(stage.said)
    stage.give_back()
    stage.deliver()
    assert len(stage.said) == before


@given(
    steps=st.lists(
        st.sampled_from(
            ["admit", "deliver", "refund_full", "refund_partial", "resend", "require_return", "refuse", "back", "half",
             "review", "refuse_review", "cancel", "decide", "staff", "refer", "failed", "wait"]
        ),
        max_size=14,
    ),
    merchant=st.sampled_from(["gejet-mall", "hakago", "nobody"]),
    reason=st.sampled_from(["technical_fault", "withdrawal", "wrong_item", "missing_part", "late", "physical_damage"]),
)  # fmt: skip
def test_whatever_comes_what_is_said_is_in_order_and_never_repeats(
    steps: list[str], merchant: str, reason: str
) -> None:
    stage = Stage(reason, merchant, facts=GOOD, received_at=None, lines=[{"quantity": 2}])
    for number, step in enumerate(steps):
        play(stage, step, number)
    revisions = [said.basis.revision for said in stage.said if said.basis]
    assert revisions == list(range(1, len(revisions) + 1))
    for said in stage.said:
        verdicts = {line.verdict for line in said.lines}
        if said.status == "awaiting":
            assert said.awaiting is not None
            assert said.remedy is None
        else:
            assert said.awaiting is None
            assert "undecided" not in verdicts
            assert (said.status == "eligible") == ("eligible" in verdicts) == (said.remedy is not None)
        assert (said.due is not None) == (said.awaiting in ("seller", "return"))
        assert all(line.reasons for line in said.lines)
        assert (said.policy is None) == (merchant == "nobody")
        if said.basis and said.basis.answer:
            assert said.policy is not None
            assert said.policy.id == "hakago"
    for one, other in zip(stage.said, stage.said[1:], strict=False):
        same = one.model_copy(update={"basis": None}) == other.model_copy(update={"basis": None})
        assert not same or one.basis != other.basis


def play(stage: Stage, step: str, number: int) -> None:
    simple: dict[str, Callable[[], object]] = {
        "admit": stage.admit,
        "deliver": stage.deliver,
        "back": lambda: stage.give_back(name=f"r-{number}", fault_confirmed=True),
        "half": lambda: stage.give_back({"1": 1}, name=f"r-{number}", fault="transport", postage=("10", "customer")),
        "review": lambda: stage.review(f"v-{number}"),
        "refuse_review": lambda: stage.refuse_review(f"v-{number - 1}"),
        "cancel": stage.cancel,
        "decide": lambda: stage.decide("refund", no=number + 1) if stage.state.revision else None,
        "staff": lambda: stage.decide("refund", by="staff:mina", no=number + 1),
        "refer": lambda: stage.refer("superseded-lower") if stage.state.revision else None,
        "failed": lambda: stage.settle("failed"),
        "wait": lambda: stage.wait((NOW - RECEIVED) / 2),
    }
    if step in simple:
        simple[step]()
    else:
        stage.answer(step, amount="5" if step == "refund_partial" else None)
