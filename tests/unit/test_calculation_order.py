"""An order's events in any order: before their claim, twice, or unfit; and what a refund id is made of."""

import pytest

from services.refund_calculation.deciding import draw, refund_id
from services.refund_calculation.domain import MOST_EARLY
from services.refund_calculation.problem import Unacceptable
from services.refund_calculation.state import Draw
from shared.events import ClaimAdmitted, ClaimAssessed, OrderDelivered
from tests.unit.calculation_stage import START, Line, Stage, breakdown


def test_an_assessment_before_its_admission_is_kept_and_applied() -> None:
    stage = Stage()
    admission = stage.admission("a", "technical_fault", {1: [1]})
    assert stage.assess() == []
    assert [event.type for event in stage.take(admission)] == ["claim.decided.v1", "refund.instructed.v1"]
    assert not stage.order.early


def test_all_that_came_before_the_admission_is_applied_in_its_order() -> None:
    stage = Stage()
    admission = stage.admission("a", "technical_fault", {1: [1]})
    stage.review(amount=1_000_000)
    stage.cancel()
    stage.review(amount=2_000_000)
    stage.take(admission)
    assert stage.notes[3:] == [
        "refund decided by staff:sara: 1000000 IRR",
        "cancelled after it was closed: without effect",
        "refund decided by staff:sara: 1000000 IRR",
    ]
    assert [breakdown(one) for one in stage.decided()] == [{"compensation": 1_000_000}, {"compensation": 1_000_000}]


def test_one_that_cannot_be_taken_does_not_keep_the_others_from_it() -> None:
    stage = Stage(merchant="hakago")
    admission = stage.admission("a", "wrong_item", {1: [1]})
    stage.partial("12", currency="USD")
    stage.full("an-2")
    stage.take(admission)
    assert any("refused" in note and "USD" in note for note in stage.notes)
    assert len(stage.decided()) == 1


def test_no_more_is_kept_than_is_reasonable() -> None:
    stage = Stage()
    for number in range(MOST_EARLY):
        stage.review(amount=1, review_id=f"rv-{number}")
    with pytest.raises(Unacceptable, match="never admitted"):
        stage.review(amount=1, review_id="rv-more")


def test_an_admission_twice_is_one_claim() -> None:
    stage = Stage()
    admission = stage.admission("a", "technical_fault", {1: [1]})
    stage.take(admission)
    stage.assess()
    assert stage.take(admission) == []
    assert len(stage.order.claims["a"].decisions) == 1


def test_an_assessment_twice_is_decided_once() -> None:
    stage = Stage()
    stage.admit()
    stage.assess()
    assert stage.assess(revision=1) == []
    assert stage.notes[-1] == "assessment 1 came again"


def test_another_assessment_of_a_decided_claim_has_no_effect() -> None:
    stage = Stage()
    stage.admit()
    stage.assess()
    assert stage.assess() == []
    assert stage.assess(status="rejected", remedy=None) == []
    assert stage.notes[-1] == "assessment 3 without effect"


def test_an_older_assessment_has_no_effect() -> None:
    stage = Stage()
    stage.admit()
    stage.assess(status="awaiting", awaiting="review", remedy=None, revision=3)
    assert stage.assess(revision=2) == []


def test_units_of_two_claims_are_never_refunded_twice() -> None:
    stage = Stage(lines=(Line(1_000_000, 3),))
    stage.admit("a", units={1: [1, 2]})
    stage.admit("b", units={1: [2, 3]})
    stage.assess("a")
    stage.assess("b")
    [referred] = stage.referred("b")
    assert referred.entry == "units-already-refunded"
    assert {one.reading: one.amount for one in referred.readings[-1].alternatives} == {
        "as-assessed": "2000000",
        "without-those-units": "1000000",
    }


def test_a_decision_knows_whether_it_was_instructed() -> None:
    stage = Stage(lines=(Line(1_000, 2),))
    stage.admit("a", units={1: [1]})
    stage.assess("a")
    stage.admit("b", units={1: [2]})
    stage.assess("b", remedy="replacement")
    assert [claim.decisions[0].status for claim in stage.order.claims.values()] == ["instructed", "none"]


def test_a_replaced_unit_may_be_claimed_and_refunded() -> None:
    stage = Stage()
    stage.admit("a")
    stage.assess("a", remedy="replacement")
    stage.admit("b")
    stage.assess("b")
    assert breakdown(stage.decided("b")[0]) == {"goods": 10_000_000}


