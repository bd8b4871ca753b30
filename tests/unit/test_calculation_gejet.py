"""Gejet Mall's money, clause by clause, from assessment to decision and instruction."""

import pytest

from tests.unit.calculation_stage import Line, Stage, back_to, breakdown, clauses, shown


@pytest.mark.parametrize("reason", ["technical_fault", "not_as_described", "physical_damage"])
def test_a_fault_gives_what_was_paid_for_the_units_no_shipping_no_fee(reason: str) -> None:
    stage = Stage(lines=(Line(10_000_000, 2), Line(500_000)), code=500_000, fee=70_000)
    stage.admit(reason=reason, units={1: [2]})
    decided, instructed = stage.assess()
    # the code over 20,000,000 : 500,000 is 487,805 : 12,195; the second unit carries 243,902 of it
    assert breakdown(stage.decided()[0]) == {"goods": 10_000_000 - 243_902}
    assert clauses(stage.decided()[0]) == {"goods": "GN2"}
    assert (decided.type, instructed.type) == ("claim.decided.v1", "refund.instructed.v1")
    assert stage.instructed()[0].amount == "9756098"


WITHDRAWN = [
    pytest.param(Stage(), {"goods": 10_000_000, "withdrawal_fee": -262_500}, id="GN4: shipping is in the deposit"),
    pytest.param(Stage(collect=True), {"goods": 10_000_000, "withdrawal_fee": -250_000}, id="GN4: collected it is not"),
    pytest.param(Stage(fee=100_000), {"goods": 10_000_000, "withdrawal_fee": -265_000}, id="GN4: the fee is"),
    pytest.param(Stage(code=1_000_000), {"goods": 9_000_000, "withdrawal_fee": -237_500}, id="GN2: really paid"),
    pytest.param(
        Stage(lines=(Line(10_000_020),), shipping=0),
        {"goods": 10_000_020, "withdrawal_fee": -250_001},
        id="fee-rounding: half up",
    ),
    pytest.param(
        Stage(lines=(Line(10_000_019),), shipping=0),
        {"goods": 10_000_019, "withdrawal_fee": -250_000},
        id="fee-rounding: below half",
    ),
    pytest.param(
        Stage(lines=(Line(100_000),), shipping=3_900_000),
        {"goods": 100_000, "withdrawal_fee": -100_000},
        id="GN4: exactly 0 is a refund of 0",
    ),
]


@pytest.mark.parametrize(("stage", "expected"), WITHDRAWN)
def test_all_of_an_order_withdrawn(stage: Stage, expected: dict[str, int]) -> None:
    stage.admit(reason="withdrawal")
    stage.assess()
    [decided] = stage.decided()
    assert breakdown(decided) == expected
    assert decided.refund is not None
    assert int(decided.refund.amount) == sum(expected.values())
    assert [(item.payer, item.clause) for item in decided.refund.breakdown] == [
        ("merchant", "GN2"),
        ("customer", "GN4"),
    ]
    assert {reading.entry for reading in decided.readings} >= {"withdrawal-fee-base", "withdrawal-fee-once"}


def test_a_refund_of_0_has_an_amount_and_no_instruction() -> None:
    stage = Stage(lines=(Line(100_000),), shipping=3_900_000)
    stage.admit(reason="withdrawal")
    stage.assess()
    [decided] = stage.decided()
    assert decided.outcome == "refund"
    assert decided.refund is not None
    assert (decided.refund.amount, decided.refund.refund_id) == ("0", None)
    assert not stage.instructed()


