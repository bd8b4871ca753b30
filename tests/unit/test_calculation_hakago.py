"""Hakago's money: the seller's answer, its supersession, return postage."""

import pytest

from tests.unit.calculation_stage import Line, Stage, back_to, breakdown, clauses, shown


def hakago(*lines: Line, **given: object) -> Stage:
    made = {"shipping": 200_000, "fee": 50_000, "lines": lines or (Line(1_000_000),), **given}
    return Stage(merchant="hakago", **made)  # type: ignore[arg-type]  # the members of Stage


# --- the table -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "items", "clause"),
    [
        ("wrong_item", {"goods": 333_334}, "HW.1"),
        ("missing_quantity", {"goods": 333_334, "shipping": 66_667, "transaction_fee": 16_667}, "HQ.2"),
        ("missing_part", {"goods": 333_334}, "HP.3"),
    ],
)
def test_a_full_refund(reason: str, items: dict[str, int], clause: str) -> None:
    stage = hakago(Line(400_000, 3, 200_000))
    stage.admit(reason=reason, units={1: [1]})
    stage.full()
    # 400,000 less 66,667 of the discount; shipping and fee over three units, the first having one more
    expected = {**items, "goods": 400_000 - 66_667}
    assert breakdown(stage.decided()[0]) == expected
    assert set(clauses(stage.decided()[0]).values()) == {clause}


@pytest.mark.parametrize(
    ("reason", "clause"), [("wrong_item", "HW.2"), ("missing_quantity", "HW.2"), ("missing_part", "HP.2")]
)
@pytest.mark.parametrize(
    ("named", "given", "capped"),
    [(300_000, 300_000, False), (1_000_000, 1_000_000, False), (1_000_001, 1_000_000, True)],
)
def test_a_partial_refund_is_the_seller_s_amount_at_most_the_value(
    reason: str, clause: str, named: int, given: int, capped: bool
) -> None:
    stage = hakago()
    stage.admit(reason=reason)
    stage.partial(named)
    [decided] = stage.decided()
    assert breakdown(decided) == {"compensation": given}
    assert clauses(decided) == {"compensation": clause}
    texts = [reason.text for reason in decided.lines[0].reasons]
    assert any(f"{named} VND, capped at {given} VND" in text for text in texts) is capped


@pytest.mark.parametrize(
    ("amount", "rate", "given"),
    [
        ("12.50", "25400", 317_500),
        ("12.5", "25400", 317_500),
        ("0.01", "25450", 255),
        ("0.01", "25449.99", 254),
        ("1", "25400.5", 25_401),
        ("1", "25400.4", 25_400),
        ("40", "25400", 1_000_000),
    ],
)
def test_an_amount_in_the_exchange_currency(amount: str, rate: str, given: int) -> None:
    stage = hakago(exchange=("USD", rate))
    stage.admit(reason="wrong_item")
    stage.partial(amount, currency="USD")
    assert breakdown(stage.decided()[0]) == {"compensation": given}
    assert "exchange-rate" in {reading.entry for reading in stage.decided()[0].readings}


@pytest.mark.parametrize("reason", ["wrong_item", "missing_quantity", "missing_part"])
def test_a_resend_is_free(reason: str) -> None:
    stage = hakago()
    stage.admit(reason=reason, parts={1: "lid"})
    stage.assess(remedy="replacement", answer=("an-1", "resend", None))
    [decided] = stage.decided()
    assert decided.replacement is not None
    assert decided.replacement.ship_cost.payer == "merchant"
    assert decided.refund is None


def test_the_share_key_is_by_value_and_the_other_reading_is_shown_with_its_amount() -> None:
    stage = hakago(Line(700_000), Line(300_000), shipping=100_000, fee=10_000)
    stage.admit(reason="missing_quantity", units={1: [1]})
    stage.full()
    [decided] = stage.decided()
    assert breakdown(decided) == {"goods": 700_000, "shipping": 70_000, "transaction_fee": 7_000}
    [reading] = [one for one in decided.readings if one.entry == "share-key"]
    assert reading.chosen == "by-value"
    assert {one.reading: one.amount for one in reading.alternatives} == {"by-value": "777000", "by-units": "755000"}


