"""What pricing asks of a policy, worked out once for each reason and situation: which money rules hold under which
readings of the open points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, Protocol

from shared.policy.rules import MoneyRule, Situation


class Readable(Protocol):
    """What is needed of an entry of the register."""

    @property
    def readings(self) -> Mapping[str, str]: ...
    @property
    def chosen(self) -> str | None: ...
    @property
    def on_difference(self) -> Literal["decide", "review"]: ...


@dataclass(frozen=True, slots=True)
class Point:
    """An open point that the money depends on: the reading taken unless another is named, and all of its readings,
    each with the way in which a claim is priced when only this point is read so."""

    entry: str
    base: str
    readings: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Tariff:
    """`ways` are the different sequences of money rules that some readings lead to; all else names them by their place.

    `base` is the way under every point's base reading, `points` are in the register's order. `open` are the entries
    that the register leaves to review, `combinations` all combinations of their readings, with `points` else at base.
    """

    ways: tuple[tuple[MoneyRule, ...], ...]
    base: int
    points: tuple[Point, ...]
    open: tuple[str, ...]
    combinations: tuple[tuple[tuple[str, ...], int], ...]


def make_tariff(rules: Sequence[MoneyRule], register: Mapping[str, Readable], situation: Situation) -> Tariff:
    """The tariff of a reason that has these money rules; who pays for carriage is no part of it."""
    priced = [rule for rule in rules if rule.kind != "cost" and rule.when.holds(situation)]
    used = {entry for rule in priced for entry in rule.under}
    base = {name: entry.chosen or next(iter(entry.readings)) for name, entry in register.items() if name in used}
    ways: dict[tuple[str, ...], int] = {}
    found: list[tuple[MoneyRule, ...]] = []

    def way(changes: Mapping[str, str]) -> int:
        readings = {**base, **changes}
        holding = tuple(rule for rule in priced if all(readings[name] == read for name, read in rule.under.items()))
        place = ways.setdefault(tuple(rule.id for rule in holding), len(found))
        if place == len(found):
            found.append(holding)
        return place

    at_base = way({})
    points = tuple(
        Point(name, reading, tuple((one, way({name: one})) for one in register[name].readings))
        for name, reading in base.items()
    )
    open_ = tuple(name for name in base if register[name].on_difference == "review")
    combinations = tuple(
        (readings, way(dict(zip(open_, readings, strict=True))))
        for readings in product(*(tuple(register[name].readings) for name in open_))
    )
    return Tariff(tuple(found), at_base, points, open_, combinations)
