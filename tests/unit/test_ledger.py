"""The ledger of an order: each unit's price and shares, fixed when it is placed (POLICIES, *Both*, Money)."""

from dataclasses import dataclass

import pytest

from shared.ledger import Ledger, LedgerError, open_ledger


@dataclass(frozen=True)
class Line:
    line_id: str
    unit_price: str
    quantity: int = 1
    discount: str = "0"
    gift: bool = False


@dataclass(frozen=True)
class Carriage:
    amount: str = "0"
    collect: bool = False


@dataclass(frozen=True)
class Paid:
    amount: str


@dataclass(frozen=True)
class Placed:
    lines: tuple[Line, ...]
    payments: tuple[Paid, ...]
    discount: str = "0"
    shipping: Carriage = Carriage()
    transaction_fee: str = "0"
    currency: str = "IRR"


def ledger(*lines: Line, paid: int, code: int = 0, shipping: int = 0, fee: int = 0, collect: bool = False) -> Ledger:
    return open_ledger(Placed(lines, (Paid(str(paid)),), str(code), Carriage(str(shipping), collect), str(fee)))


def per_unit(found: Ledger, line_id: str) -> list[int]:
    return [found.value({line_id: [unit]}) for unit in found.whole()[line_id]]


@pytest.mark.parametrize(
    ("made", "line", "values"),
    [
        pytest.param(ledger(Line("1", "100", 3), paid=300), "1", [100, 100, 100], id="prices"),
        pytest.param(ledger(Line("1", "100", 3, "10"), paid=290), "1", [96, 97, 97], id="line discount: 4 3 3"),
        pytest.param(ledger(Line("1", "100", 3), paid=295, code=5), "1", [98, 98, 99], id="code: 2 2 1"),
        pytest.param(ledger(Line("1", "100", 3, "10"), paid=285, code=5), "1", [94, 95, 96], id="each by itself"),
        pytest.param(
            ledger(Line("1", "100"), Line("2", "100"), paid=199, code=1), "1", [99], id="tie to the earlier line"
        ),
        pytest.param(
            ledger(Line("1", "100"), Line("2", "100"), paid=199, code=1), "2", [100], id="and not to the later"
        ),
        pytest.param(
            ledger(Line("1", "6000000"), Line("2", "3000000", 1, "500000"), paid=7_500_000, code=1_000_000),
            "2",
            [2_205_882],
            id="a code by the amounts after the lines' own discounts",
        ),
        pytest.param(ledger(Line("1", "20", 3, "58"), paid=1, code=1), "1", [0, 0, 1], id="never below 0"),
        pytest.param(ledger(Line("1", "20", 3, "56"), paid=3, code=1), "1", [0, 1, 2], id="by the letter where it can"),
        pytest.param(ledger(Line("1", "20", 3, "55"), paid=4, code=1), "1", [0, 2, 2], id="and where it is 2"),
        pytest.param(ledger(Line("1", "20", 4, "73"), paid=1, code=6), "1", [0, 0, 0, 1], id="code of more than 1"),
        pytest.param(
            ledger(Line("1", "0", gift=True), Line("2", "1000"), paid=899, code=101), "2", [899], id="no gift"
        ),
    ],
)
def test_the_value_of_each_unit(made: Ledger, line: str, values: list[int]) -> None:
    assert per_unit(made, line) == values


def test_shipping_and_fee_go_by_the_amounts_after_all_discounts() -> None:
    made = ledger(Line("1", "700000"), Line("2", "600000", 1, "300000"), paid=1_111_110, shipping=99_999, fee=11_111)
    assert [made.shipping_share({"1": [1]}), made.shipping_share({"2": [1]})] == [69_999, 30_000]
    assert [made.fee_share({"1": [1]}), made.fee_share({"2": [1]})] == [7_778, 3_333]


def test_a_line_s_share_goes_to_its_units_evenly_the_first_getting_one_more() -> None:
    made = ledger(Line("1", "100", 3), paid=320, shipping=20)
    assert [made.shipping_share({"1": [unit]}) for unit in (1, 2, 3)] == [7, 7, 6]


def test_the_other_reading_of_the_share_key_goes_by_units() -> None:
    made = ledger(Line("1", "900"), Line("2", "100", 3), Line("3", "0", gift=True), paid=1600, shipping=300, fee=100)
    assert made.shipping_by_units({"1": [1]}) == 75
    assert made.shipping_by_units({"2": [1, 2, 3]}) == 225
    assert made.shipping_by_units({"3": [1]}) == 0
    assert made.fee_by_units({"1": [1]}) == 25
    assert made.shipping_share({"1": [1]}) == 225


def test_collected_shipping_was_not_paid_to_the_shop() -> None:
    made = ledger(Line("1", "1000"), paid=1000, shipping=500, collect=True)
    assert (made.shipping, made.deposit, made.shipping_share(made.whole())) == (0, 1000, 0)


def test_the_share_of_the_deposit_is_the_goods_with_their_shares() -> None:
    made = ledger(Line("1", "10000000"), Line("2", "5000000"), paid=15_650_000, shipping=500_000, fee=150_000)
    assert made.deposit_share({"1": [1]}) == 10_000_000 + 333_333 + 100_000
    assert made.deposit_share(made.whole()) == made.deposit == 15_650_000


@pytest.mark.parametrize(
    ("lines", "code", "shares"),
    [
        pytest.param((Line("1", "300"), Line("2", "100")), 400, [30, 10], id="a code took all: as before it"),
        pytest.param((Line("1", "300", 1, "300"), Line("2", "100", 1, "100")), 0, [30, 10], id="discounts took all"),
        pytest.param((Line("1", "0", 3), Line("2", "0")), 0, [30, 10], id="nothing ever cost anything: by units"),
    ],
)
def test_shipping_on_goods_that_cost_nothing_belongs_to_them_still(
    lines: tuple[Line, ...], code: int, shares: list[int]
) -> None:
    made = ledger(*lines, paid=40, code=code, shipping=40)
    assert [made.shipping_share({line: made.whole()[line]}) for line in ("1", "2")] == shares


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (Placed((Line("1", "100", 1, "101"),), (Paid("0"),)), "line's discount"),
        (Placed((Line("1", "100"),), (Paid("0"),), "101"), "order's discount"),
        (Placed((Line("1", "100"),), (Paid("99"),)), "payments add up"),
        (Placed((Line("1", "100"),), (Paid("101"),)), "payments add up"),
    ],
)
def test_an_order_that_contradicts_itself_has_no_ledger(broken: Placed, says: str) -> None:
    with pytest.raises(LedgerError, match=says):
        open_ledger(broken)


def test_payments_that_do_not_add_up_are_told_with_both_sums() -> None:
    with pytest.raises(LedgerError, match="the payments add up to 150, the order to 148 minor units"):
        ledger(Line("1", "100", 2), paid=150, code=100, shipping=40, fee=8)


def test_several_payments_are_one_deposit() -> None:
    made = open_ledger(Placed((Line("1", "100", 2),), (Paid("150"), Paid("50"))))
    assert made.deposit == 200


def test_one_line_that_takes_off_more_than_it_costs_makes_no_ledger() -> None:
    with pytest.raises(LedgerError, match="more than the line"):
        ledger(Line("1", "100", discount="150"), Line("2", "100"), paid=50)


def test_what_was_paid_for_a_line_is_what_its_units_cost() -> None:
    (line,) = ledger(Line("1", "100", 3, discount="10"), paid=283, code=7).lines.values()
    assert line.paid == line.value((1, 2, 3)) == 283