def test_all_that_is_missing_in_two_claims_adds_up_to_what_was_paid() -> None:
    stage = hakago(Line(700_000), Line(300_000), shipping=99_999, fee=11_111, payments=(500_000, 611_110))
    for claim, line in (("a", 1), ("b", 2)):
        stage.admit(claim, "missing_quantity", {line: [1]})
        stage.full(claim=claim)
    assert [int(one.amount) for one in stage.instructed()] == [777_777, 333_333]
    assert [back_to(one) for one in stage.instructed()] == [{"p-1": 500_000, "p-2": 277_777}, {"p-2": 333_333}]


# --- supersession --------------------------------------------------------------------------------------------------


def test_a_later_answer_pays_the_difference_item_by_item() -> None:
    stage = hakago()
    stage.admit(reason="missing_quantity")
    stage.partial(300_000)
    stage.full("an-2")
    first, second = stage.decided()
    assert (second.decision_no, second.follows, first.follows) == (2, 1, None)
    assert breakdown(second) == {
        "goods": 1_000_000,
        "shipping": 200_000,
        "transaction_fee": 50_000,
        "compensation": -300_000,
    }
    assert clauses(second) == {"goods": "HQ.2", "shipping": "HQ.2", "transaction_fee": "HQ.2", "compensation": "HW.2"}
    assert [int(one.amount) for one in stage.instructed()] == [300_000, 950_000]
    assert len({one.refund_id for one in stage.instructed()}) == 2


@pytest.mark.parametrize("later", [299_999, 1])
def test_a_lower_answer_is_for_a_person(later: int) -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.partial(300_000)
    stage.partial(later, "an-2")
    [referred] = stage.referred()
    assert referred.entry == "superseded-lower"
    assert shown(referred, "superseded-lower") == {"earlier-answer": "300000", "later-answer": str(later)}
    assert referred.revision == 2
    assert len(stage.decided()) == 1


def test_after_a_lower_answer_a_higher_one_pays_the_difference_to_what_was_given() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.partial(300_000)
    stage.partial(200_000, "an-2")
    stage.full("an-3")
    assert breakdown(stage.decided()[1]) == {"goods": 1_000_000, "compensation": -300_000}


def test_an_answer_of_the_same_total_makes_no_decision() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.partial(1_200_000)
    stage.partial(1_500_000, "an-2")
    stage.full("an-3")
    assert len(stage.decided()) == 1
    assert not stage.referred()
    assert stage.notes[-1] == "a later answer of the same total"


def test_the_same_answer_assessed_again_makes_no_decision() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.partial(300_000)
    stage.partial(300_000)
    assert len(stage.decided()) == 1
    assert not stage.referred()
    assert stage.notes[-1] == "assessment 2 without effect"


def test_a_resend_after_a_refund_is_for_a_person() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.full()
    stage.assess(remedy="replacement", answer=("an-2", "resend", None))
    assert [one.entry for one in stage.referred()] == ["answer-after-decision"]
    assert len(stage.decided()) == 1


def test_an_answer_after_a_replacement_or_a_rejection_is_for_a_person() -> None:
    stage = hakago(Line(1_000_000), Line(1_000_000))
    stage.admit("a", "wrong_item", {1: [1]})
    stage.assess("a", remedy="replacement", answer=("an-1", "resend", None))
    stage.full("an-2", "a")
    stage.admit("b", "wrong_item", {2: [1]})
    stage.assess("b", status="rejected", remedy=None)
    stage.full("an-3", "b")
    assert [one.entry for one in stage.referred("a") + stage.referred("b")] == ["answer-after-decision"] * 2
    assert not stage.instructed()


def test_an_answer_after_a_cancellation_or_a_staff_decision_changes_nothing_here() -> None:
    stage = hakago(Line(1_000_000), Line(1_000_000))
    stage.admit("a", "wrong_item", {1: [1]})
    stage.cancel("a")
    stage.full(claim="a")
    stage.admit("b", "wrong_item", {2: [1]})
    stage.review(amount=400_000, claim="b")
    stage.full("an-2", "b")
    assert [one.outcome for one in stage.decided("a") + stage.decided("b")] == ["cancelled", "refund"]
    assert not stage.referred("a")
    assert not stage.referred("b")


