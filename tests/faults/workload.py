"""A recorded workload by seed: claims of both merchants, with repeats, poison, early answers and disorder."""

import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from shared.bus.lanes import lane_of, order_key
from tests.e2e.test_many_claims import WAYS, events_of
from tests.stack import Message, event

DUPLICATES = 0.10
POISON = 0.015
OUT_OF_ORDER = 0.10
EARLY = 0.5
"""Share of the answers and returns that come before their order and claim."""
CLUSTER = 40
"""How far from its place a record that is out of order may come."""
CLAIMS_A_WAVE = 40
POISONED = "-poison-"
"""Part of the event id of each record that intake has to bury."""
PAID = 1_200_000
"""What was paid for each order."""


@dataclass(frozen=True, slots=True)
class End:
    """Where a claim has to end (an outcome, `refused`, `parked`, `awaiting …`), and what is refunded for it."""

    how: str
    amount: int = 0


@dataclass
class Workload:
    """What is published, wave by wave, and where each claim has to end."""

    seed: int
    run: str
    ends: dict[str, End] = field(default_factory=dict)
    twins: list[tuple[str, str]] = field(default_factory=list)
    """Pairs of claims on one order's only unit: one of them is refunded, the other refused, whichever came first."""

    def wave(self, number: int) -> list[Message]:
        """A wave's messages: the same for the same seed but for event ids and the run's prefix of order ids."""
        chance = random.Random(f"{self.seed} wave {number}")
        made: list[Message] = []
        for claim in range(number * CLAIMS_A_WAVE, (number + 1) * CLAIMS_A_WAVE):
            for message in self._of_claim(claim, chance):
                made.append(message)
                if chance.random() < DUPLICATES:
                    made.insert(chance.randint(max(0, len(made) - CLUSTER), len(made)), message)
                if chance.random() < POISON:
                    made.append(_poisoned(message, chance))
        for place in range(len(made)):
            if chance.random() < OUT_OF_ORDER:
                other = min(len(made) - 1, place + chance.randrange(CLUSTER))
                made[place], made[other] = made[other], made[place]
        return made

    def probes(self, lanes: int) -> list[Message]:
        """Events of one claim in each lane that is decided at once."""
        messages: list[Message] = []
        wanted = set(range(lanes))
        while wanted:
            run = f"{self.run}-probe{uuid.uuid4().hex[:10]}"
            lane = lane_of(order_key(WAYS[0].merchant, f"{run}-o0"), lanes)
            if lane in wanted:
                wanted.discard(lane)
                messages += [m for m in events_of(0, run) if m.topic in ("orders.v1", "claims.v1")]
                self.ends[f"{run}-c0"] = End("refund", PAID)
        return messages

    def _of_claim(self, number: int, chance: random.Random) -> Iterable[Message]:
        way = WAYS[number % len(WAYS)]
        again = number // len(WAYS) % 4
        claim, order = f"{self.run}-c{number}", f"{self.run}-o{number}"
        self.ends[claim] = End(way.ends, int(way.amount or 0))
        messages = list(events_of(number, self.run))
        if way.follow_up and chance.random() < EARLY:
            messages.insert(0, messages.pop())
        if number % len(WAYS) == 0 and again % 2 == 0:
            twin = f"{claim}-twin"
            self.twins.append((claim, twin))
            del self.ends[claim]
            messages.append(_claim(way.merchant, order, twin))
        if number % len(WAYS) == 1 and again % 2 == 0:
            self.ends[f"{claim}-unknown"] = End("refused")
            messages.append(_claim(way.merchant, order, f"{claim}-unknown", line="9"))
        if number % len(WAYS) == 4 and again == 0:
            self.ends[f"{claim}-parked"] = End("parked")
            messages.append(_claim(way.merchant, f"{order}-never", f"{claim}-parked"))
        if number % len(WAYS) == 7 and again % 2 == 0:
            self.ends[claim] = End("cancelled")
            ids = {"merchant": way.merchant, "order_id": order, "claim_id": claim}
            messages.append(event("claim.cancelled.v1", ids | {"cancelled_at": AT, "by": "customer"}))
        return messages


AT = "2026-11-06T09:00:00+03:30"


def _claim(merchant: str, order: str, claim: str, line: str = "1") -> Message:
    data: dict[str, Any] = {
        "merchant": merchant,
        "order_id": order,
        "claim_id": claim,
        "reported_at": "2026-11-02T20:00:00+03:30",
        "channel": "web",
        "reason": "out_of_stock",
        "lines": [{"line_id": line, "quantity": 1}],
    }
    return event("claim.submitted.v1", data)


def settlement(refund: dict[str, Any]) -> Message:
    """A payment system's word that it has carried out an instruction; the same each time it is said."""
    told = {name: refund[name] for name in ("refund_id", "merchant", "order_id", "claim_id")}
    more = {"status": "succeeded", "provider_reference": f"bank-{refund['refund_id']}", "settled_at": AT}
    return event("refund.settled.v1", told | more, id_=f"settled-{refund['refund_id']}", source="/tests/bank")


def _poisoned(message: Message, chance: random.Random) -> Message:
    bad = chance.choice((b"\xff\xfe", b"{", b"[]", b'{"merchant": 7}', (message.value or b"")[:-9]))
    headers = tuple(
        (name, value + f"{POISONED}{chance.getrandbits(32)}".encode() if name == "ce_id" else value)
        for name, value in message.headers
    )
    return Message(message.topic, bad, message.key, headers)
