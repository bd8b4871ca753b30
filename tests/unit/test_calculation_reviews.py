"""What people decide: reviews of waiting claims, overrides, appeals; cancellations; settlements that fail."""

from datetime import timedelta

import pytest

from services.refund_calculation.problem import Unacceptable
from shared.events import ClaimReviewed
from tests.unit.calculation_stage import START, Line, Stage, back_to, breakdown

# Gejet's order: 10,000,000 and 500,000 shipping.


def waiting(**given: object) -> Stage:
    """A claim that awaits a review."""
    stage = Stage(**given)  # type: ignore[arg-type]  # the members of Stage
    stage.admit(reason="late")
    stage.assess(status="awaiting", awaiting="review", remedy=None)
    return stage


def refunded(**given: object) -> Stage:
    """A claim that the policy has refunded in whole."""
    stage = Stage(**given)  # type: ignore[arg-type]  # the members of Stage
    stage.admit()
    stage.assess()
    return stage


# --- a waiting claim -----------------------------------------------------------------------------------------------


def test_a_staff_amount_is_a_compensation_without_a_clause() -> None:
    stage = waiting()
    stage.review(amount=4_000_000)
    [decided] = stage.decided()
    assert decided.refund is not None
    assert [item.model_dump() for item in decided.refund.breakdown] == [
        {"item": "compensation", "amount": "4000000", "payer": "merchant", "clause": None}
    ]
    assert (decided.outcome, decided.decided_by, decided.follows, decided.revision) == (
        "refund",
        "staff:sara",
        None,
        None,
    )
    assert [(r.rule, r.effect) for r in decided.lines[0].reasons] == [("judged", "info"), ("review", "allow")]
    assert decided.lines[0].reasons[1].text == "looked at by a person"
    assert decided.policy is not None
    assert back_to(stage.instructed()[0]) == {"p-1": 4_000_000}


def test_a_review_before_any_assessment_decides_without_a_policy() -> None:
    stage = Stage()
    stage.admit(reason="late")
    stage.review(amount=4_000_000)
    [decided] = stage.decided()
    assert decided.policy is None
    assert [reason.rule for reason in decided.lines[0].reasons] == ["review"]
    assert stage.instructed()[0].policy is None


@pytest.mark.parametrize(
    ("verdict", "outcome", "shown"), [("reject", "rejected", "rejected"), ("replacement", "replacement", "eligible")]
)
def test_other_verdicts_on_a_waiting_claim(verdict: str, outcome: str, shown: str) -> None:
    stage = waiting()
    stage.review(verdict)
    [decided] = stage.decided()
    assert (decided.outcome, decided.refund, decided.lines[0].verdict) == (outcome, None, shown)
    assert (decided.replacement is not None) == (verdict == "replacement")


@pytest.mark.parametrize(("amount", "taken"), [(10_500_000, True), (10_500_001, False)])
def test_staff_may_give_up_to_what_is_left(amount: int, taken: bool) -> None:
    stage = waiting()
    stage.review(amount=amount)
    assert bool(stage.decided()) is taken
    assert stage.refusals() == ([] if taken else ["above_what_is_left"])


def test_a_refused_review_says_where_and_why_and_stops_nothing() -> None:
    stage = waiting()
    [refused] = stage.review(amount=99_000_000, review_id="rv-x")
    assert refused.model_dump() == {
        "review_id": "rv-x",
        "claim_id": "a",
        "merchant": "gejet-mall",
        "order_id": "o-1",
        "errors": [
            {
                "code": "above_what_is_left",
                "path": "$.amount.amount",
                "message": "10500000 IRR is left of the order's payments",
            }
        ],
    }
    stage.review(amount=9_000_000)
    assert breakdown(stage.decided()[0]) == {"compensation": 9_000_000}


@pytest.mark.parametrize(("amount", "refusals"), [(5_500_000, []), (5_500_001, ["above_what_is_left"])])
def test_what_is_left_is_less_by_other_claims(amount: int, refusals: list[str]) -> None:
    stage = Stage(lines=(Line(10_000_000), Line(5_000_000)))
    stage.admit("a", units={1: [1]})
    stage.assess("a")
    stage.admit("b", "late", {2: [1]})
    stage.review(amount=amount, claim="b")
    assert stage.refusals() == refusals


def test_an_amount_in_another_currency_is_a_dead_letter() -> None:
    stage = waiting()
    review = ClaimReviewed.model_validate(
        {
            "review_id": "rv",
            "claim_id": "a",
            "merchant": "gejet-mall",
            "order_id": "o-1",
            "reviewed_at": START,
            "actor": "sara",
            "reason": "r",
            "verdict": "refund",
            "amount": {"amount": "1000", "currency": "VND"},
        }
    )
    with pytest.raises(Unacceptable, match="IRR") as problem:
        stage.take(review)
    assert problem.value.path == "$.amount.currency"