def test_a_superseding_answer_above_what_is_left_is_for_a_person() -> None:
    stage = hakago(Line(1_000_000), Line(1_000_000), shipping=0, fee=0)
    stage.admit("a", "wrong_item", {1: [1]})
    stage.partial(300_000, claim="a")
    stage.admit("b", "wrong_item", {2: [1]})
    stage.review(amount=1_500_000, claim="b")
    stage.full("an-2", "a")
    [referred] = stage.referred("a")
    assert shown(referred, "above-what-is-left") == {"as-calculated": "1000000", "what-is-left": "500000"}


# --- return postage ------------------------------------------------------------------------------------------------


def test_postage_is_its_own_item_in_the_breakdown_s_order() -> None:
    stage = hakago()
    stage.admit(reason="missing_part")
    stage.partial(300_000, postage={"r-1": 80_000, "r-2": 10_000}, clause="HP.4")
    [decided] = stage.decided()
    assert list(breakdown(decided).items()) == [("return_postage", 90_000), ("compensation", 300_000)]
    assert clauses(decided) == {"return_postage": "HP.4", "compensation": "HP.2"}


def test_a_replacement_may_carry_postage() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.assess(remedy="replacement", answer=("an-1", "resend", None), postage={"r-1": 150_000})
    [decided] = stage.decided()
    assert decided.outcome == "replacement"
    assert breakdown(decided) == {"return_postage": 150_000}
    assert decided.replacement is not None
    assert back_to(stage.instructed()[0]) == {"p-1": 150_000}


def test_postage_beyond_the_payments_has_no_payment() -> None:
    stage = hakago(shipping=0, fee=0, payments=(400_000, 600_000))
    stage.admit(reason="wrong_item")
    stage.full(postage={"r-1": 150_000})
    assert back_to(stage.instructed()[0]) == {"p-1": 400_000, "p-2": 600_000, "beyond": 150_000}
    assert stage.instructed()[0].payments[-1].provider is None


def test_goods_go_beyond_the_payments_where_postage_took_their_room() -> None:
    stage = hakago(Line(600_000), Line(400_000), shipping=0, fee=0)
    stage.admit("a", "wrong_item", {1: [1]})
    stage.full(claim="a", postage={"r-1": 150_000})
    stage.admit("b", "wrong_item", {2: [1]})
    stage.full(claim="b")
    assert [back_to(one) for one in stage.instructed()] == [{"p-1": 750_000}, {"p-1": 250_000, "beyond": 150_000}]


def test_postage_is_in_both_totals_and_paid_once() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.partial(300_000, postage={"r-1": 150_000})
    stage.full("an-2", postage={"r-1": 150_000})
    assert breakdown(stage.decided()[1]) == {"goods": 1_000_000, "compensation": -300_000}


def test_postage_that_came_later_does_not_hide_a_lower_answer() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.partial(300_000)
    stage.partial(250_000, "an-2", postage={"r-1": 150_000})
    assert [one.entry for one in stage.referred()] == ["superseded-lower"]


@pytest.mark.parametrize("verdict", ["refund", "replacement", "reject"])
def test_postage_beside_a_seller_s_refusal(verdict: str) -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.refused_by_seller({"r-1": 150_000})
    stage.review(verdict, amount=300_000 if verdict == "refund" else None)
    [decided] = stage.decided()
    compensation = {"compensation": 300_000} if verdict == "refund" else {}
    assert breakdown(decided) == {"return_postage": 150_000, **compensation}
    assert clauses(decided)["return_postage"] == "HW.3"
    assert int(stage.instructed()[0].amount) == 150_000 + compensation.get("compensation", 0)


def test_postage_beside_all_that_was_paid() -> None:
    stage = hakago()
    stage.admit(reason="missing_part")
    stage.refused_by_seller({"r-1": 150_000})
    stage.review(amount=1_250_000)
    assert back_to(stage.instructed()[0]) == {"p-1": 1_250_000, "beyond": 150_000}


