"""Pricing under a policy made up for it: what the two merchants' policies do not need, a third one may."""

from collections.abc import Mapping

import pytest

from services.refund_calculation.assessed import ship_payer
from shared.ledger import open_ledger
from shared.policy.model import Policy
from shared.policy.rules import Situation
from shared.pricing import Claimed, Named, Past, Priced, PricingError, price, weigh
from tests.policy_samples import made_up
from tests.unit.test_ledger import Carriage, Line, Paid, Placed

ENTRIES: dict[str, object] = {
    "base": {"readings": {"small": "2 %", "large": "10 %"}, "on_difference": "review", "when": "after_inspection"},
    "scope": {"readings": {"kept": "kept", "waived": "waived"}, "on_difference": "review", "when": "after_inspection"},
    "goods": {"readings": {"units": "the units' value"}, "chosen": "units", "on_difference": "decide"},
    "heading": {"readings": {"first": "2 %", "second": "3 %"}, "chosen": "second", "on_difference": "decide"},
}


def fee(percent: str, of: str = "deposit", **under: str) -> dict[str, object]:
    return {
        "kind": "fee",
        "clause": "C2",
        "item": "withdrawal_fee",
        "percent": percent,
        "of": of,
        "payer": "customer",
        "below_zero": "nothing-left",
        "under": under,
    }


def share(item: str, of: str, **more: object) -> dict[str, object]:
    return {"kind": "share", "clause": "C1", "item": item, "of": of, **more}


def policy(**rules: Mapping[str, object]) -> Policy:
    return made_up("withdrawal", rules, ENTRIES)


LEDGER = open_ledger(
    Placed((Line("1", "100.00", 2), Line("2", "50.00")), (Paid("260.00"),), "0", Carriage("8.00"), "2.00", "EUR")
)


def claimed(line: str = "1", whole: bool = False, named: Named | None = None) -> Claimed:
    return Claimed("withdrawal", {line: [1]}, Situation(), named, whole)


def amounts(priced: Priced) -> dict[str, int]:
    return {name: item.amount for name, item in priced.items.items()}


GOODS = share("goods", "units", under={"goods": "units"})


def test_two_open_points_are_weighed_together() -> None:
    made = policy(
        goods=GOODS,
        small=fee("2", base="small", scope="kept"),
        large=fee("10", base="large", scope="kept"),
    )
    weighed = weigh(made, LEDGER, claimed())
    assert weighed.refers == "base"
    shown = {one.entry: {each.reading: each.amount for each in one.alternatives} for one in weighed.shown}
    assert shown == {
        "base": {"small": "94.80", "large": "74.00"},
        "scope": {"kept": "94.80", "waived": "100.00"},
        "goods": {"units": None},
    }
    assert [(one.entry, one.chosen) for one in weighed.shown] == [("base", None), ("scope", None), ("goods", "units")]


def test_a_difference_that_shows_only_under_another_entry_s_other_reading_is_a_difference() -> None:
    made = policy(goods=GOODS, large=fee("10", base="large", scope="waived"))
    weighed = weigh(made, LEDGER, claimed())
    assert weighed.refers == "base"
    assert {one.entry: one.chosen for one in weighed.shown} == {"base": None, "scope": None, "goods": "units"}


def test_an_entry_that_changes_nothing_does_not_refer() -> None:
    made = policy(goods=GOODS, small=fee("2", base="small"), same=fee("2", base="large"))
    weighed = weigh(made, LEDGER, claimed())
    assert weighed.refers is None
    assert amounts(weighed.priced) == {"goods": 10_000, "withdrawal_fee": -520}
    shown = [(one.entry, one.chosen, [each.amount for each in one.alternatives]) for one in weighed.shown]
    assert shown == [("base", "small", ["94.80", "94.80"]), ("goods", "units", ["94.80"])]
    assert [one.rule for one in weighed.priced.applied] == ["goods", "small"]


def test_a_decided_entry_is_priced_as_the_register_has_chosen() -> None:
    made = policy(goods=GOODS, two=fee("2", heading="first"), three=fee("3", heading="second"))
    weighed = weigh(made, LEDGER, claimed())
    assert weighed.refers is None
    assert amounts(weighed.priced) == {"goods": 10_000, "withdrawal_fee": -780}
    assert {one.entry: [each.amount for each in one.alternatives] for one in weighed.shown} == {
        "goods": ["92.20"],
        "heading": ["94.80", "92.20"],
    }


