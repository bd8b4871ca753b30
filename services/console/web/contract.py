"""The contract, to browse: topics, and each type with its members, schema and example. Nothing is sent from here."""

from collections.abc import Iterator, Mapping
from functools import cache

import yaml
from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, JsonValue
from starlette.responses import Response

from services.console.web.desk import Anybody, answer, both
from shared.events import TYPES
from shared.events.published import asyncapi, example, schema
from shared.events.topics import INPUT_TOPICS, READERS, TOPICS, TYPES_OF

router = APIRouter(tags=["contract"])

_DEEPEST = 8
_VALUES = 12
"""Most values of an enumeration that a member's row names."""


class TopicShown(BaseModel):
    """A topic: whether the pipeline takes it in, which services read it, and its types."""

    topic: str
    taken_in: bool
    readers: list[str]
    types: list[str]


class ContractPage(BaseModel):
    """All topics."""

    topics: list[TopicShown]


class MemberShown(BaseModel):
    """A member of an event's data. `path`: `lines[].sku`; `kind`: its JSON type, or its values."""

    path: str
    kind: str
    required: bool
    says: str


class TypePage(BaseModel):
    """One type, whole."""

    type: str
    says: str
    topics: list[TopicShown]
    members: list[MemberShown]
    example: dict[str, JsonValue]
    json_schema: dict[str, JsonValue]


@router.get("/contract", response_model=None, responses=both(ContractPage))
async def contract_page(request: Request, _: Anybody) -> Response:
    """Topics and types."""
    return answer(request, "contract.html", ContractPage(topics=[shown(topic) for topic in TOPICS]))


@router.get("/contract/asyncapi.yaml", response_model=None)
async def asyncapi_document(_: Anybody) -> Response:
    """The AsyncAPI 3 document."""
    return Response(_asyncapi(), media_type="application/yaml; charset=utf-8")


@router.get("/contract/{type}", response_model=None, responses=both(TypePage))
async def type_page(request: Request, _: Anybody, type: str) -> Response:
    """One type: its members, an example, and its JSON Schema."""
    if type not in TYPES:
        raise HTTPException(404)
    return answer(request, "contract_type.html", described(type))


def shown(topic: str) -> TopicShown:
    """A topic and who reads it."""
    readers = [name for name, topics in READERS.items() if topic in topics]
    return TopicShown(topic=topic, taken_in=topic in INPUT_TOPICS, readers=readers, types=list(TYPES_OF[topic]))


@cache
def described(type_: str) -> TypePage:
    """A type from its model."""
    tree = schema(type_)
    return TypePage(
        type=type_,
        says=" ".join((TYPES[type_].__doc__ or "").split()),
        topics=[shown(topic) for topic in TOPICS if type_ in TYPES_OF[topic]],
        members=list(members(tree, tree, "", 0)),
        example=example(type_),
        json_schema=tree,
    )


@cache
def _asyncapi() -> str:
    return yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=110)


def members(
    root: Mapping[str, JsonValue], tree: Mapping[str, JsonValue], path: str, depth: int
) -> Iterator[MemberShown]:
    """The members of a schema, each followed by those below it."""
    properties = tree.get("properties")
    required = tree.get("required")
    must = required if isinstance(required, list) else []
    if not isinstance(properties, dict) or depth > _DEEPEST:
        return
    for name, one in properties.items():
        if not isinstance(one, dict):
            continue
        place = f"{path}{name}"
        found = _ways(root, one)
        says = str(one.get("description") or next((w["description"] for w in found if "description" in w), ""))
        kind = " | ".join(dict.fromkeys(_kind(root, way) for way in found))
        yield MemberShown(path=place, kind=kind, required=name in must, says=says)
        for way in found:
            yield from _below(root, way, place, depth + 1)


def _below(root: Mapping[str, JsonValue], way: Mapping[str, JsonValue], path: str, depth: int) -> Iterator[MemberShown]:
    items, values = way.get("items"), way.get("additionalProperties")
    if isinstance(items, dict):
        for each in _ways(root, items):
            yield from _below(root, each, f"{path}[]", depth)
    elif isinstance(values, dict):
        for each in _ways(root, values):
            yield from _below(root, each, f"{path}.*", depth)
    yield from members(root, way, f"{path}.", depth)


def _ways(root: Mapping[str, JsonValue], tree: Mapping[str, JsonValue]) -> list[dict[str, JsonValue]]:
    """The schema's alternatives, with references followed."""
    ref, either = tree.get("$ref"), tree.get("anyOf")
    if isinstance(ref, str):
        found = root["$defs"]
        named = found[ref.rpartition("/")[2]] if isinstance(found, dict) else None
        assert isinstance(named, dict), ref
        return [named]
    if isinstance(either, list):
        return [way for one in either if isinstance(one, dict) for way in _ways(root, one)]
    return [dict(tree)]


def _kind(root: Mapping[str, JsonValue], way: Mapping[str, JsonValue]) -> str:
    values = way.get("enum")
    if isinstance(values, list):
        more = " …" if len(values) > _VALUES else ""
        return " | ".join(str(value) for value in values[:_VALUES]) + more
    if "const" in way:
        return str(way["const"])
    items = way.get("items")
    if isinstance(items, dict):
        return f"[{' | '.join(dict.fromkeys(_kind(root, one) for one in _ways(root, items)))}]"
    said = way.get("format") or way.get("type") or "any"
    return str(said)
