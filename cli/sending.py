"""Events as lines of JSON, and their way to Kafka in CloudEvents' binary mode."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cli.stack.errors import StackError
from shared.events import BadEvent
from shared.events.envelope import open_input
from shared.events.topics import INPUT_TOPIC_OF

SOURCE = "/claims/publish"
MEMBERS = ("type", "data", "id", "source", "time", "subject", "key", "topic")
SEND_LIMIT = 120.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to publish. `type` and `id` for whoever looks."""

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    type: str
    id: str


def binary(
    topic: str,
    type_: str,
    value: bytes,
    *,
    id_: str,
    source: str = SOURCE,
    key: str | None = None,
    time: str = "",
    subject: str = "",
) -> Outgoing:
    """A record in binary mode."""
    headers = {
        "ce_specversion": "1.0",
        "ce_type": type_,
        "ce_id": id_,
        "ce_source": source,
        "ce_time": time,
        "ce_subject": subject,
        "content-type": "application/json",
    }
    return Outgoing(
        topic,
        None if key is None else key.encode(),
        value,
        tuple((name, text.encode()) for name, text in headers.items() if text),
        type_,
        id_,
    )


def of_line(text: str) -> Outgoing:
    """The record of one line: `{"type": …, "data": {…}}`, checked as intake checks it.

    Left out, `topic` is the type's own, `key` is `<merchant>/<order_id>`, `source` is `/claims/publish`, and `id` is
    made from type and data: the same line again is the same event, and has no effect. Raises `BadEvent`.
    """
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadEvent("$", f"not JSON: {error}") from None
    if not isinstance(line, dict):
        raise BadEvent("$", 'a line is an object, {"type": "…", "data": {…}}')
    for member in line:
        if member not in MEMBERS:
            raise BadEvent(f"$.{member}", f"is no member of a line; there are {', '.join(MEMBERS)}")
    for member in ("type", "data"):
        if member not in line:
            raise BadEvent(f"$.{member}", "is missing")
    for member in MEMBERS:
        if member != "data" and not isinstance(line.get(member, ""), str):
            raise BadEvent(f"$.{member}", "has to be a string")
    return _checked(line)


def _checked(line: dict[str, Any]) -> Outgoing:
    type_, data = line["type"], line["data"]
    topic = line.get("topic") or INPUT_TOPIC_OF.get(type_)
    if topic is None:
        raise BadEvent("$.type", f"{type_!r:.100} is no type of the inputs; there are {', '.join(INPUT_TOPIC_OF)}")
    value = json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")
    canonical = json.dumps([type_, data], sort_keys=True, separators=(",", ":"))
    record = binary(
        topic,
        type_,
        value,
        id_=line.get("id") or hashlib.sha256(canonical.encode()).hexdigest()[:32],
        source=line.get("source") or SOURCE,
        time=line.get("time", ""),
        subject=line.get("subject", ""),
        key=line.get("key") or _key(data),
    )
    try:
        open_input(topic, record.headers, value)
    except BadEvent as bad:
        flaws = tuple((_inside(path, message), message) for path, message in bad.flaws)
        raise BadEvent(*flaws[0], flaws) from None
    return record


def _inside(path: str, message: str) -> str:
    """The path within the line; that of the envelope is the line itself."""
    return path if message.startswith("ce_") else f"$.data{path.removeprefix('$')}"


def _key(data: object) -> str | None:
    """What all events of an order share; null where the data does not name one."""
    if not isinstance(data, dict) or "merchant" not in data or "order_id" not in data:
        return None
    return f"{data['merchant']}/{data['order_id']}"


async def send(kafka: str, records: Iterable[Outgoing]) -> int:
    """Publish records in order, and return how many once the brokers have all of them. Raises StackError."""
    from aiokafka import AIOKafkaProducer
    from aiokafka.errors import KafkaError

    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, acks="all", enable_idempotence=True, max_request_size=1 << 20, linger_ms=5
    )
    try:
        async with asyncio.timeout(SEND_LIMIT):
            await producer.start()
            sent = [
                await producer.send(each.topic, value=each.value, key=each.key, headers=list(each.headers))
                for each in records
            ]
            await asyncio.gather(*sent)
    except (KafkaError, TimeoutError, OSError) as error:
        raise StackError(f"publishing to Kafka at {kafka} failed: {error or type(error).__name__}") from None
    finally:
        await producer.stop()
    return len(sent)