@pytest.mark.parametrize(
    ("lines", "units", "fee", "whole_deposit", "units_share"),
    [
        ((Line(10_000_000), Line(5_000_000)), {1: [1]}, 0, "9612500", "9741667"),
        ((Line(10_000_000), Line(5_000_000)), {1: [1]}, 150_000, "9608750", "9739167"),
        ((Line(10_000_000, 2),), {1: [1]}, 0, "9487500", "9743750"),
    ],
)
def test_part_of_an_order_withdrawn_is_referred_with_both_amounts(
    lines: tuple[Line, ...], units: dict[int, list[int]], fee: int, whole_deposit: str, units_share: str
) -> None:
    stage = Stage(lines=lines, fee=fee)
    stage.admit(reason="withdrawal", units=units)
    stage.assess()
    [referred] = stage.referred()
    assert referred.entry == "withdrawal-fee-base"
    assert shown(referred, "withdrawal-fee-base") == {"whole-deposit": whole_deposit, "units-share": units_share}
    assert shown(referred, "fee-rounding") == {"half-up": None}
    assert referred.revision == 1
    assert not stage.decided()


def test_a_part_whose_two_fees_round_to_the_same_is_decided() -> None:
    stage = Stage(lines=(Line(10_000_000), Line(10)), shipping=0)
    stage.admit(reason="withdrawal", units={1: [1]})
    stage.assess()
    [decided] = stage.decided()
    assert breakdown(decided) == {"goods": 10_000_000, "withdrawal_fee": -250_000}
    [reading] = [one for one in decided.readings if one.entry == "withdrawal-fee-base"]
    assert [one.amount for one in reading.alternatives] == ["9750000", "9750000"]


@pytest.mark.parametrize("shipping", [3_900_040, 5_000_000])
def test_a_fee_above_the_goods_is_0_and_for_a_person(shipping: int) -> None:
    stage = Stage(lines=(Line(100_000),), shipping=shipping)
    stage.admit(reason="withdrawal")
    stage.assess()
    [referred] = stage.referred()
    assert referred.entry == "fee-above-goods"
    assert shown(referred, "fee-above-goods") == {"nothing": "0"}


def test_a_fee_above_the_goods_under_one_reading_shows_the_other_too() -> None:
    stage = Stage(lines=(Line(100_000), Line(15_000_000)), shipping=0)
    stage.admit(reason="withdrawal", units={1: [1]})
    stage.assess()
    [referred] = stage.referred()
    assert referred.entry == "fee-above-goods"
    assert shown(referred, "withdrawal-fee-base") == {"whole-deposit": "0", "units-share": "97500"}


@pytest.mark.parametrize(
    ("staff", "borne_next", "whole", "share"),
    [
        pytest.param(9_750_000, 250_000, None, None, id="bore its own share: the readings agree"),
        pytest.param(9_500_000, 0, None, None, id="bore all of it"),
        pytest.param(9_000_000, 0, None, None, id="never more than the fee is borne"),
        pytest.param(10_100_000, None, "9500000", "9750000", id="never less than nothing is borne"),
        pytest.param(9_900_000, None, "9600000", "9750000", id="bore a part"),
        pytest.param(9_600_000, 100_000, None, None, id="what is left is less than the share: capped once per order"),
    ],
)
def test_the_fee_is_borne_once_per_order(
    staff: int, borne_next: int | None, whole: str | None, share: str | None
) -> None:
    stage = Stage(lines=(Line(10_000_000), Line(10_000_000)), shipping=0)
    stage.admit("a", "withdrawal", {1: [1]})
    stage.assess("a")
    stage.review(amount=staff)
    stage.admit("b", "withdrawal", {2: [1]})
    stage.assess("b")
    if borne_next is None:
        assert shown(stage.referred("b")[0], "withdrawal-fee-base") == {"whole-deposit": whole, "units-share": share}
        return
    fee = {"withdrawal_fee": -borne_next} if borne_next else {}
    assert breakdown(stage.decided("b")[0]) == {"goods": 10_000_000, **fee}


def test_a_fee_item_is_what_the_policy_s_refund_has_borne() -> None:
    stage = Stage(lines=(Line(10_000_000), Line(2_000_000, 1, 2_000_000)))
    stage.admit("a", "withdrawal", {1: [1]})
    stage.assess("a")
    stage.admit("b", "withdrawal", {2: [1]})
    stage.assess("b")
    [decided] = stage.decided("b")
    assert decided.refund is not None
    assert (decided.refund.amount, decided.refund.breakdown, decided.refund.refund_id) == ("0", [], None)