@pytest.mark.parametrize(
    ("units", "says"),
    [
        ({"1": [2]}, "line 1"),
        ({"1": [0]}, "line 1"),
        ({"1": [1, 2]}, "line 1"),
        ({"1": []}, "line 1"),
        ({}, "line 1"),
    ],
)
def test_units_that_are_not_the_order_s_are_a_dead_letter(units: dict[str, list[int]], says: str) -> None:
    stage = Stage()
    admission = stage.admission("a", "technical_fault", {1: [1]}).model_copy(update={"units": units})
    with pytest.raises(Unacceptable, match=says) as problem:
        stage.take(admission)
    assert problem.value.path == "$.units"
    assert not stage.order.claims


def test_a_claimed_line_that_was_not_ordered_is_a_dead_letter() -> None:
    stage = Stage()
    with pytest.raises(Unacceptable, match="line 2"):
        stage.admit(units={2: [1]})


def test_an_order_without_a_ledger_is_a_dead_letter() -> None:
    stage = Stage(payments=(1,))
    with pytest.raises(Unacceptable, match="payments add up") as problem:
        stage.admit()
    assert problem.value.path == "$.order"


def _without(assessed: ClaimAssessed, **members: object) -> ClaimAssessed:
    return assessed.model_copy(update=members)


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"basis": None}, "$.basis"),
        ({"policy": None}, "$.policy"),
        ({"remedy": None}, "$.remedy"),
    ],
)
def test_an_eligible_assessment_without_what_money_needs_is_a_dead_letter(
    members: dict[str, object], path: str
) -> None:
    stage = Stage()
    stage.admit()
    with pytest.raises(Unacceptable) as problem:
        stage.take(_without(stage.assessment(), **members))
    assert problem.value.path == path


@pytest.mark.parametrize(("version", "digest"), [(1, "0" * 64), (99, "")])
def test_a_policy_that_is_not_loaded_here_is_never_guessed(version: int, digest: str) -> None:
    stage = Stage()
    stage.admit()
    assessed = stage.assessment()
    assert assessed.policy is not None
    policy = assessed.policy.model_copy(update={"version": version, "digest": digest or assessed.policy.digest})
    with pytest.raises(Unacceptable, match="not loaded"):
        stage.take(_without(assessed, policy=policy))


def test_a_line_that_the_claim_does_not_have_is_a_dead_letter() -> None:
    stage = Stage(lines=(Line(1_000), Line(1_000)))
    stage.admit("a", units={1: [1]})
    assessed = stage.assessment("a")
    lines = [assessed.lines[0].model_copy(update={"line_id": "2"})]
    with pytest.raises(Unacceptable, match="line 2"):
        stage.take(_without(assessed, lines=lines))


def test_an_answer_without_an_amount_is_a_dead_letter() -> None:
    stage = Stage(merchant="hakago")
    stage.admit(reason="wrong_item")
    with pytest.raises(Unacceptable, match="names no amount") as problem:
        stage.assess(answer=("an-1", "refund_partial", None))
    assert problem.value.path == "$.basis.answer.amount"


def test_an_event_that_says_nothing_about_money_is_not_for_us() -> None:
    stage = Stage()
    with pytest.raises(Unacceptable, match="no use"):
        stage.take(OrderDelivered(merchant="gejet-mall", order_id="o-1", received_at=START))


def test_a_refund_id_is_the_same_for_the_same_decision_and_no_other() -> None:
    ids = {refund_id(m, c, n) for m in ("m", "m2") for c in ("c", "c2") for n in (1, 2)}
    assert len(ids) == 8
    assert refund_id("gejet-mall", "c-1", 1) == "fcc5921a-7147-587a-b556-fe975d87668d"


@pytest.mark.parametrize(
    ("room", "amount", "drawn"),
    [
        ([5, 5], 3, [(0, 3)]),
        ([5, 5], 8, [(0, 5), (1, 3)]),
        ([0, 5], 3, [(1, 3)]),
        ([5, 0, 2], 6, [(0, 5), (2, 1)]),
        ([5], 7, [(0, 5), (None, 2)]),
        ([1, 5], 7, [(0, 1), (1, 5), (None, 1)]),
        ([0], 2, [(None, 2)]),
        ([5], 0, []),
    ],
)
def test_refunds_go_back_to_the_payments_in_their_order(
    room: list[int], amount: int, drawn: list[tuple[int | None, int]]
) -> None:
    assert draw(room, amount) == tuple(Draw(payment, part) for payment, part in drawn)


def test_a_claim_of_many_units_is_a_small_state() -> None:
    stage = Stage(lines=(Line(1_000, 10_000),))
    stage.admit()
    stage.assess()
    admission = stage.admission("a", "technical_fault", {1: range(1, 10_001)})
    assert isinstance(admission, ClaimAdmitted)
    assert breakdown(stage.decided()[0]) == {"goods": 10_000_000}
