"""What payment systems report about refunds that were instructed."""

from datetime import UTC

from msgspec.structs import replace

from services.refund_calculation.deciding import Step
from services.refund_calculation.problem import Unacceptable
from services.refund_calculation.reading import Settled
from services.refund_calculation.state import Decision, Order, goods_total
from services.refund_calculation.writing import SettlementTold


def take_settlement(order: Order, event: Settled) -> Step:
    """The refund's status, and `claim.settled.v1` with the settlement's fields as they came.

    Of several reports about one refund the latest by `settled_at` counts, of two at once the one that came first. A
    failed refund counts as not given from then on. Raises `Unacceptable` for a refund that this claim does not have.
    """
    claim = order.claims.get(event.claim_id)
    decision = None
    if claim is not None:
        decision = next((one for one in claim.decisions if one.refund_id == event.refund_id), None)
    if claim is None or decision is None:
        raise Unacceptable("$.refund_id", f"{event.refund_id} is not a refund of claim {event.claim_id}")
    at = event.settled_at.astimezone(UTC).isoformat(timespec="microseconds")
    if at <= decision.settled_at or event.status == decision.status:
        return Step(order, note=f"{event.status} again or late for refund {event.refund_id}: without effect")
    if not _can_become(order, decision, event):
        return Step(order, note=f"{event.status} for refund {event.refund_id} after others took its place: no effect")
    settled = replace(decision, status=event.status, settled_at=at)
    decisions = tuple(settled if one is decision else one for one in claim.decisions)
    told = SettlementTold(
        refund_id=event.refund_id,
        merchant=event.merchant,
        order_id=event.order_id,
        claim_id=event.claim_id,
        status=event.status,
        provider_reference=event.provider_reference,
        settled_at=event.settled_at,
        failure_reason=event.failure_reason,
    )
    return Step(
        order.with_claim(replace(claim, decisions=decisions)), (told,), f"refund {event.refund_id} {event.status}"
    )


def _can_become(order: Order, decision: Decision, event: Settled) -> bool:
    """A refund that failed and has succeeded after all is given again, unless a person has decided since or another
    refund has taken its room: what was given must never come to more than was paid."""
    if decision.status == "void":
        return False
    if decision.status != "failed" or event.status == "failed":
        return True
    room = order.room()
    fits = all(draw.payment is None or draw.amount <= room[draw.payment] for draw in decision.draws)
    return fits and goods_total(decision.items) <= order.left()
