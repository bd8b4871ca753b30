"""Sellers' answers, closings, appeals, cancellations, referrals, failed refunds: who speaks next about a claim."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from tests.unit.eligibility_stage import GOOD, Stage

PAYABLE = ("refund_full", "refund_partial")
UNPAYABLE = ("resend", "require_return", "refuse")


def hakago(reason: str = "wrong_item") -> Stage:
    stage = Stage(reason, "hakago")
    stage.admit()
    return stage


def answer(stage: Stage, what: str, **more: object) -> None:
    amount = "400000" if what == "refund_partial" else None
    stage.answer(what, amount=amount, **more)  # type: ignore[arg-type]


def answer_id(stage: Stage) -> str | None:
    assert stage.last.basis is not None
    return stage.last.basis.answer.answer_id if stage.last.basis.answer else None


# --- the order of answers ---


def test_an_answer_before_the_claim_counts_as_if_it_came_after() -> None:
    stage = Stage("wrong_item", "hakago")
    stage.answer("refund_full")
    stage.admit()
    assert (stage.end, answer_id(stage)) == ("eligible", "a-1")


def test_of_answers_before_the_claim_the_latest_counts() -> None:
    stage = Stage("wrong_item", "hakago")
    stage.answer("resend", hour=5)
    stage.answer("refund_full", hour=2)
    stage.admit()
    assert (stage.last.remedy, answer_id(stage)) == ("replacement", "a-1")


def test_an_older_answer_is_without_effect() -> None:
    stage = hakago()
    stage.answer("refuse", hour=5)
    stage.answer("refund_full", hour=4)
    assert (stage.end, answer_id(stage)) == ("review", "a-1")


def test_ties_go_by_arrival() -> None:
    stage = hakago()
    stage.answer("refuse", hour=5)
    stage.answer("refund_full", hour=5)
    assert (stage.end, answer_id(stage)) == ("eligible", "a-2")


def test_an_answer_by_the_same_id_is_no_answer() -> None:
    stage = hakago()
    stage.answer("refuse", name="a-1")
    assert stage.answer("refund_full", name="a-1") is None
    assert stage.end == "review"


def test_an_answer_while_the_return_is_awaited_counts_once_it_is_in() -> None:
    stage = hakago()
    stage.answer("require_return")
    stage.answer("refund_full")
    assert (stage.end, answer_id(stage)) == ("return", None)
    stage.give_back()
    assert (stage.end, answer_id(stage)) == ("eligible", "a-2")


def test_an_answer_older_than_the_one_that_requires_the_return_is_without_effect() -> None:
    stage = hakago()
    stage.answer("require_return", hour=5)
    stage.answer("refund_full", hour=4)
    stage.give_back()
    assert (stage.end, answer_id(stage)) == ("seller", None)


def test_the_next_answer_after_the_return() -> None:
    stage = hakago()
    stage.answer("require_return")
    stage.give_back()
    assert stage.end == "seller"
    stage.answer("resend")
    assert (stage.end, stage.last.remedy) == ("eligible", "replacement")


def test_gejet_asks_no_seller() -> None:
    stage = Stage("technical_fault", facts=GOOD)
    stage.admit()
    assert stage.answer("refund_full") is None
    assert stage.end == "return"
    stage.give_back(fault_confirmed=True)
    assert answer_id(stage) is None
    stage.decide("refund")
    assert stage.answer("refuse") is None


# --- supersession ---


@pytest.mark.parametrize("first", PAYABLE)
@pytest.mark.parametrize("second", PAYABLE)
def test_a_later_amount_after_a_refund_is_assessed_again(first: str, second: str) -> None:
    stage = hakago()
    answer(stage, first)
    assert stage.decide("refund") is None
    answer(stage, second)
    assert (stage.end, answer_id(stage)) == ("eligible", "a-2")
    assert stage.decide("refund", no=2) is None
    answer(stage, first)
    assert (stage.end, answer_id(stage)) == ("eligible", "a-3"), "and once more"


@pytest.mark.parametrize("second", UNPAYABLE)
def test_any_other_later_answer_after_a_refund_is_for_a_person(second: str) -> None:
    stage = hakago()
    stage.answer("refund_full")
    stage.decide("refund")
    answer(stage, second)
    assert (stage.end, answer_id(stage)) == ("review", "a-2")
    assert "later-answer" in stage.cited("refer")


@pytest.mark.parametrize("second", [*PAYABLE, *UNPAYABLE])
def test_a_later_answer_after_a_replacement_is_for_a_person(second: str) -> None:
    stage = hakago()
    stage.answer("resend")
    stage.decide("replacement")
    answer(stage, second)
    assert stage.end == "review"


@pytest.mark.parametrize("outcome", ["refund", "replacement", "rejected"])
@pytest.mark.parametrize("second", [*PAYABLE, *UNPAYABLE])
def test_a_later_answer_after_a_persons_decision_is_for_a_person(outcome: str, second: str) -> None:
    stage = hakago()
    stage.answer("refuse")
    stage.review()
    assert stage.decide(outcome, by="staff:mina") is None
    answer(stage, second)
    assert stage.end == "review"
    stage.review("v-2")
    assert stage.decide("refund", by="staff:mina", no=2) is None
    assert stage.wait(timedelta(days=99)) is None


def test_a_later_answer_after_a_rejection_is_for_a_person() -> None:
    stage = Stage("wrong_item", "hakago", lines=[{"gift": True, "unit_price": "0"}])
    stage.admit()
    assert stage.end == "rejected"
    stage.decide("rejected")
    stage.answer("refund_full")
    assert stage.end == "review"


def test_a_later_answer_after_a_cancellation_has_no_effect() -> None:
    stage = hakago()
    assert stage.cancel() is None
    assert stage.answer("refund_full") is None
    assert stage.decide("cancelled") is None
    assert stage.answer("refund_full") is None


def test_an_older_answer_after_the_decision_has_no_effect() -> None:
    stage = hakago()
    stage.answer("refund_full", hour=5)
    stage.decide("refund")
    assert stage.answer("refuse", hour=4) is None


@pytest.mark.parametrize("second", [*PAYABLE, *UNPAYABLE])
@pytest.mark.parametrize("first", ["refund_full", "resend"])
def test_the_end_is_the_same_whether_the_answer_or_the_decision_is_heard_first(first: str, second: str) -> None:
    decided, raced = hakago(), hakago()
    outcome = "replacement" if first == "resend" else "refund"
    for stage in (decided, raced):
        stage.answer(first)
    decided.decide(outcome, revision=2)
    answer(decided, second)
    answer(raced, second)
    raced.decide(outcome, revision=2)
    assert (raced.end, answer_id(raced), raced.last.remedy) == (decided.end, answer_id(decided), decided.last.remedy)


def test_a_decision_that_answers_an_older_assessment_does_not_say_the_newer_one_again() -> None:
    stage = hakago()
    stage.answer("refund_full")
    answer(stage, "refund_partial")
    said = len(stage.said)
    assert stage.decide("refund", revision=2) is None
    assert len(stage.said) == said
    assert stage.decide("refund", no=2, revision=3) is None


# --- people ---


def test_a_review_of_a_waiting_claim_closes_it() -> None:
    stage = Stage("withdrawal", facts=GOOD)
    stage.admit()
    assert stage.review() is None
    assert stage.give_back() is None, "a person is deciding: nothing more is said"
    assert stage.decide("refund", by="staff:mina") is None
    assert stage.give_back(name="r-2") is None


def test_a_refused_review_leaves_the_claim_as_it_is() -> None:
    stage = Stage("withdrawal", facts=GOOD)
    stage.admit()
    stage.review()
    assert stage.refuse_review() is None
    stage.give_back()
    assert stage.end == "eligible"


def test_a_refusal_may_be_heard_of_before_its_review() -> None:
    stage = Stage("withdrawal", facts=GOOD)
    stage.admit()
    stage.refuse_review()
    stage.review()
    stage.give_back()
    assert stage.end == "eligible"


def test_a_persons_decision_may_be_heard_of_before_its_review() -> None:
    stage = hakago()
    stage.answer("refuse")
    assert stage.decide("rejected", by="staff:mina") is None
    assert stage.review() is None, "the answer came before the review, so it is covered"
    stage.answer("refund_full")
    assert stage.end == "review"


def test_what_came_before_a_review_counts_though_the_decision_was_heard_of_first() -> None:
    stage = hakago()
    stage.answer("require_return")
    stage.decide("refund", by="staff:mina")
    said = stage.give_back(fault="transport", postage=("150000", "customer"))
    assert said is not None
    assert said.basis is not None
    assert [one.amount for one in said.basis.postage] == ["150000"], "the merchant owes it, whatever a person decided"
    assert stage.review() is None
    assert stage.give_back({"1": 1}, name="r-2", fault="transport", postage=("99", "customer")) is None


def test_a_later_answer_is_for_a_person_however_the_decision_and_its_review_were_read() -> None:
    for early in (True, False):
        stage = hakago()
        steps: list[Callable[[], object]] = [partial(stage.decide, "refund", by="staff:mina"), stage.review]
        for step in steps if early else reversed(steps):
            assert step() is None
        said = stage.answer("resend")
        assert said is not None
        assert [reason.rule for reason in said.lines[0].reasons][-1] == "later-answer"


def test_a_second_failure_is_said_anew_though_the_decision_between_was_heard_of_before_its_review() -> None:
    stage = hakago()
    stage.answer("refund_full")
    stage.decide("refund")
    assert stage.settle("failed") is not None
    assert stage.decide("refund", by="staff:mina", no=2) is None
    assert stage.review() is None
    said = stage.settle("failed")
    assert said is not None
    assert [reason.rule for reason in said.lines[0].reasons][-1] == "settlement-failed"


def test_a_review_that_changes_nothing_closes_what_it_covers() -> None:
    stage = hakago()
    stage.answer("refund_full")
    stage.decide("refund")
    stage.answer("resend")
    assert stage.end == "review"
    assert stage.review() is None
    assert stage.wait(timedelta(days=30)) is None
    answer(stage, "refund_partial")
    assert stage.end == "eligible", "the claim is still one that the policy decided as a refund"


# --- referrals and failed refunds ---


def test_a_referral_is_for_a_person_with_its_readings() -> None:
    stage = Stage("withdrawal", facts=GOOD)
    stage.admit()
    stage.give_back()
    assert stage.end == "eligible"
    judged = stage.last.lines[0].reasons
    stage.refer("withdrawal-fee-base")
    assert stage.end == "review"
    assert stage.last.lines[0].reasons[:-1] == judged, "and with all reasons that it had"
    assert stage.entries() == {"withdrawal-fee-base": {"one": ("refund", "1")}}
    reasons = [one for line in stage.last.lines for one in line.reasons if one.rule == "withdrawal-fee-base"]
    assert [(one.clause, one.effect) for one in reasons] == [("GN4", "refer")]
    assert {line.verdict for line in stage.last.lines} == {"undecided"}
    assert stage.give_back(name="r-2") is None
    stage.review()
    assert stage.decide("refund", by="staff:mina") is None


def test_a_referral_keeps_rejected_lines_rejected() -> None:
    stage = Stage("withdrawal", facts=GOOD, lines=[{}, {"gift": True, "unit_price": "0"}])
    stage.admit()
    stage.give_back({"1": 1})
    stage.refer("withdrawal-fee-base")
    assert [line.verdict for line in stage.last.lines] == ["undecided", "rejected"]


def test_a_lower_answer_is_referred_and_a_newer_one_is_assessed() -> None:
    stage = hakago()
    stage.answer("refund_full")
    stage.decide("refund")
    answer(stage, "refund_partial")
    stage.refer("superseded-lower")
    assert (stage.end, answer_id(stage)) == ("review", "a-2")
    stage.answer("refund_full")
    assert (stage.end, answer_id(stage)) == ("eligible", "a-3")


def test_a_failed_refund_is_for_a_person_each_time() -> None:
    stage = hakago()
    stage.answer("refund_full")
    stage.decide("refund")
    assert stage.settle("succeeded") is None
    stage.settle("failed")
    assert (stage.end, stage.cited("refer")) == ("review", {"settlement-failed"})
    answer(stage, "refund_partial")
    assert stage.end == "review", "no machine pays a second time"
    stage.review()
    assert stage.decide("refund", by="staff:mina", no=2) is None
    stage.settle("failed")
    assert stage.end == "review"
    assert stage.last.basis is not None
    stage.review("v-2")
    assert stage.decide("refund", by="staff:mina", no=3) is None


def test_a_failure_and_its_review_may_be_heard_of_in_either_order() -> None:
    stage = hakago()
    stage.answer("refund_full")
    stage.decide("refund")
    stage.review()
    stage.settle("failed")
    assert stage.decide("refund", by="staff:mina", no=2) is None
    assert stage.wait(timedelta(days=30)) is None


# --- cancellations ---


def test_a_cancellation_stops_the_assessing() -> None:
    stage = Stage("withdrawal", facts=GOOD)
    stage.admit()
    assert stage.cancel() is None
    assert stage.give_back() is None
    assert stage.decide("cancelled") is None


def test_a_cancellation_before_its_claim() -> None:
    stage = Stage("withdrawal", facts=GOOD)
    stage.cancel()
    assert stage.admit() is None


def test_a_cancellation_that_came_too_late_has_no_effect() -> None:
    stage = hakago()
    stage.answer("refund_full")
    stage.cancel()
    stage.decide("refund", revision=2)
    answer(stage, "refund_partial")
    assert stage.end == "eligible"


def test_a_cancelled_claim_that_a_person_took_up_is_a_persons() -> None:
    stage = hakago()
    stage.cancel()
    stage.decide("cancelled")
    stage.review()
    assert stage.decide("refund", by="staff:mina", no=2) is None
    stage.answer("refund_full")
    assert stage.end == "review"


# --- once spoken ---


def test_once_the_policy_has_spoken_other_facts_change_nothing() -> None:
    stage = Stage("technical_fault", facts={**GOOD, "carton": "torn"})
    stage.admit()
    assert stage.end == "rejected"
    assert stage.give_back(carton="intact", fault_confirmed=True) is None
    assert stage.decide("rejected") is None
    assert stage.give_back(name="r-2", carton="intact", fault_confirmed=True) is None


def test_the_same_is_not_said_twice() -> None:
    stage = Stage("late", facts=GOOD)
    stage.admit()
    assert stage.end == "review"
    assert stage.tell("return.received.v1", return_id="r-9", received_at="2026-10-20T09:00:00Z",
                      lines=[{"line_id": "77", "quantity": 1}]) is None  # fmt: skip
    assert stage.answer("refund_full") is None


def test_revisions_count_from_one_without_gaps() -> None:
    stage = hakago()
    stage.answer("require_return")
    stage.give_back()
    stage.answer("refund_full")
    assert [said.basis.revision for said in stage.said if said.basis] == [1, 2, 3, 4]