def test_the_same_staff_amount_beside_postage_again_is_nothing_new() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.refused_by_seller({"r-1": 150_000})
    stage.review(amount=300_000)
    assert stage.review(amount=300_000) == []
    stage.review(amount=310_000)
    assert breakdown(stage.decided()[1]) == {"compensation": 10_000}
    assert stage.review(amount=309_999)
    assert stage.refusals() == ["lower_than_given"]


def test_postage_that_the_policy_decided_is_in_the_staff_total() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.partial(300_000, postage={"r-1": 150_000})
    stage.review(amount=500_000)
    assert breakdown(stage.decided()[1]) == {"compensation": 50_000}
    stage.review(amount=499_999)
    assert stage.refusals() == ["lower_than_given"]


def test_postage_beside_staff_amounts_is_instructed_again_when_it_failed() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.refused_by_seller({"r-1": 150_000})
    stage.review(amount=300_000)
    stage.settle("failed")
    stage.review(amount=300_000)
    assert breakdown(stage.decided()[1]) == {"return_postage": 150_000, "compensation": 300_000}
    assert stage.review(amount=300_000) == []


def test_postage_of_the_policy_s_failed_refund_stays_within_the_staff_total() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.full(postage={"r-1": 150_000})
    stage.settle("failed")
    stage.review(amount=1_150_000)
    assert breakdown(stage.decided()[1]) == {"return_postage": 150_000, "compensation": 1_000_000}
    assert stage.instructed()[1].amount == "1150000"


def test_a_staff_total_below_the_postage_of_a_failed_refund() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.full(postage={"r-1": 150_000})
    stage.settle("failed")
    stage.review(amount=100_000)
    assert breakdown(stage.decided()[1]) == {"return_postage": 100_000}


def test_a_failed_postage_beside_a_replacement_is_instructed_again_and_nothing_is_sent_twice() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.assess(remedy="replacement", answer=("an-1", "resend", None), postage={"r-1": 150_000})
    stage.settle("failed")
    stage.review("reject")
    assert stage.refusals() == ["already_replaced"]
    stage.review("replacement")
    second = stage.decided()[1]
    assert (second.outcome, second.replacement) == ("replacement", None)
    assert breakdown(second) == {"return_postage": 150_000}


# --- the race between the two topics -------------------------------------------------------------------------------


def test_postage_is_paid_though_the_review_was_read_before_the_assessment_that_owes_it() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.returned("r-1", 150_000)
    stage.review(amount=300_000)
    stage.refused_by_seller({"r-1": 150_000})
    first, second = stage.decided()
    assert breakdown(first) == {"compensation": 300_000}
    assert breakdown(second) == {"return_postage": 150_000}
    assert (first.decided_by, second.decided_by) == ("staff:sara", "policy")
    assert [line.verdict for line in second.lines] == ["eligible"], "its units stay refunded"
    stage.refused_by_seller({"r-1": 150_000})
    assert len(stage.decided()) == 2
    assert stage.review(amount=300_000) == []


def test_late_postage_is_only_what_the_staff_decision_did_not_add() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.returned("r-1", 100_000)
    stage.refused_by_seller({"r-1": 100_000})
    stage.returned("r-2", 50_000)
    stage.review(amount=300_000)
    stage.refused_by_seller({"r-1": 100_000, "r-2": 50_000})
    assert [breakdown(one).get("return_postage") for one in stage.decided()] == [100_000, 50_000]
    assert stage.review(amount=300_000) == [], "all of it stands beside the staff amount"
    stage.review(amount=299_999)
    assert stage.refusals() == ["lower_than_given"]


def test_a_return_after_the_staff_decision_pays_no_postage() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    stage.review(amount=300_000)
    stage.returned("r-1", 150_000)
    stage.refused_by_seller({"r-1": 150_000})
    assert len(stage.decided()) == 1


def test_a_return_that_the_merchant_paid_for_leaves_no_trace() -> None:
    stage = hakago()
    stage.admit(reason="wrong_item")
    before = stage.order
    stage.returned("r-1", 150_000, paid_by="merchant")
    assert stage.order == before