def test_an_entry_that_no_rule_of_this_money_depends_on_is_not_shown() -> None:
    carriage = {"kind": "cost", "clause": "C3", "item": "return_postage", "payer": "merchant"}
    made = policy(
        goods=GOODS,
        carriage={**carriage, "under": {"base": "small"}},
        answered={**share("shipping", "units"), "under": {"scope": "kept"}, "when": {"answer": ["refund_full"]}},
    )
    assert [one.entry for one in weigh(made, LEDGER, claimed()).shown] == ["goods"]


def test_one_reading_that_takes_the_refund_below_0_is_for_a_person_under_its_own_entry() -> None:
    made = policy(goods=GOODS, small=fee("2", base="small"), large=fee("50", base="large"))
    weighed = weigh(made, LEDGER, claimed())
    assert weighed.refers == "nothing-left"
    shown = {one.entry: {each.reading: each.amount for each in one.alternatives} for one in weighed.shown}
    assert shown == {
        "nothing-left": {"nothing": "0"},
        "base": {"small": "94.80", "large": "0"},
        "goods": {"units": None},
    }


def test_only_the_entry_that_matters_refers() -> None:
    made = policy(
        goods=GOODS, **{f"{base}-{scope}": fee("2" if scope == "kept" else "3", base=base, scope=scope)
                        for base in ("small", "large") for scope in ("kept", "waived")}
    )  # fmt: skip
    weighed = weigh(made, LEDGER, claimed())
    assert weighed.refers == "scope"
    assert {one.entry: one.chosen for one in weighed.shown} == {"base": "small", "scope": None, "goods": "units"}


def test_below_0_names_its_entry_though_the_register_does_not_have_it() -> None:
    weighed = weigh(policy(goods=GOODS, fee=fee("50")), LEDGER, claimed())
    assert weighed.refers == "nothing-left"
    assert weighed.shown[0].entry == "nothing-left"
    assert amounts(weighed.priced) == {"goods": 10_000, "withdrawal_fee": -10_000}
    assert weighed.priced.total == 0


@pytest.mark.parametrize(
    ("past", "taken"),
    [(Past(), 1300), (Past(fee_borne=300), 1000), (Past(fee_borne=1300), 0), (Past(fee_borne=9999), 0)],
)
def test_a_fee_of_the_deposit_is_less_by_what_was_borne(past: Past, taken: int) -> None:
    priced = price(policy(goods=GOODS, fee=fee("5")), LEDGER, claimed(), past)
    assert -amounts(priced).get("withdrawal_fee", 0) == taken


@pytest.mark.parametrize(
    ("borne", "taken", "note"),
    [
        (0, 520, ""),
        (779, 520, ""),
        (780, 520, ""),
        (781, 519, "5.20 EUR, capped at 5.19 EUR"),
        (1300, 0, "5.20 EUR, capped at 0 EUR"),
    ],
)
def test_a_fee_of_the_units_is_capped_once_per_order(borne: int, taken: int, note: str) -> None:
    cap = {"kind": "cap", "clause": "C3", "item": "withdrawal_fee", "at": "once_per_order"}
    made = policy(goods=GOODS, fee=fee("5", "units_deposit"), cap=cap)
    priced = price(made, LEDGER, claimed(), Past(fee_borne=borne))
    assert -amounts(priced).get("withdrawal_fee", 0) == taken
    notes = [one.note for one in priced.applied if one.rule == "cap"]
    assert notes == ([note] if note else [])


def test_a_cap_on_what_is_not_there_does_nothing() -> None:
    cap = {"kind": "cap", "clause": "C3", "item": "compensation", "at": "units_value"}
    priced = price(policy(goods=GOODS, cap=cap), LEDGER, claimed())
    assert amounts(priced) == {"goods": 10_000}
    assert [one.rule for one in priced.applied] == ["goods"]


def test_without_a_fee_nothing_is_left_of_it() -> None:
    cap = {"kind": "cap", "clause": "C3", "item": "compensation", "at": "once_per_order"}
    priced = price(policy(answer=share("compensation", "answer"), cap=cap), LEDGER, claimed(named=Named("5", "EUR")))
    assert amounts(priced) == {}


