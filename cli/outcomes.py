"""Where claims ended, told from the events about them; and what differs between two ends. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.events import ClaimAssessed, ClaimDecided, ClaimSettled, Event
from shared.money import minor

ClaimKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class End:
    """Where a claim stands at last. `what`: the outcome of its last decision, `awaiting …`, or `undecided` where the
    decision is still to come. `total`: all refunds given, in minor units; one that failed is not given."""

    what: str
    total: int = 0
    by_staff: bool = False

    @property
    def decided(self) -> bool:
        return self.what in ("refund", "replacement", "rejected", "cancelled")


def ends(events: Iterable[Event]) -> dict[ClaimKey, End]:
    """Each claim's end by what eligibility and refund-calculation said of it, in order."""
    found: dict[ClaimKey, End] = {}
    given: dict[ClaimKey, dict[str, int]] = {}
    settled: dict[str, ClaimSettled] = {}
    for event in events:
        if isinstance(event, ClaimAssessed):
            key = (event.merchant, event.order_id, event.claim_id)
            if key not in found or not found[key].decided:
                found[key] = End(f"awaiting {event.awaiting}" if event.awaiting else "undecided")
        elif isinstance(event, ClaimDecided):
            key = (event.merchant, event.order_id, event.claim_id)
            refunds = given.setdefault(key, {})
            if event.refund is not None and event.refund.refund_id is not None:
                refunds[event.refund.refund_id] = minor(event.refund.amount, event.refund.currency)
            found[key] = End(event.outcome, 0, event.decided_by != "policy")
        elif isinstance(event, ClaimSettled):
            settled[event.refund_id] = event
    for key, refunds in given.items():
        total = sum(
            amount for refund, amount in refunds.items() if refund not in settled or settled[refund].status != "failed"
        )
        found[key] = End(found[key].what, total, found[key].by_staff)
    return found
