"""What `claims replay` does: recorded inputs through the services' pure functions again. Pure.

A service reads two topics without an order between them, and which order it took is not recorded. So for each claim
(eligibility) or order (refund-calculation) an order of its inputs is searched under which exactly the recorded outputs
come out, one after the other: inputs by the time they were written first, another order only where that one fails.
The method: docs/replay.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from cli.recording import Recorded
from shared.events.canonical import digest as canonical_digest
from shared.events.canonical import read

MOST_STEPS = 5_000
"""How many steps the search for an order may take for one claim or order."""

NOTHING = "nothing"

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Said:
    """What a pure function said: type and data."""

    type: str
    value: bytes


class Machine(Protocol[State]):
    """A service's pure function over the inputs of one claim or order."""

    @property
    def service(self) -> str:
        """The service's name."""

    def start(self) -> State:
        """Before any input."""

    def hear(self, state: State, one: Recorded, now: datetime) -> tuple[State, Sequence[Said]]:
        """After an input. What the service would dead-letter changes nothing and says nothing."""

    def due(self, state: State) -> datetime | None:
        """When the service looks at it again by itself."""

    def look(self, state: State, now: datetime) -> tuple[State, Sequence[Said]]:
        """After such a look."""

    def instant(self, outputs: Sequence[Recorded]) -> datetime:
        """When the first of these outputs was made, as exactly as they tell."""

    def mark(self, state: State) -> str:
        """Equal for equal states."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A point in which a replayed output is not the recorded one. `field` is a JSONPath, `$` for the whole; `more`: in
    how many further fields the same output differs; `given_up`: the search had no end within its limit."""

    service: str
    about: str
    place: str
    at: datetime
    field: str
    recorded: str
    replayed: str
    more: int = 0
    given_up: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The end of a search. `reproduced`: how many outputs; `by_time`: with the inputs in the order of their times;
    `caused_by`: the inputs that outputs came from; `unanswered`: inputs with what they would have said, where the
    recording holds no further output."""

    reproduced: int
    by_time: bool
    caused_by: tuple[Recorded, ...] = ()
    unanswered: tuple[tuple[Recorded, Said], ...] = ()
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class _Node(Generic[State]):
    """A point of the search: so many of each topic's inputs heard, so many outputs reproduced."""

    state: State
    heard: tuple[int, ...]
    matched: int
    now: datetime
    caused_by: tuple[Recorded, ...] = ()
    unanswered: tuple[tuple[Recorded, Said], ...] = ()