def test_a_line_that_was_rejected_by_itself_stays_so() -> None:
    stage = Stage(lines=(Line(1_000_000), Line(0, gift=True)))
    stage.admit(reason="withdrawal")
    stage.assess(status="awaiting", awaiting="review", remedy=None, rejected=[2])
    stage.review("replacement")
    [decided] = stage.decided()
    assert {line.line_id: line.verdict for line in decided.lines} == {"1": "eligible", "2": "rejected"}
    assert decided.replacement is not None
    assert [line.line_id for line in decided.replacement.lines] == ["1"]
    assert [line.reasons[-1].effect for line in decided.lines] == ["allow", "deny"]


def test_the_same_review_twice_is_one_review() -> None:
    stage = waiting()
    stage.review(amount=1_000_000, review_id="rv")
    assert stage.review(amount=2_000_000, review_id="rv") == []
    assert len(stage.decided()) == 1


def test_what_the_policy_says_after_a_person_changes_nothing() -> None:
    stage = waiting()
    stage.review(amount=1_000_000)
    assert stage.assess() == []
    assert stage.assess(status="rejected", remedy=None) == []
    assert stage.notes[-1].endswith("a person has decided")


# --- overrides -----------------------------------------------------------------------------------------------------


def test_an_override_pays_the_difference_item_by_item() -> None:
    stage = Stage()
    stage.admit(reason="withdrawal")
    stage.assess()
    stage.review(amount=10_000_000)
    stage.review(amount=10_200_000)
    first, second, third = stage.decided()
    assert breakdown(first) == {"goods": 10_000_000, "withdrawal_fee": -262_500}
    assert list(breakdown(second).items()) == [
        ("goods", -10_000_000),
        ("withdrawal_fee", 262_500),
        ("compensation", 10_000_000),
    ]
    assert breakdown(third) == {"compensation": 200_000}
    assert [one.follows for one in stage.decided()] == [None, 1, 2]
    assert [int(one.amount) for one in stage.instructed()] == [9_737_500, 262_500, 200_000]


@pytest.mark.parametrize(
    ("amount", "refusals", "decisions"),
    [
        (9_999_999, ["lower_than_given"], 1),
        (10_000_000, [], 1),
        (10_500_000, [], 2),
        (10_500_001, ["above_what_is_left"], 1),
    ],
)
def test_an_override_is_never_lower_and_its_difference_must_fit(
    amount: int, refusals: list[str], decisions: int
) -> None:
    stage = refunded()
    stage.review(amount=amount)
    assert stage.refusals() == refusals
    assert len(stage.decided()) == decisions


@pytest.mark.parametrize("verdict", ["reject", "replacement"])
def test_what_was_refunded_is_neither_rejected_nor_replaced(verdict: str) -> None:
    stage = refunded()
    stage.review(verdict)
    assert stage.refusals() == ["already_refunded"]
    assert len(stage.decided()) == 1


@pytest.mark.parametrize("verdict", ["reject", "replacement"])
def test_a_refund_of_0_is_a_refund(verdict: str) -> None:
    stage = Stage(lines=(Line(100_000),), shipping=3_900_000)
    stage.admit(reason="withdrawal")
    stage.assess()
    stage.review(verdict)
    assert stage.refusals() == ["already_refunded"]


@pytest.mark.parametrize("verdict", ["reject", "replacement"])
def test_what_was_replaced_is_neither_rejected_nor_replaced(verdict: str) -> None:
    stage = Stage()
    stage.admit()
    stage.assess(remedy="replacement")
    stage.review(verdict)
    assert stage.refusals() == ["already_replaced"]


def test_what_was_replaced_may_be_refunded_by_a_person() -> None:
    stage = Stage()
    stage.admit()
    stage.assess(remedy="replacement")
    stage.review(amount=700_000)
    assert [one.outcome for one in stage.decided()] == ["replacement", "refund"]
    assert stage.decided()[1].follows == 1


def test_a_replacement_whose_unit_was_claimed_again_is_not_refunded() -> None:
    stage = Stage()
    stage.admit("a")
    stage.assess("a", remedy="replacement")
    stage.admit("b")
    stage.review(amount=700_000)
    assert stage.refusals() == ["units_held"]


def test_payments_of_an_override_go_on_where_the_refund_stopped() -> None:
    stage = Stage(lines=(Line(1_000_000),), shipping=300_000, payments=(1_100_000, 200_000))
    stage.admit()
    stage.assess()
    stage.review(amount=1_250_000)
    assert [back_to(one) for one in stage.instructed()] == [{"p-1": 1_000_000}, {"p-1": 100_000, "p-2": 150_000}]


# --- appeals -------------------------------------------------------------------------------------------------------


