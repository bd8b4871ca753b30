"""What a case is made of: parcels, gifts, carriers, postage; and the last instant of a wait."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from services.eligibility.casework import refund_of
from services.eligibility.domain import authorization
from services.eligibility.facts import look_again
from shared.events import ClaimAssessed
from shared.policy.book import PolicyBook
from shared.policy.model import Policy
from shared.policy.rules import Cost, Exclusion, Reason, Rule, When
from tests.unit.eligibility_stage import GOOD, NOW, Stage, book

D = timedelta(days=1)


def hakago(rules: Mapping[str, Rule], reasons: Mapping[Reason, tuple[str, ...]] | None = None) -> PolicyBook:
    """Hakago's policy with other rules."""
    policy = published()
    changed = {"rules": {**policy.rules, **rules}, "reasons": {**policy.reasons, **(reasons or {})}}
    return PolicyBook([policy.model_copy(update=changed)])


def published() -> Policy:
    policy = book().version("hakago", 1)
    assert policy is not None
    return policy


# --- what has come back ---


def test_hw1_the_sellers_wish_for_the_goods_counts_until_all_lines_are_back() -> None:
    two = Stage("wrong_item", "hakago", lines=[{}, {}])
    two.admit()
    two.answer("require_return")
    two.give_back({"1": 1}, name="r-1")
    assert two.end == "return"
    two.give_back({"2": 1}, name="r-2")
    assert two.end == "seller", "the seller's next answer"


def test_nobody_waits_for_a_gift_to_come_back() -> None:
    with_gift = Stage("wrong_item", "hakago", lines=[{}, {"gift": True, "unit_price": "0"}])
    with_gift.admit()
    with_gift.answer("require_return")
    with_gift.give_back({"1": 1})
    assert with_gift.end == "seller"
    with_gift.answer("refund_full")
    assert with_gift.end == "eligible"


def test_two_parcels_in_the_same_condition_are_said_once() -> None:
    stage = Stage(facts=GOOD, lines=[{"quantity": 2}])
    stage.admit()
    stage.give_back({"1": 1}, name="r-1", carton="intact", fault_confirmed=True)
    stage.give_back({"1": 1}, name="r-2", carton="intact", fault_confirmed=True)
    assert stage.end == "eligible"
    assert any("carton found: intact)" in reason.text for reason in stage.last.lines[0].reasons)


def test_a_return_is_required_of_everyone_where_the_policy_asks_for_no_answer_first() -> None:
    rule = published().rules["item-return"].model_copy(update={"when": When()})
    stage = Stage("wrong_item", "hakago", policies=hakago({"item-return": rule}))
    stage.admit()
    assert stage.last.basis is not None
    assert not stage.last.basis.return_required
    stage.answer("refund_full")
    assert (stage.end, stage.last.basis.return_required) == ("return", True)


def test_the_fault_is_that_of_the_last_parcel_that_tells_one() -> None:
    stage = Stage("wrong_item", "hakago", lines=[{"quantity": 2}])
    stage.admit()
    stage.answer("require_return")
    stage.give_back({"1": 1}, name="r-1", fault="transport")
    stage.give_back({"1": 1}, name="r-2")
    assert stage.last.basis is not None
    assert stage.last.basis.fault == "transport"


# --- postage ---


def owed(amount: str, policies: PolicyBook | None = None, carrier: str = "post") -> list[str]:
    stage = Stage("wrong_item", "hakago", carrier=carrier, policies=policies or book())
    stage.admit()
    stage.answer("require_return")
    stage.give_back(fault="transport", postage=(amount, "customer"))
    assert stage.last.basis is not None
    return [one.amount for one in stage.last.basis.postage]


def test_hw3_the_smallest_postage_is_owed_and_none_is_not() -> None:
    assert owed("1") == ["1"]
    assert owed("0") == []


def postage_rule(**changes: object) -> PolicyBook:
    policy = published()
    names = policy.reasons["wrong_item"]
    (name,) = (name for name in names if isinstance(rule := policy.rules[name], Cost) and rule.item == "return_postage")
    return hakago({name: policy.rules[name].model_copy(update=changes)})


def test_postage_that_a_policy_leaves_to_the_customer_is_not_owed() -> None:
    assert owed("20000", postage_rule(payer="merchant")) == ["20000"]
    assert owed("20000", postage_rule(payer="customer")) == []


