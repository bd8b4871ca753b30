"""Refunds that fail, are given again or come late; units and postage between claims; a review beside an assessment."""

from datetime import timedelta

import pytest

from services.refund_calculation.problem import Unacceptable
from tests.unit.calculation_stage import START, Line, Stage, back_to, breakdown, clauses, shown

DAY = timedelta(days=1)


def test_postage_that_failed_is_instructed_again_under_its_clause() -> None:
    stage = Stage(merchant="hakago", lines=(Line(600_000),), shipping=0)
    stage.admit(reason="wrong_item")
    stage.full(postage={"r-1": 150_000}, clause="HW.3")
    stage.settle("failed")
    stage.assess(status="awaiting", awaiting="review", remedy=None)
    stage.review(amount=750_000)
    second = stage.decided()[1]
    assert breakdown(second) == {"return_postage": 150_000, "compensation": 600_000}
    assert clauses(second) == {"return_postage": "HW.3", "compensation": None}


def test_a_refund_that_went_beyond_the_payments_and_failed_may_succeed_after_all() -> None:
    stage = Stage(merchant="hakago", lines=(Line(600_000),), shipping=0)
    stage.admit(reason="wrong_item")
    stage.full(postage={"r-1": 150_000})
    assert back_to(stage.instructed()[0]) == {"p-1": 600_000, "beyond": 150_000}
    stage.settle("failed", at=START + DAY)
    assert len(stage.settle("succeeded", at=START + 2 * DAY)) == 1
    assert (stage.order.left(), stage.order.room()) == (0, [0])


def test_a_refund_that_succeeds_late_finds_room_and_yet_nothing_left() -> None:
    # Postage that was refunded first took the payments' room, so that goods went beyond them; when the postage fails,
    # there is room again, but all that was paid for goods has been given.
    stage = Stage(merchant="hakago", lines=(Line(50, 4),), shipping=0)
    for number, claim in enumerate("abcd", 1):
        stage.admit(claim, "wrong_item", {1: [number]})
    stage.assess("a", remedy="replacement", answer=("an-a", "resend", None), postage={"r-1": 100})
    stage.full("an-b", "b")
    stage.full("an-c", "c")
    stage.settle("failed", "b", at=START + DAY)
    stage.review(amount=100, claim="d")
    assert (stage.order.left(), stage.order.room()) == (50, [0])
    stage.review(amount=100, claim="c")
    assert back_to(stage.instructed("c")[1]) == {"beyond": 50}
    stage.settle("failed", "a", at=START + DAY)
    assert (stage.order.left(), stage.order.room()) == (0, [100])
    assert stage.settle("succeeded", "b", at=START + 2 * DAY) == []
    assert stage.notes[-1].endswith("after others took its place: no effect")


def test_a_refund_that_succeeds_late_must_fit_every_payment_that_it_went_back_to() -> None:
    stage = Stage(lines=(Line(1_000_000), Line(300_000)), shipping=0, payments=(1_000_000, 300_000))
    stage.admit("a", "late", {1: [1]})
    stage.review(amount=1_200_000)
    assert back_to(stage.instructed("a")[0]) == {"p-1": 1_000_000, "p-2": 200_000}
    stage.settle("failed", at=START + DAY)
    stage.admit("b", "late", {2: [1]})
    stage.review(amount=100_000, claim="b")
    assert (stage.order.left(), stage.order.room()) == (1_200_000, [900_000, 300_000])
    assert stage.settle("succeeded", at=START + 2 * DAY) == []


def test_an_override_of_a_refunded_claim_does_not_ask_who_else_would_like_its_units() -> None:
    stage = Stage()
    stage.admit("a")
    stage.admit("b")
    stage.assess("a")
    stage.review(amount=10_200_000)
    assert stage.refusals() == []
    assert breakdown(stage.decided("a")[1]) == {"goods": -10_000_000, "compensation": 10_200_000}


def test_a_rejection_confirmed_asks_nobody_for_units() -> None:
    stage = Stage()
    stage.admit("a")
    stage.assess("a", status="rejected", remedy=None)
    stage.admit("b")
    stage.review("reject")
    assert stage.refusals() == []
    assert stage.notes[-1].endswith("changes nothing")


@pytest.mark.parametrize("verdict", ["replacement", "reject"])
def test_a_withdrawal_that_staff_did_not_refund_has_borne_nothing_of_the_fee(verdict: str) -> None:
    stage = Stage(lines=(Line(10_000_000), Line(10_000_000)), shipping=0)
    stage.admit("a", "withdrawal", {1: [1]})
    stage.review(verdict)
    stage.admit("b", "withdrawal", {2: [1]})
    stage.assess("b")
    amounts = shown(stage.referred("b")[0], "withdrawal-fee-base")
    assert amounts == {"whole-deposit": "9500000", "units-share": "9750000"}