@pytest.mark.parametrize(
    ("item", "given", "left"),
    [
        ("goods", 0, 25_000),
        ("goods", 5_000, 20_000),
        ("shipping", 300, 500),
        ("shipping", 900, 0),
        ("transaction_fee", 0, 200),
    ],
)
def test_what_is_left_of_the_order_s_item_comes_with_the_whole(item: str, given: int, left: int) -> None:
    made = policy(rest=share(item, "order"))
    past = Past(given={item: given})  # type: ignore[dict-item]  # one of the items, from the table
    assert amounts(price(made, LEDGER, claimed(whole=True), past)) == ({item: left} if left else {})
    assert amounts(price(made, LEDGER, claimed(), past)) == {}
    assert price(made, LEDGER, claimed(), past).applied == ()


def test_shares_of_one_item_add_up_under_the_first_one_s_clause() -> None:
    second = {**share("shipping", "units", by="units"), "clause": "C3"}
    priced = price(policy(one=share("shipping", "units"), two=second), LEDGER, claimed())
    # 8.00 by value 4 : 1 over the lines, by units 2 : 1
    assert amounts(priced) == {"shipping": 320 + 267}
    assert priced.items["shipping"].clause == "C1"


def test_items_come_in_the_breakdown_s_order_whatever_the_rules_do() -> None:
    made = policy(fee=fee("5"), transaction=share("transaction_fee", "units"), goods=GOODS)
    assert list(price(made, LEDGER, claimed()).items) == ["goods", "transaction_fee", "withdrawal_fee"]


def test_two_items_do_so_as_well() -> None:
    assert list(price(policy(fee=fee("5"), goods=GOODS), LEDGER, claimed()).items) == ["goods", "withdrawal_fee"]


@pytest.mark.parametrize(
    ("named", "given"),
    [(Named("12.34", "EUR"), 1234), (Named("10", "USD", "0.875"), 875), (Named("0.01", "USD", "0.5"), 1)],
)
def test_the_seller_s_amount(named: Named, given: int) -> None:
    priced = price(policy(answer=share("compensation", "answer")), LEDGER, claimed(named=named))
    assert amounts(priced) == {"compensation": given}


@pytest.mark.parametrize(
    ("rule", "named", "says"),
    [
        (share("compensation", "answer"), None, "names no amount"),
        (share("compensation", "answer"), Named("1", "USD"), "no rate for USD"),
        (share("compensation", "units"), None, "no share of compensation"),
        (share("compensation", "order"), None, "no compensation to give back"),
    ],
)
def test_what_cannot_be_priced_says_why(rule: dict[str, object], named: Named | None, says: str) -> None:
    with pytest.raises(PricingError, match=says):
        price(policy(rule=rule), LEDGER, claimed(whole=True, named=named))


@pytest.mark.parametrize(
    ("rule", "payer"),
    [
        pytest.param({"when": {"carrier": ["courier"]}}, "customer", id="named by its carrier: whatever the reason"),
        pytest.param({"when": {"carrier": ["courier"]}, "payer": "merchant"}, "merchant", id="whoever it says"),
        pytest.param({"when": {"carrier": ["post"]}}, "merchant", id="another carrier's"),
        pytest.param({}, "merchant", id="of reasons that name it, so not of this one"),
        pytest.param({"when": {"carrier": ["courier"]}, "item": "return_postage"}, "merchant", id="the way back"),
    ],
)
def test_who_ships_a_replacement_for_a_reason_that_the_policy_does_not_name(
    rule: dict[str, object], payer: str
) -> None:
    cost = {"kind": "cost", "clause": "C3", "item": "replacement_shipping", "payer": "customer", **rule}
    assert ship_payer(policy(cost=cost), "late", Situation(carrier="courier")) == payer


def test_who_ships_a_replacement_is_not_who_pays_the_way_back() -> None:
    back = {"kind": "cost", "clause": "C3", "item": "return_postage", "payer": "customer"}
    sent = {"kind": "cost", "clause": "C3", "item": "replacement_shipping", "payer": "merchant"}
    assert ship_payer(policy(goods=GOODS, back=back, sent=sent), "withdrawal", Situation()) == "merchant"
    assert ship_payer(None, "withdrawal", Situation()) == "merchant"