def test_a_carrier_is_the_same_however_it_is_written() -> None:
    by_snail = postage_rule(when=When(carrier=("snail mail",)))
    assert owed("20000", by_snail, carrier=" Snail Mail ") == ["20000"]
    assert owed("20000", by_snail, carrier="post") == []
    slow = Exclusion.model_validate(
        {"id": "no-snails", "clause": "HX", "kind": "exclusion", "fact": "carrier", "is": ("snail mail",)}
    )
    policies = hakago({"no-snails": slow}, {"wrong_item": ("no-snails", *published().reasons["wrong_item"])})
    stage = Stage("wrong_item", "hakago", carrier=" Snail Mail ", policies=policies)
    stage.admit()
    assert stage.end == "rejected"


# --- amounts in readings ---


def refund(stage: Stage) -> str | None:
    claim = stage.state.claim
    assert claim is not None
    return refund_of(published(), claim, stage.state.answers[-1])(["1"])


def test_a_refund_in_full_and_one_that_the_seller_named_in_either_currency() -> None:
    full = Stage("wrong_item", "hakago")
    full.admit()
    full.answer("refund_full")
    assert refund(full) == "1000000"
    partial = Stage("wrong_item", "hakago")
    partial.admit()
    partial.answer("refund_partial", amount="5000")
    assert refund(partial) == "5000"
    dollars = {"answer_id": "a-9", "answered_at": NOW.isoformat(), "answer": "refund_partial"}
    partial.tell("seller.answered.v1", **dollars, amount={"amount": "2.00", "currency": "USD"})
    assert refund(partial) == "50000", "at the order's rate"


def test_nobody_can_say_what_an_amount_without_a_rate_comes_to() -> None:
    stage = Stage("wrong_item", "hakago")
    stage.admit()
    dollars = {"answer_id": "a-9", "answered_at": NOW.isoformat(), "answer": "refund_partial"}
    stage.tell("seller.answered.v1", **dollars, amount={"amount": "2.00", "currency": "USD"})
    claim = stage.state.claim
    assert claim is not None
    without = replace(claim, placed=Raw(msgspec.json.encode(replace(claim.order, exchange=None))))
    assert refund_of(published(), without, stage.state.answers[-1])(["1"]) is None


# --- time ---


def test_the_last_instant_of_a_wait_is_in_time_whatever_comes_then() -> None:
    stage = Stage("withdrawal", facts=GOOD, lines=[{"quantity": 3}])
    stage.admit()
    stage.now = NOW + 14 * D
    stage.give_back({"1": 1}, name="r-1")
    assert (stage.end, stage.last.overdue) == ("return", False)
    stage.now += timedelta(microseconds=1)
    stage.give_back({"1": 1}, name="r-2")
    assert stage.end == "review", "a part of it is back, and the time for the rest has passed"


def test_a_parcel_of_a_rejected_line_is_no_part_of_what_is_awaited() -> None:
    stage = Stage(facts=GOOD, lines=[{}, {}])
    stage.admit()
    stage.give_back({"1": 1}, misuse=True, fault_confirmed=True)
    assert [line.verdict for line in stage.last.lines] == ["rejected", "undecided"]
    stage.wait(14 * D + timedelta(seconds=1))
    assert (stage.end, stage.last.overdue) == ("return", True)


def test_a_failed_refund_of_a_claim_without_a_policy_says_both() -> None:
    stage = Stage("withdrawal", "nobody")
    stage.admit()
    stage.review()
    stage.decide("refund", by="staff:mina")
    stage.settle("failed")
    assert stage.end == "review"
    assert [reason.rule for reason in stage.last.lines[0].reasons] == ["no-policy", "settlement-failed"]


# --- what is told twice, and what is told of an older assessment ---