def rejected(**given: object) -> Stage:
    stage = Stage(**given)  # type: ignore[arg-type]  # the members of Stage
    stage.admit("a")
    stage.assess("a", status="rejected", remedy=None)
    return stage


def test_an_appeal_is_a_linked_decision() -> None:
    stage = rejected()
    stage.review(amount=5_000_000)
    first, second = stage.decided()
    assert (first.outcome, second.outcome, second.follows) == ("rejected", "refund", 1)
    assert [line.verdict for line in second.lines] == ["eligible"]


def test_an_appeal_may_end_in_a_replacement() -> None:
    stage = rejected()
    stage.review("replacement")
    assert stage.decided()[1].replacement is not None


def test_an_appeal_that_ends_in_a_rejection_changes_nothing() -> None:
    stage = rejected()
    assert stage.review("reject") == []
    assert stage.notes[-1].endswith("changes nothing")


@pytest.mark.parametrize("verdict", ["refund", "replacement"])
@pytest.mark.parametrize("other", ["open", "refunded"])
def test_an_appeal_of_units_that_another_claim_holds_is_refused(verdict: str, other: str) -> None:
    stage = rejected()
    stage.admit("b")
    if other == "refunded":
        stage.assess("b")
    stage.review(verdict, amount=100_000 if verdict == "refund" else None)
    assert stage.refusals() == ["units_held"]
    assert len(stage.decided("a")) == 1


@pytest.mark.parametrize("how", ["rejected", "cancelled", "replacement"])
def test_an_appeal_holds_once_the_other_claim_has_freed_them(how: str) -> None:
    stage = rejected()
    stage.admit("b")
    if how == "cancelled":
        stage.cancel("b")
    else:
        stage.assess("b", status="rejected" if how == "rejected" else "eligible", remedy="replacement")
    stage.review(amount=100_000)
    assert len(stage.decided("a")) == 2


def test_every_error_of_a_review_is_named() -> None:
    stage = rejected()
    stage.admit("b")
    stage.review(amount=10_500_001)
    assert stage.refusals() == ["above_what_is_left", "units_held"]


def test_a_unit_that_an_appeal_took_is_not_refunded_again() -> None:
    stage = rejected()
    stage.review(amount=5_000_000)
    stage.admit("b")
    stage.assess("b")
    [referred] = stage.referred("b")
    assert referred.entry == "units-already-refunded"
    amounts = {one.reading: one.amount for one in referred.readings[-1].alternatives}
    assert amounts == {"as-assessed": "10000000", "without-those-units": "0"}
    stage.review(amount=1_000, claim="b")
    assert stage.refusals() == ["units_held"]


# --- cancellations -------------------------------------------------------------------------------------------------


def test_a_claim_taken_back_is_cancelled() -> None:
    stage = waiting()
    stage.cancel()
    [decided] = stage.decided()
    assert (decided.outcome, decided.refund, decided.decided_by) == ("cancelled", None, "policy")
    assert [reason.rule for reason in decided.lines[0].reasons] == ["judged", "cancelled"]
    assert decided.policy is not None


def test_a_claim_taken_back_before_it_was_assessed() -> None:
    stage = Stage()
    stage.admit()
    stage.cancel()
    stage.assess()
    assert [one.outcome for one in stage.decided()] == ["cancelled"]
    assert stage.notes[-1].endswith("without effect")


def test_a_decided_claim_is_not_taken_back() -> None:
    stage = refunded()
    assert stage.cancel() == []
    assert stage.notes[-1].endswith("without effect")


def test_a_cancelled_claim_can_be_decided_by_a_person() -> None:
    stage = waiting()
    stage.cancel()
    stage.review(amount=1_000_000)
    assert [(one.outcome, one.follows) for one in stage.decided()] == [("cancelled", None), ("refund", 1)]


# --- settlements ---------------------------------------------------------------------------------------------------


def test_a_settlement_is_told_as_it_came() -> None:
    stage = refunded()
    [settled] = stage.settle("succeeded")
    assert settled.model_dump(exclude={"refund_id", "settled_at"}) == {
        "merchant": "gejet-mall",
        "order_id": "o-1",
        "claim_id": "a",
        "status": "succeeded",
        "provider_reference": "bank-1",
        "failure_reason": None,
    }
    assert stage.settle("succeeded") == []


def test_a_failed_refund_counts_as_not_given_and_is_instructed_again_by_a_person() -> None:
    stage = refunded()
    stage.settle("failed")
    assert stage.order.left() == 10_500_000
    stage.review(amount=10_000_000)
    first, second = stage.decided()
    assert breakdown(second) == {"compensation": 10_000_000}
    assert first.refund is not None
    assert second.refund is not None
    assert first.refund.refund_id != second.refund.refund_id
    assert back_to(stage.instructed()[1]) == {"p-1": 10_000_000}
    stage.settle("succeeded", number=2)
    assert stage.settled() == ["failed", "succeeded"]


