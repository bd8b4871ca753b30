"""`claims where`."""

from __future__ import annotations

import asyncio
import json
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from cli.listen import as_object
from cli.place import Kafka, kafka_of
from cli.reading import Seen, Topics
from cli.stack.errors import StackError
from cli.story import is_stale, readings_of, told
from cli.terminal import DATA, Data, refusals
from cli.words import amount, clean
from shared.events.fields import normalise_id
from shared.events.personal import mask, masked
from shared.events.topics import CONTACTS, INPUT_TOPICS, ORDERS, TOPICS, dlq_topics

WRITER = {
    "admissions.v1": "intake",
    "assessments.v1": "eligibility",
    "decisions.v1": "refund-calculation",
    "refunds.v1": "refund-calculation",
    "notifications.v1": "notification",
}
ORDER_TYPES = ("order.placed.v1", "order.delivered.v1", "order.cancelled.v1")


@dataclass(slots=True)
class Way:
    """All records about one claim, in the order in which they were written."""

    merchant: str
    claim_id: str
    order_ids: list[str]
    records: list[Seen] = field(default_factory=list)

    @property
    def end(self) -> str:
        """Where the claim is now."""
        state = "not admitted"
        decided = None
        for one in self.records:
            data = one.data or {}
            if "dlq_reason" in one.headers:
                continue
            if one.type == "claim.assessed.v1":
                if data.get("status") != "awaiting" or is_stale(data, decided):
                    continue
                state = f"awaiting {data.get('awaiting')}" + (", overdue" if data.get("overdue") else "")
            elif one.type == "claim.decided.v1":
                decided = data
                state = f"decided: {data.get('outcome')}"
            elif one.type in ("claim.refused.v1", "claim.parked.v1") and state in ("not admitted", "parked", "refused"):
                state = one.type.split(".")[1]
            elif one.type == "claim.admitted.v1":
                state = "admitted"
        return clean(state)


def where(
    claim_id: Annotated[str, typer.Argument(metavar="CLAIM_ID")],
    merchant: Annotated[
        str | None, typer.Option("--merchant", help="Whose claim; needed where two merchants use the same id.")
    ] = None,
    kafka: Kafka = None,
    data: Data = DATA,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    unmask: Annotated[
        bool, typer.Option("--unmask", help="With --json: contact data and free text as they came, too.")
    ] = False,
    limit: Annotated[float, typer.Option("--limit", min=1, help="Give up after so many seconds.")] = 60,
) -> None:
    """Show a claim's way through all services: times, reasons with their clauses, money, notifications, dead letters.

    It is read from the topics alone, up to where they end now. Names, addresses and free texts are not shown, with
    --json only on demand. Ends with 1 when nothing is known of the claim.
    """
    with refusals():
        way = asyncio.run(find(kafka_of(kafka, data), normalise_id(claim_id), merchant, limit))
    if as_json:
        shown = {"claim_id": way.claim_id, "merchant": way.merchant, "order_ids": way.order_ids, "end": way.end}
        typer.echo(
            json.dumps(
                shown | {"events": [_object(one, unmask=unmask) for one in way.records]}, ensure_ascii=False, indent=1
            )
        )
        return
    for line in story(way):
        typer.echo(line)


def _object(one: Seen, *, unmask: bool) -> dict[str, Any]:
    shown = as_object(one)
    if not unmask:
        shown["data"], _ = masked(one.type, shown["data"])
        if "raw" in shown:
            shown["raw"] = mask(shown["raw"])
    return shown


