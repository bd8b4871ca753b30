"""The units of an order line, numbered from 1, as sorted spans: a claim for 10,000 units is one pair of numbers."""

from collections.abc import Iterable, Iterator

Span = tuple[int, int]
"""First and last unit, both included."""

Spans = tuple[Span, ...]
"""Disjoint and ascending."""


def union(many: Iterable[Spans]) -> Spans:
    """All units that are in any of `many`."""
    merged: list[Span] = []
    for first, last in sorted(span for spans in many for span in spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def count(spans: Spans) -> int:
    """How many units."""
    return sum(last - first + 1 for first, last in spans)


def lowest_free(taken: Spans, size: int, wanted: int) -> Spans:
    """The lowest `wanted` of the units 1…`size` that are not in `taken`; fewer where there are not as many."""
    if not taken:
        return lowest(((1, size),), wanted)
    free: list[Span] = []
    start = 1
    for first, last in (*taken, (size + 1, size + 1)):
        free.append((start, min(first - 1, size)))
        start = last + 1
    return lowest(tuple(free), wanted)


def lowest(spans: Spans, wanted: int) -> Spans:
    """The lowest `wanted` units of `spans`."""
    found: list[Span] = []
    for first, last in spans:
        if wanted <= 0:
            break
        if last < first:
            continue
        found.append((first, min(last, first + wanted - 1)))
        wanted -= last - first + 1
    return tuple(found)


def numbers(spans: Spans) -> Iterator[int]:
    """Each unit's number, ascending."""
    for first, last in spans:
        yield from range(first, last + 1)
