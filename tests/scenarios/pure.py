"""The pipeline without servers: the services' pure functions, wired by queues in memory, with a clock to be moved."""

import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

from services.eligibility.domain import assess
from services.eligibility.facts import ClaimState, Told, look_again, tell
from services.intake.desk import Desk, Letter, OrderKey, event_mark, item_marks, order_key
from services.intake.state import Arrival, Bury, Effect, Emit, Input, OrderState, as_event, read_decided
from services.refund_calculation.domain import calculate
from services.refund_calculation.problem import Unacceptable
from services.refund_calculation.state import Order
from shared.events import (
    BadEvent,
    ClaimDecided,
    Event,
    OrderDelivered,
    RefundInstructed,
    dump,
    parse_data,
)
from shared.events.envelope import open_input
from shared.events.topics import ADMISSIONS, ASSESSMENTS, CONTACTS, DECISIONS, REFUNDS, TYPES_OF
from shared.policy.book import PolicyBook
from tests.scenarios.play import SOURCE, Publish, Scenario, Wait
from tests.scenarios.seen import Claim, Dead

START: Final = datetime(2026, 12, 1, 12, tzinfo=UTC)
PARKING: Final = timedelta(hours=24)
TOLD: Final = get_args(Told)
CALCULATED: Final = frozenset(
    {
        "claim.admitted.v1",
        "claim.cancelled.v1",
        "claim.reviewed.v1",
        "refund.settled.v1",
        "return.received.v1",
        "claim.assessed.v1",
    }
)
MOST_STEPS: Final = 500


@dataclass(slots=True)
class Pipeline:
    """Four services but for notification, one lane. `heard` and `dead` are what came out."""

    book: PolicyBook
    now: datetime = START
    heard: dict[tuple[str, str], Claim] = field(default_factory=dict)
    dead: list[Dead] = field(default_factory=list)
    _desk: Desk = field(init=False)
    _topics: dict[int, str] = field(default_factory=dict)
    _claims: dict[tuple[str, str], ClaimState] = field(default_factory=dict)
    _orders: dict[OrderKey, Order] = field(default_factory=dict)
    _queues: dict[str, deque[tuple[str, str, bytes]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._desk = Desk(self.now, PARKING, self.book.currency)
        self._queues = {service: deque() for service in ("intake", "eligibility", "refund-calculation")}

    def play(self, scenario: Scenario) -> None:
        """All acts of a scenario, each to its end."""
        for act in scenario.acts:
            if isinstance(act, Wait):
                self.now += act.by
                self._tick()
                claim = self.heard.get(scenario.claims["a"], Claim())
                assert act.until in (None, *claim.where), f"{act.until} is awaited, and it is {claim.where}"
            else:
                for _ in range(act.times):
                    self._take(act, scenario)
            self._run()
            self.now += timedelta(seconds=1)

    # --- the door ---

    def _take(self, act: Publish, scenario: Scenario) -> None:
        data = dict(act.data)
        if act.settles is not None:
            label, number = act.settles
            decided = [each for each in self.heard[scenario.claims[label]].decided if each.refund]
            refund = decided[number - 1 if number else -1].refund
            data["refund_id"] = refund.refund_id if refund else None
        headers = {"ce_specversion": "1.0", "ce_type": act.type, "ce_id": act.id, "ce_source": SOURCE}
        value = json.dumps(data, ensure_ascii=False).encode()
        try:
            envelope = open_input(act.topic, [(name, text.encode()) for name, text in headers.items()], value)
        except BadEvent as bad:
            self.dead.append(Dead(act.topic, "intake", bad.message, bad.path))
            return
        assert isinstance(envelope.data, Input)
        mark = event_mark(envelope.source, envelope.id, envelope.type, envelope.digest)
        self._judge(envelope.data, act.topic, (mark, *item_marks(envelope.data)))

    def _judge(self, event: Input, topic: str, marks: tuple[object, ...] = ()) -> None:
        ref = len(self._topics)
        self._topics[ref] = topic
        self._desk.now = self.now
        self._desk.orders.setdefault(order_key(event), OrderState())
        letter = Letter(Arrival(event, ref), marks)  # type: ignore[arg-type]
        self._carry_out(self._desk.judge(letter))

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Emit):
                topic = ADMISSIONS if effect.event.type in TYPES_OF[ADMISSIONS] else CONTACTS
                self._emit(topic, as_event(effect.event))
            elif isinstance(effect, Bury):
                self.dead.append(Dead(self._topics[effect.ref], "intake", effect.reason, effect.path))

    # --- what is said ---

    def _emit(self, topic: str, event: Event) -> None:
        assert event.type in TYPES_OF[topic], f"{event.type} on {topic}"
        value = dump(event)
        name = (getattr(event, "merchant", ""), getattr(event, "claim_id", ""))
        if name[1]:
            self.heard.setdefault(name, Claim()).hear(event.type, value)
        for service, reads in (
            ("eligibility", (ADMISSIONS, DECISIONS)),
            ("refund-calculation", (ADMISSIONS, ASSESSMENTS)),
            ("intake", (DECISIONS,)),
        ):
            if topic in reads:
                self._queues[service].append((topic, event.type, value))

    def _run(self) -> None:
        readers: dict[str, Callable[[str, Event], None]] = {
            "intake": self._read_decision,
            "eligibility": self._assess,
            "refund-calculation": self._calculate,
        }
        for _ in range(MOST_STEPS):
            waiting = [service for service, queue in self._queues.items() if queue]
            if not waiting:
                return
            for service in waiting:
                topic, type_, value = self._queues[service].popleft()
                readers[service](topic, parse_data(type_, value))
        raise AssertionError(f"the services still talk after {MOST_STEPS} rounds")

    def _read_decision(self, topic: str, event: Event) -> None:
        if isinstance(event, ClaimDecided):
            self._judge(read_decided(dump(event)), topic)

    def _assess(self, topic: str, event: Event) -> None:
        if isinstance(event, OrderDelivered):
            about = [key for key, state in self._claims.items() if (state.merchant, state.order_id) == order_key(event)]
        elif isinstance(event, TOLD):
            about = [(event.merchant, event.claim_id)]
            fresh = ClaimState(merchant=event.merchant, order_id=event.order_id, claim_id=event.claim_id)
            self._claims.setdefault(about[0], fresh)
        else:
            return
        for key in about:
            self._claims[key] = tell(self._claims[key], event)
            self._assess_again(key)

    def _assess_again(self, key: tuple[str, str]) -> None:
        self._claims[key], assessed = assess(self._claims[key], self.book, self.now)
        if assessed is not None:
            self._emit(ASSESSMENTS, assessed)

    def _calculate(self, topic: str, event: Event) -> None:
        if event.type not in CALCULATED:
            return
        key = (getattr(event, "merchant", ""), getattr(event, "order_id", ""))
        order = self._orders.get(key) or Order(*key)
        try:
            calculated = calculate(order, event, self.book, self.now)
        except Unacceptable as problem:
            self.dead.append(Dead(topic, "refund-calculation", str(problem), problem.path))
            return
        self._orders[key] = calculated.order
        for said in calculated.events:
            self._emit(REFUNDS if isinstance(said, RefundInstructed) else DECISIONS, said)

    # --- time ---

    def _tick(self) -> None:
        self._desk.now = self.now
        for key in list(self._desk.orders):
            self._carry_out(self._desk.refuse_overdue(key))
        for name, state in list(self._claims.items()):
            due = look_again(state)
            if due is not None and due < self.now:
                self._assess_again(name)