@pytest.mark.parametrize(
    ("amount", "refusals"), [(4_000_000, []), (10_500_000, []), (10_500_001, ["above_what_is_left"])]
)
def test_after_a_failure_any_amount_that_is_left_may_be_given(amount: int, refusals: list[str]) -> None:
    stage = refunded()
    stage.settle("failed")
    stage.review(amount=amount)
    assert stage.refusals() == refusals


@pytest.mark.parametrize("verdict", ["reject", "replacement"])
def test_after_a_failure_of_all_it_may_be_rejected_or_replaced(verdict: str) -> None:
    stage = refunded()
    stage.settle("failed")
    stage.review(verdict)
    assert len(stage.decided()) == 2


def test_after_a_failure_of_the_difference_it_is_still_refunded() -> None:
    stage = refunded()
    stage.review(amount=10_200_000)
    stage.settle("failed", number=2)
    stage.review("reject")
    assert stage.refusals() == ["already_refunded"]
    stage.review(amount=9_999_999)
    assert stage.refusals() == ["already_refunded", "lower_than_given"]
    stage.review(amount=10_000_000)
    assert stage.decided()[-1].refund is None, "what was given is enough, and the review is decided by that"
    stage.review(amount=10_200_000)
    assert stage.instructed()[-1].amount == "200000"


def test_what_failed_is_left_for_other_claims() -> None:
    stage = Stage(lines=(Line(10_000_000), Line(5_000_000)))
    stage.admit("a", units={1: [1]})
    stage.assess("a")
    stage.settle("failed")
    stage.admit("b", "late", {2: [1]})
    stage.review(amount=15_500_000, claim="b")
    assert back_to(stage.instructed("b")[0]) == {"p-1": 15_500_000}


def test_no_second_instruction_is_made_by_machine() -> None:
    stage = Stage(merchant="hakago")
    stage.admit(reason="wrong_item")
    stage.partial(300_000)
    stage.settle("failed")
    assert stage.full("an-2") == []
    assert len(stage.instructed()) == 1


def test_the_latest_report_counts_whatever_came_first() -> None:
    late, early = START + timedelta(days=2), START + timedelta(days=1)
    for order in ((late, early), (early, late)):
        stage = refunded()
        for at in order:
            stage.settle("failed" if at == late else "succeeded", at=at)
        assert stage.order.claims["a"].in_review
    stage = refunded()
    stage.settle("failed", at=early)
    assert stage.settle("succeeded", at=early) == [], "of two at once the first"


@pytest.mark.parametrize("payments", [(10_500_000,), (10_000_000, 500_000)])
def test_a_refund_that_succeeded_after_all_is_given_again(payments: tuple[int, ...]) -> None:
    stage = refunded(payments=payments)
    stage.settle("failed", at=START + timedelta(days=1))
    stage.settle("succeeded", at=START + timedelta(days=2))
    assert stage.order.left() == 500_000
    assert not stage.order.claims["a"].in_review


def test_so_is_one_of_all_that_was_paid() -> None:
    stage = waiting()
    stage.review(amount=10_500_000)
    stage.settle("failed", at=START + timedelta(days=1))
    stage.settle("succeeded", at=START + timedelta(days=2))
    assert stage.order.left() == 0


def test_but_not_when_a_person_has_had_it_instructed_again() -> None:
    stage = refunded()
    stage.settle("failed", at=START + timedelta(days=1))
    stage.review(amount=10_000_000)
    assert stage.settle("succeeded", at=START + timedelta(days=2)) == []
    assert stage.order.left() == 500_000


def test_nor_when_another_claim_has_got_its_room() -> None:
    stage = Stage(lines=(Line(10_000_000), Line(5_000_000)))
    stage.admit("a", units={1: [1]})
    stage.assess("a")
    stage.settle("failed", at=START + timedelta(days=1))
    stage.admit("b", "late", {2: [1]})
    stage.review(amount=15_000_000, claim="b")
    assert stage.settle("succeeded", at=START + timedelta(days=2)) == []
    assert stage.order.left() == 500_000


@pytest.mark.parametrize("claim", ["a", "nobody"])
def test_an_unknown_refund_is_a_dead_letter(claim: str) -> None:
    stage = refunded()
    with pytest.raises(Unacceptable) as problem:
        stage.take(stage.settlement("r-nobody-knows", claim=claim))
    assert problem.value.path == "$.refund_id"


def test_a_refund_of_another_claim_is_a_dead_letter() -> None:
    stage = Stage(lines=(Line(1_000, 2),))
    stage.admit("a", units={1: [1]})
    stage.assess("a")
    stage.admit("b", units={1: [2]})
    with pytest.raises(Unacceptable):
        stage.take(stage.settlement(stage.instructed()[0].refund_id, claim="b"))
