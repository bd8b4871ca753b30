"""Reading, writing, rounding and sharing out of amounts."""

import pytest

from shared.money import (
    DECIMALS,
    MoneyError,
    apportion,
    exchange,
    is_currency,
    minor,
    minors,
    rate,
    round_half_up,
    text,
)


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("11700000", "IRR", 11_700_000),
        ("0", "VND", 0),
        ("-300000", "IRR", -300_000),
        ("12.30", "USD", 1230),
        ("12.3", "USD", 1230),
        ("12", "USD", 1200),
        ("0.05", "USD", 5),
        ("-0.05", "USD", -5),
        ("1.234", "KWD", 1234),
        ("1.2345", "CLF", 12345),
        ("999999999999999", "IRR", 999_999_999_999_999),
    ],
)
def test_an_amount_is_read_as_minor_units(amount: str, currency: str, units: int) -> None:
    assert minor(amount, currency) == units


@pytest.mark.parametrize(
    ("amounts", "currency", "units"),
    [
        (["1", "12.3", "-0.05", "0"], "USD", [100, 1230, -5, 0]),
        (["11700000", "-1", "007"], "IRR", [11_700_000, -1, 7]),
        (["12"], "KWD", [12_000]),
        ([], "USD", []),
    ],
)
def test_several_amounts_are_read_as_each_by_itself(amounts: list[str], currency: str, units: list[int]) -> None:
    assert list(minors(amounts, currency)) == units == [minor(one, currency) for one in amounts]


@pytest.mark.parametrize("amount", ["۱۲", "²", "1,000", "1.234", "", " 1", "1_0"])
def test_one_of_several_that_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(MoneyError):
        list(minors(["1", amount], "USD"))


@pytest.mark.parametrize(
    ("units", "currency", "amount"),
    [
        (11_700_000, "IRR", "11700000"),
        (-300_000, "IRR", "-300000"),
        (1230, "USD", "12.30"),
        (1200, "USD", "12.00"),
        (5, "USD", "0.05"),
        (-5, "USD", "-0.05"),
        (0, "USD", "0"),
        (0, "IRR", "0"),
        (1234, "KWD", "1.234"),
        (12345, "CLF", "1.2345"),
    ],
)
def test_minor_units_are_written_as_a_decimal_string(units: int, currency: str, amount: str) -> None:
    assert text(units, currency) == amount


@pytest.mark.parametrize(
    ("amount", "says"),
    [
        ("1.0", "more decimals"),
        ("1e6", "plain decimal"),
        ("1,000", "plain decimal"),
        ("1٬000", "plain decimal"),
        ("۱۲", "plain decimal"),
        ("+1", "plain decimal"),
        (" 1", "plain decimal"),
        ("1 ", "plain decimal"),
        ("1\n", "plain decimal"),
        ("", "plain decimal"),
        ("-", "plain decimal"),
        (".5", "plain decimal"),
        ("5.", "plain decimal"),
        ("NaN", "plain decimal"),
        ("Infinity", "plain decimal"),
        ("0x10", "plain decimal"),
        ("1_000", "plain decimal"),
    ],
)
def test_what_is_no_amount_is_refused_with_a_reason(amount: str, says: str) -> None:
    with pytest.raises(MoneyError, match=says):
        minor(amount, "IRR")


@pytest.mark.parametrize(
    ("currency", "places"), [("IRR", 0), ("VND", 0), ("USD", 2), ("JPY", 0), ("BHD", 3), ("UYW", 4)]
)
def test_decimals_are_those_of_the_currency(currency: str, places: int) -> None:
    assert DECIMALS[currency] == places


def test_the_table_is_iso_4217() -> None:
    assert len(DECIMALS) == 165
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in DECIMALS)
    assert {code for code, places in DECIMALS.items() if places == 0} == {
        *("BIF", "CLP", "DJF", "GNF", "IRR", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"),
        *("XAF", "XOF", "XPF"),
    }


# XXX is ISO 4217's own code for "no currency", XAU for gold: in the standard, and no money.
@pytest.mark.parametrize("code", ["IRT", "TMN", "XXX", "XAU", "irr", "", "US", "ریال"])
def test_what_is_no_currency_is_refused(code: str) -> None:
    assert not is_currency(code)
    with pytest.raises(MoneyError, match="not an ISO 4217"):
        minor("1", code)
    with pytest.raises(MoneyError, match="not an ISO 4217"):
        text(1, code)


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [
        (5, 2, 3),
        (-5, 2, -2),
        (4, 3, 1),
        (5, 3, 2),
        (-4, 3, -1),
        (-5, 3, -2),
        (7, 7, 1),
        (0, 9, 0),
        (5, -2, -2),
        (1, 2, 1),
    ],
)
def test_halves_are_rounded_up(numerator: int, denominator: int, rounded: int) -> None:
    assert round_half_up(numerator, denominator) == rounded


def test_nothing_is_divided_by_0() -> None:
    with pytest.raises(ZeroDivisionError):
        round_half_up(1, 0)


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (101, [1, 1, 1], [34, 34, 33]),
        (1, [1, 1], [1, 0]),
        (1_000_000, [6_000_000, 2_500_000], [705_882, 294_118]),
        (100, [2, 1], [67, 33]),
        (10, [0, 5, 0, 5], [0, 5, 0, 5]),
        (7, [0, 1], [0, 7]),
        (0, [3, 4], [0, 0]),
        (0, [0, 0], [0, 0]),
        (0, [], []),
        (99_999, [700_000, 300_000], [69_999, 30_000]),
        (2, [3, 3, 3, 3], [1, 1, 0, 0]),
    ],
)
def test_shares_are_by_largest_remainder_and_ties_go_to_the_earlier(
    total: int, weights: list[int], shares: list[int]
) -> None:
    assert apportion(total, weights) == shares


@pytest.mark.parametrize(("total", "weights"), [(1, []), (1, [0, 0]), (-1, [1]), (1, [2, -1])])
def test_what_cannot_be_shared_out_is_refused(total: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weight"):
        apportion(total, weights)


@pytest.mark.parametrize(("given", "fraction"), [("25400", (25400, 1)), ("25400.5", (254005, 10)), ("0.01", (1, 100))])
def test_a_rate_is_an_exact_fraction(given: str, fraction: tuple[int, int]) -> None:
    assert rate(given) == fraction


@pytest.mark.parametrize("given", ["0", "0.00", "-1", "1e3", "", "1.", "٣"])
def test_a_rate_is_above_0_and_plain(given: str) -> None:
    with pytest.raises(MoneyError, match="rate"):
        rate(given)


@pytest.mark.parametrize(
    ("amount", "per_unit", "converted"),
    [
        (1250, "25400", 317_500),
        (1, "25450", 255),
        (1, "25449", 254),
        (333, "25400.5", 84_584),
        (0, "25400", 0),
    ],
)
def test_an_exchanged_amount_is_rounded_half_up_once(amount: int, per_unit: str, converted: int) -> None:
    assert exchange(amount, "USD", "VND", per_unit) == converted


def test_an_exchanged_amount_is_in_the_minor_units_of_its_currency() -> None:
    assert exchange(25_400, "VND", "USD", "0.00003937") == 100
