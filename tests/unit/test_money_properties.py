"""What holds of every amount and every share."""

from hypothesis import given
from hypothesis import strategies as st

from shared.money import DECIMALS, apportion, minor, round_half_up, text

currencies = st.sampled_from(sorted(DECIMALS))
amounts = st.integers(-(10**15), 10**15)
weights = st.lists(st.integers(0, 10**12), min_size=1, max_size=12)


@given(amounts, currencies)
def test_what_is_written_is_read_back(units: int, currency: str) -> None:
    assert minor(text(units, currency), currency) == units


@given(st.integers(0, 10**15), weights.filter(any))
def test_shares_add_up_and_none_is_off_by_one(total: int, by: list[int]) -> None:
    shares = apportion(total, by)
    assert sum(shares) == total
    assert all(abs(share * sum(by) - total * weight) < sum(by) for share, weight in zip(shares, by, strict=True))
    assert all(share == 0 for share, weight in zip(shares, by, strict=True) if weight == 0)


@given(st.integers(0, 10**9), st.lists(st.integers(1, 5), min_size=2, max_size=12))
def test_of_equal_weights_the_earlier_never_has_less(total: int, by: list[int]) -> None:
    shares = apportion(total, by)
    for weight in set(by):
        equal = [share for share, each in zip(shares, by, strict=True) if each == weight]
        assert equal == sorted(equal, reverse=True)
        assert equal[0] - equal[-1] <= 1


@given(amounts, st.integers(1, 10**6))
def test_rounding_is_never_off_by_more_than_half(numerator: int, denominator: int) -> None:
    distance = 2 * (round_half_up(numerator, denominator) * denominator - numerator)
    assert -denominator < distance <= denominator
