"""Spans of units against plain sets of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.intake.units import Spans, count, lowest, lowest_free, numbers, union

unit_sets = st.sets(st.integers(1, 30))


def spans_of(units: set[int]) -> Spans:
    return union(((unit, unit),) for unit in units)


@given(st.lists(unit_sets, max_size=4))
def test_union(sets: list[set[int]]) -> None:
    together = union(spans_of(each) for each in sets)
    expected = sorted(set().union(*sets))
    assert list(numbers(together)) == expected
    assert count(together) == len(expected)
    assert all(first[1] + 1 < second[0] for first, second in pairwise(together))


@given(unit_sets, st.integers(1, 30), st.integers(0, 40))
def test_lowest_free(taken: set[int], size: int, wanted: int) -> None:
    taken = {unit for unit in taken if unit <= size}
    expected = [unit for unit in range(1, size + 1) if unit not in taken][:wanted]
    assert list(numbers(lowest_free(spans_of(taken), size, wanted))) == expected


@given(unit_sets, st.integers(0, 40))
def test_lowest(units: set[int], wanted: int) -> None:
    assert list(numbers(lowest(spans_of(units), wanted))) == sorted(units)[:wanted]