def test_postage_of_a_claim_in_review_waits_for_the_person() -> None:
    # The policy has refunded, and what came then is for a person: machine pays nothing beside.
    stage = Stage(merchant="hakago", lines=(Line(600_000),), shipping=0)
    stage.admit(reason="wrong_item")
    stage.full()
    stage.returned("r-1", 150_000)
    assert stage.refused_by_seller({"r-1": 150_000}) == []
    # So it is where a person has refunded and that refund has failed.
    stage = Stage(merchant="hakago", lines=(Line(600_000),), shipping=0)
    stage.admit(reason="wrong_item")
    stage.returned("r-1", 150_000)
    stage.review(amount=400_000)
    stage.settle("failed")
    assert stage.refused_by_seller({"r-1": 150_000}) == []
    stage.review(amount=400_000)
    assert breakdown(stage.decided()[-1]) == {"return_postage": 150_000, "compensation": 400_000}


@pytest.mark.parametrize(("postage", "paid_by"), [(None, "customer"), (150_000, "merchant")])
def test_a_return_that_cost_the_customer_nothing_leaves_nothing_to_be_paid(postage: int | None, paid_by: str) -> None:
    stage = Stage(merchant="hakago", lines=(Line(600_000),), shipping=0)
    stage.admit(reason="wrong_item")
    assert stage.returned("r-1", postage, paid_by=paid_by) == []
    stage.review(amount=400_000)
    assert stage.refused_by_seller({"r-1": 150_000}) == []
    assert stage.order.claims["a"].returns == ()


def test_an_amount_in_a_currency_that_the_order_has_no_rate_for_is_a_dead_letter() -> None:
    stage = Stage(merchant="hakago", exchange=("USD", "25000"))
    stage.admit(reason="wrong_item")
    with pytest.raises(Unacceptable, match="no rate for EUR"):
        stage.partial("12", currency="EUR")


def test_a_decision_names_the_assessment_that_it_answers() -> None:
    stage = Stage()
    stage.admit()
    stage.assess(revision=3)
    stage.review(amount=10_200_000)
    assert [one.revision for one in stage.decided()] == [3, None], "and a person's none"
    stage = Stage(merchant="hakago")
    stage.admit(reason="wrong_item")
    stage.full(revision=2)
    stage.partial(1, "an-2", revision=5)
    assert stage.referred()[0].revision == 5


def test_staff_may_replace_where_no_policy_was_in_force() -> None:
    stage = Stage(carrier="tipax")
    stage.admit()
    stage.assess(status="awaiting", awaiting="review", remedy=None, policy=False)
    stage.review("replacement")
    [decided] = stage.decided()
    assert decided.policy is None
    assert decided.replacement is not None
    assert decided.replacement.ship_cost.payer == "merchant"


@pytest.mark.parametrize("numbers", [[8, 1], [1, 8], [8, 1, 8]])
def test_units_are_kept_in_their_order(numbers: list[int]) -> None:
    stage = Stage(lines=(Line(1_000, 8),))
    admission = stage.admission("a", "technical_fault", {1: [1, 8]})
    stage.take(admission.model_copy(update={"units": {"1": numbers}}))
    assert stage.order.claims["a"].units == {"1": (1, 8)}


# --- a review and the assessment of the same claim -------------------------------------------------------------------
#
# A review says what it says of the claim as it stands: of one that waits it is the decision, of one that the policy has
# decided an override. Which of the two comes first is not without meaning, then; what must hold is that no money hangs
# on it that the person did not decide about.


@pytest.mark.parametrize("amount", [10_000_000, 10_200_000, 10_500_000])
def test_a_staff_amount_that_is_not_lower_is_the_claim_s_total_whichever_is_read_first(amount: int) -> None:
    ends = []
    for first in ("review", "assessment"):
        stage = Stage()
        stage.admit()
        if first == "review":
            stage.review(amount=amount)
            stage.assess()
        else:
            stage.assess()
            stage.review(amount=amount)
        ends.append((stage.order.left(), stage.order.room(), stage.order.claims["a"].covered()))
        assert sum(int(one.amount) for one in stage.instructed()) == amount
    assert ends[0] == ends[1]


@pytest.mark.parametrize("verdict", ["refund", "reject", "replacement"])
def test_a_review_that_gives_less_is_refused_where_the_policy_has_paid_and_holds_where_it_has_not(verdict: str) -> None:
    amount = 4_000_000 if verdict == "refund" else None
    before, after = Stage(), Stage()
    before.admit()
    before.review(verdict, amount=amount)
    before.assess()
    assert [one.decided_by for one in before.decided()] == ["staff:sara"]
    after.admit()
    after.assess()
    after.review(verdict, amount=amount)
    assert [one.decided_by for one in after.decided()] == ["policy"]
    assert after.refusals() == ["lower_than_given" if verdict == "refund" else "already_refunded"]


def test_postage_is_paid_whichever_is_read_first() -> None:
    totals = []
    for first in ("review", "assessment"):
        stage = Stage(merchant="hakago", lines=(Line(600_000),), shipping=0)
        stage.admit(reason="wrong_item")
        stage.returned("r-1", 150_000)
        if first == "assessment":
            stage.refused_by_seller({"r-1": 150_000})
        stage.review(amount=400_000)
        if first == "review":
            stage.refused_by_seller({"r-1": 150_000})
        totals.append(sum(int(one.amount) for one in stage.instructed()))
    assert totals == [550_000, 550_000]