FACTS: dict[str, Callable[[Stage], object]] = {
    "the claim": lambda stage: stage.admit(),
    "the delivery": lambda stage: stage.deliver(),
    "an answer": lambda stage: stage.answer("refuse", name="a-1", hour=1),
    "a return": lambda stage: stage.give_back({"1": 1}),
    "a review": lambda stage: stage.review(),
    "a review that was refused": lambda stage: stage.refuse_review(),
    "the cancellation": lambda stage: stage.cancel(),
    "a decision": lambda stage: stage.decide("refund", revision=1),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_told_twice_says_nothing_new(fact: str) -> None:
    stage = Stage("wrong_item", "hakago", received_at=None, lines=[{"quantity": 2}])
    stage.admit()
    FACTS[fact](stage)
    once = stage.state
    FACTS[fact](stage)
    assert stage.state is once


def test_two_reviews_are_two_and_so_are_two_that_were_refused() -> None:
    stage = Stage("wrong_item", "hakago")
    stage.admit()
    for name in ("v-1", "v-2"):
        stage.review(name)
        stage.refuse_review(name)
    assert [review.review_id for review in stage.state.reviews] == ["v-1", "v-2"]
    assert stage.state.refused == ("v-1", "v-2")
    assert [review.seq for review in stage.state.reviews] == [2, 4], "numbered as they came"


def test_a_referral_is_about_the_assessment_it_names_and_else_about_the_last() -> None:
    stage = Stage("wrong_item", "hakago")
    stage.admit()
    stage.answer("refund_full")
    stage.answer("refund_partial", amount="5")
    of_the_first = stage.refer("part-value", revision=2)
    assert of_the_first is None, "another answer is in force by now"
    shown = [
        {"entry": "part-value", "chosen": None, "alternatives": [{"reading": "one", "result": "refund", "amount": "1"}]}
    ]
    of_the_last = stage.tell("claim.referred.v1", entry="part-value", readings=shown, revision=None)
    assert of_the_last is not None
    assert of_the_last.awaiting == "review"


class SecondUnit(Stage):
    """A claim for which intake has reserved the second unit of its line."""

    def tell(self, type_: str, **data: object) -> ClaimAssessed | None:
        return super().tell(type_, **(data | {"units": {"1": [2]}} if type_ == "claim.admitted.v1" else data))


def test_the_units_are_those_that_intake_reserved_else_the_first() -> None:
    for stage, units in ((SecondUnit(), (2,)), (Stage(lines=[{"quantity": 2}]), (1, 2))):
        stage.admit()
        assert stage.state.claim is not None
        assert stage.state.claim.lines[0].units == units


def test_what_is_said_after_a_decision_stands_since_then() -> None:
    stage = Stage("wrong_item", "hakago")
    stage.admit()
    stage.answer("refund_partial", amount="5")
    stage.decide("refund")
    stage.now += D
    stage.answer("refund_full")
    assert (stage.end, stage.last.since) == ("eligible", stage.now)


def test_a_decision_on_an_older_assessment_leaves_what_has_been_said_since() -> None:
    stage = Stage("wrong_item", "hakago")
    stage.admit()
    stage.answer("refund_partial", amount="5")
    stage.answer("refund_full")
    stage.decide("refund", revision=2)
    assert [said.status for said in stage.said] == ["awaiting", "eligible", "eligible"], "nothing is said again"


def test_a_claim_that_is_overdue_is_not_looked_at_again() -> None:
    stage = Stage("wrong_item", "hakago")
    stage.admit()
    assert look_again(stage.state) == NOW + 7 * D
    stage.wait(8 * D)
    assert look_again(stage.state) is None


def test_a_review_that_is_heard_of_first_covers_the_claim_as_it_comes() -> None:
    stage = Stage("withdrawal", facts=GOOD)
    stage.review()
    stage.admit()
    assert stage.said == []


def test_a_failed_refund_that_a_person_has_seen_to_stands_in_nobodys_way() -> None:
    stage = Stage("wrong_item", "hakago")
    stage.admit()
    stage.answer("refund_partial", amount="5")
    stage.decide("refund")
    stage.settle("failed")
    assert stage.end == "review"
    stage.review()
    stage.answer("refund_full")
    assert stage.end == "eligible", "a later answer supersedes"


def test_an_authorization_is_the_same_for_ever_and_stays_when_a_part_is_back() -> None:
    assert authorization("gejet-mall", "c-1") == "RA-132C2B0C4E"
    stage = Stage(facts=GOOD, lines=[{}, {}])
    stage.admit()
    stage.give_back({"1": 1}, fault_confirmed=True)
    assert stage.last.basis is not None
    assert stage.last.basis.returned == {"1": 1}
    stage.refer("part-value")
    assert (stage.end, stage.last.authorization) == ("review", "RA-132C2B0C4E")


def test_how_long_after_receipt_a_claim_was_told_is_said_to_the_second() -> None:
    stage = Stage(facts=GOOD, reported=timedelta(hours=47, minutes=2, seconds=3))
    stage.admit()
    (text,) = [
        reason.text for reason in stage.last.lines[0].reasons if reason.clause == "G1.1" and "receipt," in reason.text
    ]
    assert "reported 47 h 02 min 03 s after receipt, 48 h are allowed" in text


def test_a_claim_that_all_readings_reject_says_what_speaks_for_it_under_one_of_them() -> None:
    stage = Stage("not_as_described", facts=GOOD, reported=timedelta(hours=50))
    stage.admit()
    assert stage.end == "rejected"
    assert stage.cited("deny") == {"G2.1"}
    assert {"G1.3", "G1.4"} & stage.cited("allow"), "the carton, which only one reading asks for"
