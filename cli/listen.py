"""`claims listen`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Annotated, Any

import typer

from cli.place import Kafka, kafka_of
from cli.reading import Seen, Topics
from cli.stack.errors import StackError
from cli.story import told
from cli.terminal import DATA, Data, refusals
from cli.words import clean
from shared.events.topics import TOPICS, dlq_topics


def listen(
    topics: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TOPIC…]", help="Topics; left out: all of the contract, dead letters too."),
    ] = None,
    kafka: Kafka = None,
    data: Data = DATA,
    from_start: Annotated[bool, typer.Option("--from-start", help="From the first record on, not from now.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, for programs.")] = False,
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="Stop after so many events; 0: never.")] = 0,
    seconds: Annotated[float, typer.Option("--for", min=0, help="Stop after so many seconds; 0: never.")] = 0,
) -> None:
    """Show what goes over the topics, decoded, one line an event, until Ctrl-C.

    Committed records alone are shown, as a payment system would see them.
    """
    names = topics or [*TOPICS, *dlq_topics()]
    with refusals(), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_listen(kafka_of(kafka, data), names, from_start, as_json, count, seconds))


async def _listen(kafka: str, names: list[str], from_start: bool, as_json: bool, count: int, seconds: float) -> None:
    until = time.monotonic() + seconds if seconds else None
    shown = 0
    async with Topics.open(kafka, names) as open_topics:
        missing = sorted(set(names) - {lane.topic for lane in open_topics.lanes})
        if missing:
            raise StackError(f"no such topic: {', '.join(missing)}")
        if from_start:
            await open_topics.rewind()
        while until is None or time.monotonic() < until:
            for one in sorted(await open_topics.poll(), key=lambda each: each.timestamp_ms):
                typer.echo(json.dumps(as_object(one), ensure_ascii=False) if as_json else line(one))
                shown += 1
                if count and shown >= count:
                    return


def line(one: Seen) -> str:
    """An event for people: when, where, what, about which claim or order, and what it says in short."""
    at = one.written_at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    name = one.type or "?"
    about = one.attribute("subject") or str((one.data or {}).get("claim_id") or (one.data or {}).get("order_id") or "")
    return f"{at} {one.topic}/{one.partition} {clean(name)} {clean(about)} {told(one)}".rstrip()


def as_object(one: Seen) -> dict[str, Any]:
    """An event for programs; `data` is null and `raw` the text where the value is no JSON object."""
    shown: dict[str, Any] = {
        "topic": one.topic,
        "partition": one.partition,
        "offset": one.offset,
        "time": one.written_at.isoformat(),
        "key": None if one.key is None else one.key.decode(errors="replace"),
        "headers": {name: value.decode(errors="replace") for name, value in one.headers.items()},
        "data": one.data,
    }
    if one.data is None:
        shown["raw"] = None if one.value is None else one.value.decode(errors="replace")
    return shown
