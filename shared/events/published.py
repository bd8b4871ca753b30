"""What is published of the contract: a JSON Schema per type and one AsyncAPI 3 document, made from the models."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

import yaml
from pydantic import JsonValue
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from shared.events import TYPES
from shared.events.breaking import WHOM, Break, Way, breaks
from shared.events.envelope import VALUE_LIMIT
from shared.events.fields import ID_LENGTH
from shared.events.topics import INPUT_TOPIC_OF, INPUT_TOPICS, READERS, TOPICS, TYPES_OF, dlq_topic

ASYNCAPI: Final = "asyncapi.yaml"
SCHEMAS: Final = "schemas"
RELEASED: Final = "schemas/released"
"""What the last release published: the schemas, and the types of each topic."""
_TOPICS: Final = "topics.json"

Tree = dict[str, JsonValue]

WRITERS: Final[Mapping[str, str]] = {
    "orders.v1": "order systems",
    "claims.v1": "order systems, the HTTP door",
    "sellers.v1": "the sellers' desk",
    "returns.v1": "warehouses",
    "reviews.v1": "the console",
    "payments.v1": "payment systems",
    "admissions.v1": "intake",
    "contacts.v1": "intake",
    "assessments.v1": "eligibility",
    "decisions.v1": "refund-calculation",
    "refunds.v1": "refund-calculation",
    "notifications.v1": "notification",
}


class _Terse(GenerateJsonSchema):
    """No titles that only repeat a member's name."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def documents() -> dict[str, str]:
    """Path relative to the `docs` folder → the text that belongs there."""
    texts = {f"{SCHEMAS}/{type_}.json": _json(schema(type_)) for type_ in TYPES}
    texts[ASYNCAPI] = "# Made from the models by `claims schema export`. Do not edit.\n" + yaml.safe_dump(
        asyncapi(), sort_keys=False, allow_unicode=True, width=110
    )
    return texts


def export(docs: Path) -> list[str]:
    """Write what is published below `docs`, remove what no longer is; returns the paths that changed."""
    drifted = drift(docs)
    texts = documents()
    for path in drifted:
        target = docs / path
        if path in texts:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(texts[path], encoding="utf-8")
        else:
            target.unlink()
    return drifted


def drift(docs: Path) -> list[str]:
    """The paths below `docs` that are missing, differ from the models, or describe a type that is no more."""
    texts = documents()
    drifted = [path for path, text in texts.items() if _read(docs / path) != text]
    there = {f"{SCHEMAS}/{file.name}" for file in (docs / SCHEMAS).glob("*.json")}
    return drifted + sorted(there - texts.keys())


def release(docs: Path) -> int:
    """Make what is published now the last release's; returns the number of types. Part of making a release."""
    folder = docs / RELEASED
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.json"):
        file.unlink()
    for type_ in TYPES:
        (folder / f"{type_}.json").write_text(_json(schema(type_)), encoding="utf-8")
    (folder / _TOPICS).write_text(_json({topic: list(TYPES_OF[topic]) for topic in TOPICS}), encoding="utf-8")
    return len(TYPES)


def broken(docs: Path) -> list[Break]:
    """What the models as they are now break, of what the last release published.

    A type that intake passes on is an input and an output: its schema may neither take less nor say more.
    Raises FileNotFoundError where no release is committed.
    """
    folder = docs / RELEASED
    topics: dict[str, list[str]] = json.loads((folder / _TOPICS).read_text(encoding="utf-8"))
    found: list[Break] = []
    for topic, types in topics.items():
        way: Way = "input" if topic in INPUT_TOPICS else "output"
        for type_ in types:
            if type_ in TYPES and type_ not in TYPES_OF.get(topic, ()):
                found.append(Break(type_, "$", f"is on {topic} no more", WHOM[way]))
                continue
            released = json.loads((folder / f"{type_}.json").read_text(encoding="utf-8"))
            found += breaks(type_, way, released, schema(type_) if type_ in TYPES else None)
    return list(dict.fromkeys(found))


@cache
def example(type_: str) -> Tree:
    """An event's data as it may come; the tests put it before the models and the published schema."""
    text = (files("shared.events") / "examples" / f"{type_}.json").read_text("utf-8")
    found: Tree = json.loads(text)
    return found


def schema(type_: str) -> Tree:
    """The JSON Schema (2020-12) of a type's data: for an input what is accepted, for an output what is written."""
    mode: JsonSchemaMode = "validation" if type_ in INPUT_TOPIC_OF else "serialization"
    body: Tree = TYPES[type_].model_json_schema(schema_generator=_Terse, mode=mode)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:makegood:schema:{type_}",
        **body,
        "title": type_,
    }