def test_a_fault_bears_nothing_of_the_fee() -> None:
    stage = Stage(lines=(Line(10_000_000), Line(10_000_000)), shipping=0)
    stage.admit("a", "technical_fault", {1: [1]})
    stage.assess("a")
    stage.admit("b", "withdrawal", {2: [1]})
    stage.assess("b")
    amounts = shown(stage.referred("b")[0], "withdrawal-fee-base")
    assert amounts == {"whole-deposit": "9500000", "units-share": "9750000"}


def test_a_cap_that_cuts_is_named_in_the_reasons() -> None:
    stage = Stage(lines=(Line(10_000_000), Line(10_000_000)), shipping=0)
    stage.admit("a", "withdrawal", {1: [1]})
    stage.assess("a")
    stage.review(amount=9_600_000)
    stage.admit("b", "withdrawal", {2: [1]})
    stage.assess("b")
    texts = [reason.text for line in stage.decided("b")[0].lines for reason in line.reasons]
    assert not any("capped" in text for text in texts), "under the chosen base the fee is what is left, not cut"


# --- out of stock: GN4b --------------------------------------------------------------------------------------------


def test_out_of_stock_of_all_gives_the_whole_deposit_back() -> None:
    stage = Stage(lines=(Line(1_000_000, 2), Line(0, gift=True)), fee=20_000, payments=(2_000_000, 520_000))
    stage.admit(reason="out_of_stock", units={1: [1, 2]})
    stage.assess()
    [decided] = stage.decided()
    assert breakdown(decided) == {"goods": 2_000_000, "shipping": 500_000, "transaction_fee": 20_000}
    assert set(clauses(decided).values()) == {"GN4b"}
    assert back_to(stage.instructed()[0]) == {"p-1": 2_000_000, "p-2": 520_000}


def test_out_of_stock_of_some_gives_their_value() -> None:
    stage = Stage(lines=(Line(1_000_000, 2),), fee=20_000)
    stage.admit(reason="out_of_stock", units={1: [1]})
    stage.assess()
    assert breakdown(stage.decided()[0]) == {"goods": 1_000_000}


def test_out_of_stock_in_two_claims_gives_shipping_and_fee_with_the_last() -> None:
    stage = Stage(lines=(Line(1_000_000, 2),), fee=20_000)
    stage.admit("a", "out_of_stock", {1: [1]})
    stage.admit("b", "out_of_stock", {1: [2]})
    stage.assess("b")
    stage.assess("a")
    assert breakdown(stage.decided("b")[0]) == {"goods": 1_000_000}
    assert breakdown(stage.decided("a")[0]) == {"goods": 1_000_000, "shipping": 500_000, "transaction_fee": 20_000}


def test_a_line_at_0_through_a_discount_need_not_be_claimed() -> None:
    stage = Stage(lines=(Line(1_000_000), Line(300_000, 1, 300_000)))
    stage.admit(reason="out_of_stock", units={1: [1]})
    stage.assess()
    assert breakdown(stage.decided()[0]) == {"goods": 1_000_000, "shipping": 500_000}


def test_units_refunded_for_another_reason_are_not_out_of_stock() -> None:
    stage = Stage(lines=(Line(1_000_000, 2),))
    stage.admit("a", "technical_fault", {1: [1]})
    stage.assess("a")
    stage.admit("b", "out_of_stock", {1: [2]})
    stage.assess("b")
    assert breakdown(stage.decided("b")[0]) == {"goods": 1_000_000}


def test_a_rejected_out_of_stock_claim_does_not_count() -> None:
    stage = Stage(lines=(Line(1_000_000, 2),))
    stage.admit("a", "out_of_stock", {1: [1]})
    stage.assess("a", status="rejected", remedy=None)
    stage.admit("b", "out_of_stock", {1: [2]})
    stage.assess("b")
    assert breakdown(stage.decided("b")[0]) == {"goods": 1_000_000}


