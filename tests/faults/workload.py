"""A recorded workload by seed: claims of both merchants, with repeats, poison, early answers and disorder."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.e2e.test_many_claims import WAYS, events_of
from tests.stack import Message

DUPLICATES = 0.10
POISON = 0.015
OUT_OF_ORDER = 0.10
CLUSTER = 40
"""How far from its place a record that is out of order may come."""


@dataclass
class Workload:
    """What is published, and what of it is good, repeated and bad."""

    run: str
    claims: int
    messages: list[Message] = field(default_factory=list)
    good: int = 0
    repeats: int = 0
    poison: int = 0

    @classmethod
    def recorded(cls, seed: int, run: str, claims: int) -> "Workload":
        """The same seed gives the same messages but for the run's prefix of ids."""
        chance = random.Random(seed)
        made = cls(run, claims)
        for number in range(claims):
            for message in events_of(number, run):
                made.messages.append(message)
                made.good += 1
                if chance.random() < DUPLICATES:
                    made.messages.insert(
                        chance.randint(max(0, len(made.messages) - CLUSTER), len(made.messages)), message
                    )
                    made.repeats += 1
                if chance.random() < POISON:
                    made.messages.append(_poisoned(message, chance))
                    made.poison += 1
        for place in range(len(made.messages)):
            if chance.random() < OUT_OF_ORDER:
                other = min(len(made.messages) - 1, place + chance.randrange(CLUSTER))
                made.messages[place], made.messages[other] = made.messages[other], made.messages[place]
        return made

    def waves(self, size: int) -> Iterable[list[Message]]:
        """The messages in parts, to be published one after the other."""
        for start in range(0, len(self.messages), size):
            yield self.messages[start : start + size]

    def end_of(self, number: int) -> tuple[str, str | None]:
        """Where a claim has to end, and its refund's amount."""
        way = WAYS[number % len(WAYS)]
        return way.ends, way.amount


def _poisoned(message: Message, chance: random.Random) -> Message:
    bad = chance.choice((b"\xff\xfe", b"{", b"[]", b'{"merchant": 7}', (message.value or b"")[:-9]))
    headers = tuple(
        (name, value + f"-poison-{chance.getrandbits(32)}".encode() if name == "ce_id" else value)
        for name, value in message.headers
    )
    return Message(message.topic, bad, message.key, headers)
