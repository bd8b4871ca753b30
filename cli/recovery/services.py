"""What a recovery has to know of each service: how it is built, and which orders have to do with each other."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from cli.recovery.finding import Group
from cli.recovery.standing import Output
from services.eligibility.handlers import Eligibility
from services.intake.app import IntakeSettings
from services.intake.handlers import Intake
from services.notification.app import build as build_notification
from services.refund_calculation.handlers import RefundCalculation
from shared.bus import Record, Service
from shared.db import Conn
from shared.events import BadEvent
from shared.events.envelope import open_input
from shared.events.topics import INPUT_TOPICS
from shared.policy.shelf import Shelf
from shared.settings import Settings

OrderKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Recoverable:
    """A service: its packages of migrations, how to make one, the table whose due rows its timer looks at, and whether
    it says what it says in answer to inputs (the notification service says what became of mails)."""

    name: str
    package: str
    make: Callable[[], Service]
    timers: str | None = None
    answers: bool = True


def service_named(name: str) -> Recoverable:
    """The service; with the settings and policies of this environment. Raises KeyError for another name."""
    return _SERVICES[name]()


def _intake() -> Recoverable:
    settings = IntakeSettings()
    shelf = Shelf(settings.policies)
    parking = timedelta(seconds=settings.parking_seconds)
    return Recoverable(
        "intake",
        "services.intake",
        lambda: Intake(lambda merchant: shelf.book().currency(merchant), parking),
        "waiting",
    )


def _eligibility() -> Recoverable:
    shelf = Shelf(Settings().policies)
    return Recoverable("eligibility", "services.eligibility", lambda: Eligibility(shelf.book), "claim_state")


def _calculation() -> Recoverable:
    shelf = Shelf(Settings().policies)
    return Recoverable(
        "refund-calculation",
        "services.refund_calculation",
        lambda: RefundCalculation(shelf.book, timedelta(0)),
    )


def _notification() -> Recoverable:
    return Recoverable("notification", "services.notification", build_notification, answers=False)


_SERVICES: Final[Mapping[str, Callable[[], Recoverable]]] = {
    "intake": _intake,
    "eligibility": _eligibility,
    "refund-calculation": _calculation,
    "notification": _notification,
}
NAMES: Final = tuple(_SERVICES)


@dataclass(slots=True)
class _Sets:
    """Names that belong together."""

    parents: dict[str, str] = field(default_factory=dict)

    def root(self, name: str) -> str:
        while (parent := self.parents.setdefault(name, name)) != name:
            self.parents[name] = self.parents[parent]
            name = self.parents[name]
        return name

    def join(self, names: Iterable[str]) -> None:
        first, *rest = [self.root(name) for name in names]
        for other in rest:
            self.parents[other] = first


def first_told(
    records: Iterable[Record], foreign: Collection[str], dead: Collection[tuple[str, int, int]]
) -> list[Record]:
    """The records without the repeats that foreign senders made of them: nothing came of those, whenever they were
    read, unless the one before was a dead letter (`dead`: topic, lane, offset)."""
    told: set[tuple[object, ...]] = set()
    kept: list[Record] = []
    for record in records:
        if record.topic in foreign and not record.redrive:
            event = (record.topic, record.partition, record.source, record.id, record.type, record.value)
            if event in told:
                continue
            if (record.topic, record.partition, record.offset) not in dead:
                told.add(event)
        kept.append(record)
    return kept


async def groups_of(
    service: Recoverable,
    inputs: Iterable[Record],
    sure: Callable[[Record], bool],
    outputs: Iterable[Output],
    conn: Conn,
) -> list[Group]:
    """The inputs and outputs by orders that have to do with each other: behind intake each order alone; at the door
    those that share a claim, an event, or the id of an answer, a return or a review. An input that tells nothing of any
    order is a dead letter, and is in none."""
    sets = _Sets()
    named: list[tuple[Record, OrderKey]] = []
    for record in inputs:
        found = _names(record)
        if found is None:
            continue
        key, names = found
        named.append((record, key))
        sets.join([_order(key), *(names if service.name == "intake" else ())])
    if service.name == "intake":
        for row in await conn.fetch("SELECT merchant, order_id, claim_id FROM waiting"):
            sets.join([_order((row["merchant"], row["order_id"])), _claim(row["merchant"], row["claim_id"])])
    groups: dict[str, Group] = defaultdict(Group)
    for record, key in named:
        group = groups[sets.root(_order(key))]
        group.orders.add(key)
        lanes = group.sure if sure(record) else group.open_
        lanes.setdefault((record.topic, record.partition), []).append(record)
    said: dict[str, list[Output]] = defaultdict(list)
    for output in outputs:
        data = json.loads(output.record.value or b"{}")
        key = (str(data.get("merchant")), str(data.get("order_id")))
        root = sets.root(_order(key))
        groups[root].orders.add(key)
        said[root].append(output)
    for root, found_there in said.items():
        groups[root].outputs = _in_order(found_there)
    return list(groups.values())


def _in_order(outputs: list[Output]) -> list[Output]:
    """By number within a lane; of several lanes, those whose next one is the older first."""
    lanes: dict[int, list[Output]] = defaultdict(list)
    for one in sorted(outputs, key=lambda one: (one.lane, one.number)):
        lanes[one.lane].append(one)
    if len(lanes) == 1:
        return outputs if outputs == next(iter(lanes.values())) else next(iter(lanes.values()))
    found: list[Output] = []
    while left := [lane for lane in lanes.values() if lane]:
        found.append(min(left, key=lambda lane: (lane[0].at, lane[0].lane)).pop(0))
    return found


def _names(record: Record) -> tuple[OrderKey, list[str]] | None:
    """The order that a record is about, and what else ties it to others; None for one that cannot be read."""
    if record.topic in INPUT_TOPICS:
        try:
            envelope = open_input(record.topic, record.headers, record.value)
        except BadEvent:
            return None
        event = envelope.data
        merchant: str = getattr(event, "merchant", "")
        names = [f"event:{envelope.source}:{envelope.id}"]
        if claim_id := getattr(event, "claim_id", None):
            names.append(_claim(merchant, claim_id))
        for member in ("answer_id", "return_id", "review_id"):
            if value := getattr(event, member, None):
                names.append(f"{member}:{merchant}:{value}")
        return (merchant, getattr(event, "order_id", "")), names
    try:
        data = json.loads(record.value or b"")
        return (data["merchant"], data["order_id"]), []
    except (ValueError, KeyError, TypeError):
        return None


def _order(key: OrderKey) -> str:
    return f"order:{key[0]}:{key[1]}"


def _claim(merchant: str, claim_id: str) -> str:
    return f"claim:{merchant}:{claim_id}"