def asyncapi() -> Tree:
    """The AsyncAPI 3 document, as seen from the pipeline: it receives inputs and sends outputs."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Makegood",
            "version": "1.0.0",
            "description": "Claims about orders in, refund decisions out: CloudEvents 1.0 over Kafka. "
            "The whole contract in words: contract.md.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {**{topic: _channel(topic) for topic in TOPICS}, "dead-letters": _dead_letters()},
        "operations": _operations(),
        "components": {
            "messages": {**{type_: _message(type_) for type_ in TYPES}, "dead-letter": _dead_letter()},
            "schemas": {"event-headers": _event_headers()},
        },
    }


def _channel(topic: str) -> Tree:
    return {
        "address": topic,
        "description": f"Written by {WRITERS[topic]}.",
        "messages": {type_: {"$ref": f"#/components/messages/{type_}"} for type_ in TYPES_OF[topic]},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": "0.5.0"}},
    }


def _operations() -> Tree:
    operations: Tree = {}
    for topic in TOPICS:
        action = "receive" if topic in INPUT_TOPICS else "send"
        operations[f"{action}.{topic}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{topic}"},
            "messages": [{"$ref": f"#/channels/{topic}/messages/{type_}"} for type_ in TYPES_OF[topic]],
        }
    operations["send.dead-letters"] = {"action": "send", "channel": {"$ref": "#/channels/dead-letters"}}
    return operations


def _message(type_: str) -> Tree:
    model = TYPES[type_]
    return {
        "name": type_,
        "title": model.__name__,
        "summary": " ".join((model.__doc__ or "").split()),
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/event-headers"},
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./{SCHEMAS}/{type_}.json"},
        },
        "examples": [{"name": type_, "payload": example(type_)}],
        "bindings": {"kafka": {"key": _record_key(), "bindingVersion": "0.5.0"}},
    }


def _record_key() -> Tree:
    return {
        "type": "string",
        "description": "<merchant>/<order_id>, so that everything about one order is in one partition, in order. "
        "On inputs it should be so, and is not trusted.",
    }


def _event_headers() -> Tree:
    text: Tree = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "description": "CloudEvents 1.0, Kafka binding, binary mode; header values are UTF-8. Inputs may come in "
        "structured mode as well (content-type: application/cloudevents+json).",
        "required": ["ce_id", "ce_source", "ce_type", "ce_specversion"],
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {**text, "maxLength": ID_LENGTH, "description": "With ce_source it names the event."},
            "ce_source": {**text, "format": "uri-reference"},
            "ce_type": {"enum": list(TYPES)},
            "ce_time": {"type": "string", "format": "date-time"},
            "ce_subject": {**text, "description": "The claim id, or the order id where there is no claim."},
            "content-type": {"type": "string", "description": "Left out: JSON."},
            "traceparent": {"type": "string", "description": "W3C trace context; passed on to what the input causes."},
        },
    }


def _dead_letters() -> Tree:
    return {
        "address": "{topic}.{service}.dlq",
        "description": "What a service could not take, byte for byte, with its key and headers. There are: "
        + ", ".join(dlq_topic(topic, service) for service, topics in READERS.items() for topic in topics)
        + ".",
        "parameters": {
            "topic": {"description": "The topic the record came on.", "enum": list(TOPICS)},
            "service": {"description": "The service that could not take it.", "enum": list(READERS)},
        },
        "messages": {"dead-letter": {"$ref": "#/components/messages/dead-letter"}},
    }


def _dead_letter() -> Tree:
    names = {
        "dlq_reason": "What is wrong, in a sentence.",
        "dlq_path": "JSONPath within the data; $ where it is about the whole.",
        "dlq_topic": "Where the record was read.",
        "dlq_partition": "Its partition.",
        "dlq_offset": "Its offset.",
        "dlq_service": "Who could not take it.",
        "dlq_time": "When: RFC 3339.",
        "dlq_attempts": "How often it was tried.",
    }
    return {
        "name": "dead-letter",
        "title": "Dead letter",
        "summary": f"A refused record; its value may be anything, at most {2 * VALUE_LIMIT} bytes long.",
        "headers": {
            "type": "object",
            "required": list(names),
            "properties": {name: {"type": "string", "description": what} for name, what in names.items()},
        },
        "payload": {"description": "The bytes as they came."},
    }


def _json(tree: Tree) -> str:
    return json.dumps(tree, ensure_ascii=False, indent=2) + "\n"


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None