def test_shipping_that_staff_gave_already_is_not_given_again() -> None:
    stage = Stage(lines=(Line(1_000_000), Line(1_000_000)), shipping=500_000)
    stage.admit("a", "out_of_stock", {1: [1]})
    stage.assess("a")
    stage.review(amount=1_500_000)
    stage.admit("b", "out_of_stock", {2: [1]})
    stage.assess("b")
    [referred] = stage.referred("b")
    assert referred.entry == "above-what-is-left"
    assert shown(referred, "above-what-is-left") == {"as-calculated": "1500000", "what-is-left": "1000000"}


def test_an_order_in_which_nothing_cost_anything_gives_its_shipping_back_with_its_last_unit() -> None:
    stage = Stage(lines=(Line(0, 2),), shipping=300_000)
    stage.admit("a", "out_of_stock", {1: [1]})
    stage.assess("a")
    stage.admit("b", "out_of_stock", {1: [2]})
    stage.assess("b")
    assert stage.decided("a")[0].refund is not None
    assert breakdown(stage.decided("a")[0]) == {}
    assert breakdown(stage.decided("b")[0]) == {"shipping": 300_000}


# --- replacement ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "carrier", "payer"),
    [
        pytest.param("technical_fault", "post", "merchant", id="the merchant ships"),
        pytest.param("technical_fault", "tipax", "customer", id="GN5"),
        pytest.param("technical_fault", "Tipax ", "customer", id="GN5, however it is written"),
        pytest.param("refused_damaged", "post", "merchant", id="G3.1"),
        pytest.param("refused_damaged", "tipax", "customer", id="G3.1 with GN5"),
        pytest.param("undelivered_wrong_address", "post", "customer", id="GA.2"),
        pytest.param("undelivered_absent", "tipax", "customer", id="GN5, absent"),
    ],
)
def test_who_ships_a_replacement(reason: str, carrier: str, payer: str) -> None:
    stage = Stage(lines=(Line(10_000_000, 3),), carrier=carrier)
    stage.admit(reason=reason, units={1: [1, 2]}, parts={1: "lid"})
    stage.assess(remedy="replacement")
    [decided] = stage.decided()
    assert (decided.outcome, decided.refund) == ("replacement", None)
    assert decided.replacement is not None
    assert decided.replacement.model_dump() == {
        "lines": [{"line_id": "1", "quantity": 2, "part": "lid"}],
        "ship_cost": {"payer": payer},
    }
    assert not stage.instructed()


@pytest.mark.parametrize(("carrier", "payer"), [("post", "merchant"), ("tipax", "customer"), ("TIPAX ", "customer")])
def test_who_ships_a_replacement_that_staff_give_for_a_reason_without_a_clause(carrier: str, payer: str) -> None:
    stage = Stage(carrier=carrier)
    stage.admit(reason="late")
    stage.assess(status="awaiting", awaiting="review", remedy=None)
    stage.review("replacement")
    [decided] = stage.decided()
    assert decided.replacement is not None
    assert decided.replacement.ship_cost.payer == payer


# --- lines ---------------------------------------------------------------------------------------------------------


def test_a_rejected_line_takes_nothing_and_carries_no_money_reason() -> None:
    stage = Stage(lines=(Line(1_000_000), Line(2_000_000)))
    stage.admit(reason="technical_fault")
    stage.assess(rejected=[2])
    [decided] = stage.decided()
    assert breakdown(decided) == {"goods": 1_000_000}
    rules = {line.line_id: [reason.rule for reason in line.reasons] for line in decided.lines}
    assert rules == {"1": ["judged", "fault-goods"], "2": ["judged"]}


def test_a_rejection_keeps_every_reason_and_gives_nothing() -> None:
    stage = Stage()
    stage.admit()
    stage.assess(status="rejected", remedy=None)
    [decided] = stage.decided()
    assert (decided.outcome, decided.refund, decided.replacement) == ("rejected", None, None)
    assert [reason.rule for reason in decided.lines[0].reasons] == ["judged"]
    assert decided.decided_by == "policy"