async def find(kafka: str, claim_id: str, merchant: str | None, limit: float) -> Way:
    """All about a claim, from the topics. Raises StackError: nothing there, several merchants, no Kafka, too slow."""
    names = [topic for topic in TOPICS if topic not in (ORDERS, CONTACTS)]
    records = await _matching(kafka, [*names, *dlq_topics()], limit, lambda one: _is_about(one, claim_id))
    merchants = sorted({_text(one, "merchant") for one in records} - {""})
    if merchant is None and len(merchants) > 1:
        raise StackError(f"{', '.join(merchants)} have a claim {claim_id} each: say which with --merchant")
    chosen = merchant or (merchants[0] if merchants else "")
    mine = [one for one in records if _text(one, "merchant") in (chosen, "")]
    if not mine:
        raise StackError(f"nothing is known of a claim {claim_id}" + (f" of {merchant}" if merchant else ""))
    order_ids = list(dict.fromkeys(_text(one, "order_id") for one in mine if _text(one, "order_id")))
    orders = {(chosen, order_id) for order_id in order_ids}
    mine += await _matching(kafka, [ORDERS, *dlq_topics()], limit, lambda one: _is_of_order(one, orders, claim_id))
    mine.sort(key=lambda one: (one.timestamp_ms, [*TOPICS, *dlq_topics()].index(one.topic), one.partition, one.offset))
    return Way(chosen, claim_id, order_ids, mine)


async def _matching(kafka: str, names: Iterable[str], limit: float, match: Any) -> list[Seen]:
    async with Topics.open(kafka, names) as topics:
        await topics.rewind()
        return [one async for one in topics.to_the_end(limit) if match(one)]


def _is_about(one: Seen, claim_id: str) -> bool:
    if one.topic not in INPUT_TOPICS and claim_id.encode() not in (one.value or b""):
        return False  # inside the pipeline ids are normalised, so that most records need no reading
    return _text(one, "claim_id") == claim_id


def _is_of_order(one: Seen, orders: set[tuple[str, str]], claim_id: str) -> bool:
    if (_text(one, "merchant"), _text(one, "order_id")) not in orders or _is_about(one, claim_id):
        return False
    return one.type in ORDER_TYPES


def _text(one: Seen, member: str) -> str:
    value = (one.data or {}).get(member)
    return normalise_id(value) if isinstance(value, str) else ""


def story(way: Way) -> Iterator[str]:
    """The way for people, fitted to the terminal."""
    width = max(40, shutil.get_terminal_size().columns)
    orders = ", ".join(clean(order) for order in way.order_ids)
    yield f"Claim {clean(way.claim_id)} of {clean(way.merchant)}, order {orders}: {way.end}"
    day = ""
    for one in way.records:
        at = one.written_at.astimezone()
        if day != (today := at.strftime("%Y-%m-%d")):
            day = today
            yield f"\n{day}"
        dead = "dlq_reason" in one.headers
        writer = one.header("dlq_service") if dead else WRITER.get(one.topic, "outside")
        name = f"dead letter of {one.header('dlq_topic')}" if dead else one.type.removesuffix(".v1")
        head = f"{at.strftime('%H:%M:%S.%f')[:-3]}  {clean(writer):<18} {clean(name)}: {told(one)}"
        yield from textwrap.wrap(head, width, subsequent_indent=" " * 14)
        if not dead:
            yield from _reasons(one, width)


def _reasons(one: Seen, width: int) -> Iterator[str]:
    data = one.data or {}
    if one.type not in ("claim.assessed.v1", "claim.decided.v1"):
        return
    for line in data.get("lines") or ():
        yield f"{'':14}line {clean(line['line_id'])} ×{line['quantity']}: {clean(line['verdict'])}"
        for reason in line.get("reasons") or ():
            text = f"{clean(reason['effect']):<5} {clean(reason['clause'] or '-'):<5} {clean(reason['text'])}"
            yield from textwrap.wrap(text, width, initial_indent=" " * 16, subsequent_indent=" " * 28)
    for reading in data.get("readings") or () if readings_of(data) else ():
        if reading.get("chosen") is None:
            for each in reading["alternatives"]:
                text = f"{clean(reading['entry'])} read as {clean(each['reading'])}: {clean(each['result'])}"
                yield f"{'':16}{text} {amount(each['amount'] or '', '')}".rstrip()
