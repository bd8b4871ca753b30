"""An example of each type, and ways to spoil one."""

import copy
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.events.topics import INPUT_TOPIC_OF

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLES = Path(__file__).resolve().parents[2] / "shared" / "events" / "examples"

_STEP = re.compile(r"\.([A-Za-z_0-9]+)|\[([0-9]+)\]")


def example(type_: str) -> dict[str, object]:
    """The documented example of a type."""
    value = json.loads((EXAMPLES / f"{type_}.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def steps(path: str) -> list[str | int]:
    """`$.lines[0].sku` → `["lines", 0, "sku"]`."""
    return [name or int(index) for name, index in _STEP.findall(path)]


def spoil(value: object, put: Mapping[str, object], drop: Sequence[str]) -> object:
    """A copy of a JSON value with members put in (a list index one past its end appends) or left out."""
    whole = {"$": copy.deepcopy(value)}
    for path, member in put.items():
        *way, last = ["$", *steps(path)]
        parent = _walk(whole, way)
        if isinstance(parent, list):
            assert isinstance(last, int)
            parent[last : last + 1] = [copy.deepcopy(member)]
        else:
            assert isinstance(parent, dict)
            parent[last] = copy.deepcopy(member)
    for path in drop:
        *way, last = ["$", *steps(path)]
        parent = _walk(whole, way)
        assert isinstance(parent, dict)
        del parent[last]
    return whole["$"]


def _walk(value: object, way: Sequence[str | int]) -> object:
    for step in way:
        if isinstance(value, list):
            assert isinstance(step, int)
            value = value[step]
        else:
            assert isinstance(value, dict)
            value = value[step]
    return value


def binary(type_: str, **more: str) -> list[tuple[str, bytes]]:
    """Headers of an event in binary mode."""
    attributes = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": type_, **more}
    return [(f"ce_{name}", text.encode()) for name, text in attributes.items()]


STRUCTURED: list[tuple[str, bytes]] = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def structured(type_: str, member: str) -> bytes:
    """The value of an event in structured mode; `member` is the text of its data member."""
    return (f'{{"specversion": "1.0", "id": "e-1", "source": "/shop", "type": {json.dumps(type_)}, {member}}}').encode()


def topic_of(type_: str) -> str:
    """Where an input type belongs."""
    return INPUT_TOPIC_OF[type_]
