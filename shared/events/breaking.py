"""What a change of the contract breaks, and for whom: the published schemas against those of the last release. Pure.

An input may only come to accept more, so that who sends by the last release is still understood. An output may only
come to say what the last release allows, so that who reads by it still understands. New members of an output break
nobody: the contract asks readers to pass over what they do not know.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import JsonValue

Tree = Mapping[str, JsonValue]
Way = Literal["input", "output"]
Whom = Literal["senders", "readers"]
WHOM: Final[Mapping[Way, Whom]] = {"input": "senders", "output": "readers"}


@dataclass(frozen=True, slots=True)
class Break:
    """One change that breaks somebody. `path`: JSONPath of the member within the event's data."""

    type: str
    path: str
    what: str
    whom: Whom

    def __str__(self) -> str:
        return f"{self.type} {self.path}: {self.what}; breaks its {self.whom}"


def breaks(type_: str, way: Way, released: Tree, now: Tree | None) -> list[Break]:
    """All that breaks somebody in a type's schema; `now` is None when there is no such type any more."""
    whom = WHOM[way]
    if now is None:
        return [Break(type_, "$", "the type is gone", whom)]
    said = _Comparison(way, released, now).between(released, now, "$")
    return [Break(type_, path, what, whom) for path, what in dict.fromkeys(said)]


Said = tuple[str, str]

_LOWER: Final = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
_UPPER: Final = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
_RULES: Final = ("pattern", "format", "if", "then", "else", "not", "allOf", "uniqueItems", "multipleOf")


class _Comparison:
    """Walks two schemas side by side; `$ref`s are followed, each pair once."""

    def __init__(self, way: Way, released: Tree, now: Tree) -> None:
        self._way = way
        self._roots = {"released": released, "now": now}
        self._under_way: set[tuple[str, str]] = set()

    def between(self, released: Tree, now: Tree, path: str) -> list[Said]:
        """What breaks somebody at `path` and below."""
        refs = (str(released.get("$ref", "")), str(now.get("$ref", "")))
        if refs[0] and refs[1]:
            if refs in self._under_way:
                return []
            self._under_way.add(refs)
        try:
            return list(self._between(self._resolved("released", released), self._resolved("now", now), path))
        finally:
            self._under_way.discard(refs)

    def _resolved(self, root: str, schema: Tree) -> Tree:
        ref = schema.get("$ref")
        if not isinstance(ref, str):
            return schema
        found: JsonValue = dict(self._roots[root])
        for step in ref.removeprefix("#/").split("/"):
            assert isinstance(found, dict), ref
            found = found[step]
        assert isinstance(found, dict), ref
        return {**found, **{name: value for name, value in schema.items() if name != "$ref"}}

    def _between(self, released: Tree, now: Tree, path: str) -> Iterator[Said]:
        if "anyOf" in released or "anyOf" in now:
            yield from self._alternatives(_ways(released), _ways(now), path)
            return
        types = self._types(released, now)
        if types:
            yield path, types
            return
        yield from ((path, what) for what in self._values(released, now))
        yield from ((path, what) for what in self._limits(released, now))
        yield from self._members(released, now, path)
        for name, step in (("items", "[*]"), ("additionalProperties", ".*")):
            one, other = released.get(name), now.get(name)
            if isinstance(one, dict) and isinstance(other, dict):
                yield from self.between(one, other, path + step)

    def _taker_and_given(self, released: Tree, now: Tree) -> tuple[Tree, Tree]:
        """Who must take what is given: of an input, today's schema what the release allowed; of an output, the release
        what is written today."""
        return (now, released) if self._way == "input" else (released, now)

    def _types(self, released: Tree, now: Tree) -> str | None:
        taker, given = self._taker_and_given(released, now)
        takes, gives = _types_of(taker), _types_of(given)
        if not takes or (gives and gives <= takes):
            return None
        if "number" in takes and gives - takes <= {"integer"} and gives:
            return None
        return f"was {_listed(_types_of(released))}, is {_listed(_types_of(now))}"

    def _values(self, released: Tree, now: Tree) -> Iterator[str]:
        before, after = _values_of(released), _values_of(now)
        if before is None and after is None:
            return
        if self._way == "input":
            if after is None:
                return
            if before is None:
                yield f"takes only {_listed(after)} now"
            elif gone := before - after:
                yield f"takes {_listed(gone)} no more"
            return
        if after is None:
            yield f"was one of {_listed(before or set())}, may be anything now"
        elif before is not None:
            if new := after - before:
                yield f"may be {_listed(new)} now, which no reader of the release knows"
            if gone := before - after:
                yield f"is never {_listed(gone)} any more: who waits for it waits in vain"

    def _limits(self, released: Tree, now: Tree) -> Iterator[str]:
        taker, given = self._taker_and_given(released, now)
        for names, narrower in ((_LOWER, 1), (_UPPER, -1)):
            for name in names:
                limit, had = taker.get(name), given.get(name)
                if not isinstance(limit, int | float):
                    continue
                if not isinstance(had, int | float) or narrower * (limit - had) > 0:
                    yield f"{name} was {released.get(name, 'none')}, is {now.get(name, 'none')}"
        for name in _RULES:
            if taker.get(name) is not None and taker.get(name) != given.get(name):
                yield f"{name} has changed"

    def _members(self, released: Tree, now: Tree, path: str) -> Iterator[Said]:
        before, after = _members_of(released), _members_of(now)
        for name in before:
            if name not in after:
                yield f"{path}.{name}", "the member is gone"
        must, had = _required(now), _required(released)
        for name in sorted(must - had) if self._way == "input" else ():
            yield f"{path}.{name}", "has to be there now"
        for name in sorted(had - must) if self._way == "output" else ():
            if name in after:
                yield f"{path}.{name}", "may be missing now"
        for name, one in before.items():
            if name in after:
                yield from self.between(one, after[name], f"{path}.{name}")

    def _alternatives(self, released: list[Tree], now: list[Tree], path: str) -> Iterator[Said]:
        """Each alternative that is given has to fit one that is taken; told is what the closest one lacks."""
        gives, takes = (released, now) if self._way == "input" else (now, released)
        for given in gives:
            found: list[list[Said]] = []
            for taker in takes:
                one, other = (given, taker) if self._way == "input" else (taker, given)
                found.append(self.between(one, other, path))
            yield from min(found, key=lambda said: (any(at == path for at, _ in said), len(said)))


def _ways(schema: Tree) -> list[Tree]:
    ways = schema.get("anyOf")
    if not isinstance(ways, list):
        return [schema]
    return [way for way in ways if isinstance(way, dict)]


def _types_of(schema: Tree) -> set[str]:
    said = schema.get("type")
    return {said} if isinstance(said, str) else {str(one) for one in said} if isinstance(said, list) else set()


def _values_of(schema: Tree) -> set[str] | None:
    if "const" in schema:
        return {str(schema["const"])}
    said = schema.get("enum")
    return {str(one) for one in said} if isinstance(said, list) else None


def _members_of(schema: Tree) -> dict[str, Tree]:
    said = schema.get("properties")
    return {name: one for name, one in said.items() if isinstance(one, dict)} if isinstance(said, dict) else {}


def _required(schema: Tree) -> set[str]:
    said = schema.get("required")
    return {str(name) for name in said} if isinstance(said, list) else set()


def _listed(words: set[str]) -> str:
    return ", ".join(sorted(words)) or "anything"
