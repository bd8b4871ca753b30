"""A claim as a policy sees it: reduced to the facts that rules can ask for. Plain values, no events, no clock."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from shared.events.parts import Wants
from shared.policy.rules import Answer, Situation, Value


class LineCase(Struct, frozen=True):
    """A claimed line. `stated`: what the customer says, the line's own facts before the claim's; `found`: what the
    inspections of this line's units say, distinct values in the order they came. A fact that nobody has told is absent.
    """

    line_id: str
    quantity: int
    stated: Mapping[str, Value] = {}
    found: Mapping[str, tuple[Value, ...]] = {}
    back: int = 0
    """Units of this claim that have come back, at most `quantity`."""
    gift: bool = False
    category: str | None = None
    sealed: bool = False

    @property
    def returned(self) -> bool:
        return self.back >= self.quantity

    def values(self, fact: str) -> tuple[Value, ...]:
        """What is known of an inspectable fact: findings replace what was stated; empty when nobody has told."""
        found = self.found.get(fact)
        if found:
            return found
        return (self.stated[fact],) if fact in self.stated else ()


class ClaimCase(Struct, frozen=True):
    """A claim with everything known about it. `answer` is the seller's answer that counts now: None while none has
    come, `require_return` while the goods must come back first. `carrier` is in lower case."""

    reason: str
    wants: Wants
    reported_at: datetime
    received_at: datetime | None
    carrier: str
    lines: tuple[LineCase, ...]
    answer: Answer | None = None
    span: str | None = None
    """How the time between receipt and report is put into words; None: as it is. A verdict that is to serve several
    claims has a mark here."""

    def situation(self, line: LineCase) -> Situation:
        return Situation(
            answer=self.answer, carrier=self.carrier, wants=self.wants, category=line.category, sealed=line.sealed
        )