@dataclass(slots=True)
class Search(Generic[State]):
    """Looks for an order of `inputs` (one sequence per topic) under which `machine` says exactly `outputs`."""

    machine: Machine[State]
    about: str
    inputs: Sequence[Sequence[Recorded]]
    outputs: Sequence[Recorded]
    _steps: int = 0
    _seen: set[tuple[tuple[int, ...], int, str]] = field(default_factory=set)
    _nearest: tuple[int, int, Difference] | None = None
    _turned_back: bool = False

    def run(self) -> Found:
        """Depth first, inputs in the order of their times first; bounded by MOST_STEPS."""
        first = _Node(self.machine.start(), (0,) * len(self.inputs), 0, self._earliest())
        nodes = [first]
        ways = [self._ways(first)]
        unanswered: Found | None = None
        while nodes and self._steps < MOST_STEPS:
            node = nodes[-1]
            if self._ended(node):
                found = Found(node.matched, not self._turned_back, node.caused_by, node.unanswered)
                if not node.unanswered:
                    return found
                unanswered = unanswered or found
            following = next(ways[-1], None)
            if following is None:
                nodes.pop()
                ways.pop()
                self._turned_back = True
            elif self._is_new(following):
                nodes.append(following)
                ways.append(self._ways(following))
        if unanswered is not None:
            return unanswered
        return Found(0, not self._turned_back, difference=self._difference(given_up=bool(nodes)))

    def _earliest(self) -> datetime:
        return min(lane[0].at for lane in (*self.inputs, self.outputs) if lane)

    def _ended(self, node: _Node[State]) -> bool:
        return node.matched == len(self.outputs) and all(
            count == len(lane) for count, lane in zip(node.heard, self.inputs, strict=True)
        )

    def _is_new(self, node: _Node[State]) -> bool:
        if not self._turned_back:
            return True  # nothing can have been met twice on a way straight ahead
        key = (node.heard, node.matched, self.machine.mark(node.state))
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _ways(self, node: _Node[State]) -> Iterator[_Node[State]]:
        """Where it can go on from here: each topic's next input, the one that was written first before the others;
        between them a look because of time, where the next output may come from one."""
        coming = sorted(
            (lane[count].at, place)
            for place, (lane, count) in enumerate(zip(self.inputs, node.heard, strict=True))
            if count < len(lane)
        )
        told = self.machine.instant(self.outputs[node.matched :]) if node.matched < len(self.outputs) else None
        due = self.machine.due(node.state)
        look = told is not None and due is not None and told > due
        for at, place in coming:
            if look and told is not None and at > told:
                look = False
                yield from self._looked(node, told)
            yield from self._heard(node, place, told)
        if look and told is not None:
            yield from self._looked(node, told)

    def _heard(self, node: _Node[State], place: int, told: datetime | None) -> Iterator[_Node[State]]:
        """After the next input of a topic: heard when the next output was made; where that comes to nothing, heard
        when it was written itself, and nothing said to it."""
        one = self.inputs[place][node.heard[place]]
        heard = (*node.heard[:place], node.heard[place] + 1, *node.heard[place + 1 :])
        written = max(node.now, one.at)
        self._steps += 1
        state, said = self.machine.hear(node.state, one, told or written)
        yield from self._follow(node, state, said, heard, one, written)
        if said and told is not None:
            self._steps += 1
            state, said = self.machine.hear(node.state, one, written)
            if not said:
                yield from self._follow(node, state, said, heard, one, written)

    def _looked(self, node: _Node[State], now: datetime) -> Iterator[_Node[State]]:
        self._steps += 1
        state, said = self.machine.look(node.state, now)
        if said:
            yield from self._follow(node, state, said, node.heard, None, now)

    def _follow(
        self,
        node: _Node[State],
        state: State,
        said: Sequence[Said],
        heard: tuple[int, ...],
        cause: Recorded | None,
        now: datetime,
    ) -> Iterator[_Node[State]]:
        matched, unanswered = node.matched, node.unanswered
        for one in said:
            if matched == len(self.outputs):
                if cause is None:
                    return
                unanswered = (*unanswered, (cause, one))
                continue
            recorded = self.outputs[matched]
            if not same(recorded, one):
                self._note(matched, recorded, one)
                return
            now = max(now, recorded.at)
            matched += 1
        caused_by = (*node.caused_by, cause) if cause is not None and matched > node.matched else node.caused_by
        yield _Node(state, heard, matched, now, caused_by, unanswered)

    def _note(self, matched: int, recorded: Recorded, said: Said) -> None:
        """Keeps the difference that came furthest, and of those the one with the fewest fields."""
        found = differing(recorded, said)
        rank = (matched, -len(found))
        if self._nearest is None or rank > self._nearest[:2]:
            path, before, after = found[0]
            place, at = recorded.place, recorded.at
            self._nearest = (
                *rank,
                Difference(self.machine.service, self.about, place, at, path, before, after, len(found) - 1),
            )

    def _difference(self, *, given_up: bool) -> Difference:
        """The nearest; where nothing at all was said to some recorded output, that output."""
        if self._nearest is not None:
            return replace(self._nearest[2], given_up=given_up)
        last = self.outputs[-1]
        recorded = f"{last.type} {sha(last.value)[:12]}"
        return Difference(
            self.machine.service, self.about, last.place, last.at, "$", recorded, NOTHING, given_up=given_up
        )


def same(recorded: Recorded, said: Said) -> bool:
    """Whether they say the same, to the byte of the canonical form."""
    if recorded.type != said.type:
        return False
    return recorded.value == said.value or sha(recorded.value) == sha(said.value)


def sha(value: bytes) -> str:
    """The digest of an output: sha256 of its canonical data, in hex."""
    return canonical_digest(value).hex()


def differing(recorded: Recorded, said: Said) -> list[tuple[str, str, str]]:
    """(JSONPath, recorded, replayed) for each field that is not the same; never empty for two that are not `same`."""
    if recorded.type != said.type:
        return [("$", f"{recorded.type} {sha(recorded.value)[:12]}", f"{said.type} {sha(said.value)[:12]}")]
    return list(_fields("$", read(recorded.value), read(said.value)))


def _fields(path: str, before: object, after: object) -> Iterator[tuple[str, str, str]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            yield from _fields(f"{path}.{name}", before.get(name, _ABSENT), after.get(name, _ABSENT))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            pair = (one[index] if index < len(one) else _ABSENT for one in (before, after))
            yield from _fields(f"{path}[{index}]", *pair)
    elif before != after or type(before) is not type(after):
        yield path, _text(before), _text(after)


_ABSENT = object()


def _text(value: object) -> str:
    if value is _ABSENT:
        return NOTHING
    return value if isinstance(value, str) else repr(value)
