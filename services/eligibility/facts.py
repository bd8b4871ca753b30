"""What eligibility has been told about one claim: an immutable set of facts, and how each event adds to it.

Independent facts (delivery, answers, returns, reviews, what refund-calculation says) may come in any order and before
the claim itself. `seq` numbers them as they arrive: of two answers at one instant the later arrival counts, and a
review covers the answers that arrived before it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal, TypeAlias, assert_never

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from services.eligibility.reading import (
    Admitted,
    Answered,
    Cancelled,
    Decided,
    Delivered,
    Exchange,
    Facts,
    Heard,
    Inspection,
    Instant,
    Money,
    Order,
    OrderLine,
    Postage,
    ReadingShown,
    Referred,
    Returned,
    Reviewed,
    ReviewRefused,
    Settled,
    read,
)
from shared import events
from shared.events import dump
from shared.events.parts import Awaiting, ClaimReason, Fault, Outcome, SellerAnswer, Wants
from shared.money import minor
from shared.policy.rules import Value

Told: TypeAlias = (
    events.ClaimAdmitted
    | events.ClaimCancelled
    | events.OrderDelivered
    | events.SellerAnswered
    | events.ReturnReceived
    | events.ClaimReviewed
    | events.ClaimDecided
    | events.ClaimReferred
    | events.ClaimSettled
    | events.ReviewRefused
)
"""Every event that tells eligibility something about a claim, as the contract has it."""


class PlacedLine(Struct, frozen=True, array_like=True, gc=False):
    line_id: str
    quantity: int
    unit_price: str
    discount: str


class PlacedShipping(Struct, frozen=True, array_like=True, gc=False):
    amount: str
    collect: bool


class PlacedPayment(Struct, frozen=True, array_like=True, gc=False):
    amount: str


class Placed(Struct, frozen=True, array_like=True, gc=False):
    """An order as far as its ledger is made of it (`shared.ledger.PlacedOrder`)."""

    currency: str
    lines: tuple[PlacedLine, ...]
    shipping: PlacedShipping
    payments: tuple[PlacedPayment, ...]
    discount: str
    transaction_fee: str
    exchange: Exchange | None

    @classmethod
    def of(cls, order: Order) -> "Placed":
        return cls(
            order.currency,
            tuple([PlacedLine(line.line_id, line.quantity, line.unit_price, line.discount) for line in order.lines]),
            PlacedShipping(order.shipping.amount, order.shipping.collect),
            tuple([PlacedPayment(payment.amount) for payment in order.payments]),
            order.discount,
            order.transaction_fee,
            order.exchange,
        )


class ClaimedLine(Struct, frozen=True, array_like=True, gc=False):
    """A claimed line: its units in the order's ledger, and what the customer says of it (the line's own facts before
    the claim's); a fact that nobody has stated is absent. `gift`: flagged so and invoiced at 0; `category` in lower
    case."""

    line_id: str
    quantity: int
    units: tuple[int, ...]
    stated: dict[str, Value] = {}
    gift: bool = False
    category: str | None = None
    sealed: bool = False


class Submitted(Struct, frozen=True, array_like=True, gc=False):
    """The claim as admitted, as far as it is judged by. `carrier` is the order's as rules compare it, without regard to
    case; `placed` is the order as JSON (`Placed`), because it is seldom asked for."""

    reason: ClaimReason
    wants: Wants
    reported_at: Instant
    placed_at: Instant
    carrier: str
    lines: tuple[ClaimedLine, ...]
    placed: Raw

    @property
    def order(self) -> Placed:
        """The order as it was placed."""
        return _ORDER.decode(self.placed)


class AnswerFact(Struct, frozen=True, array_like=True, gc=False):
    seq: int
    answer_id: str
    answered_at: Instant
    answer: SellerAnswer
    amount: Money | None = None


class ReturnFact(Struct, frozen=True, array_like=True, gc=False):
    return_id: str
    received_at: Instant
    lines: dict[str, int]
    inspection: dict[str, Value]
    fault: Fault | None = None
    postage: Postage | None = None


class ReviewFact(Struct, frozen=True, array_like=True, gc=False):
    seq: int
    review_id: str


class DecisionFact(Struct, frozen=True, array_like=True, gc=False):
    """A decision of refund-calculation. `revision` is that of the assessment it was made from; null by staff."""

    decision_no: int
    outcome: Outcome
    by_staff: bool
    revision: int | None = None


class ReferralFact(Struct, frozen=True, array_like=True, gc=False):
    """Refund-calculation could not decide on the assessment `revision`."""

    revision: int
    entry: str
    readings: tuple[ReadingShown, ...]


class Pinned(Struct, frozen=True, array_like=True, gc=False):
    """The policy version that governs the claim to its end; `version` null: none was in force."""

    version: int | None


class Emitted(Struct, frozen=True, array_like=True, gc=False):
    """The last assessment that was emitted and that no decision has answered yet."""

    revision: int
    status: Literal["awaiting", "eligible", "rejected"]
    since: Instant
    digest: str
    awaiting: Awaiting | None = None
    due: Instant | None = None
    overdue: bool = False
    answer_id: str | None = None


class ClaimState(Struct, frozen=True, array_like=True, gc=False):
    """All facts about one claim, and what was last said about it. `refused`: reviews that could not be carried out
    (which may be heard of before the review itself). `finals`: revision → the answer that an `eligible` or
    `rejected` assessment was made from. `return_since`: when a return was first awaited."""

    merchant: str
    order_id: str
    claim_id: str
    seq: int = 0
    claim: Submitted | None = None
    received_at: Instant | None = None
    cancelled: bool = False
    answers: tuple[AnswerFact, ...] = ()
    returns: tuple[ReturnFact, ...] = ()
    reviews: tuple[ReviewFact, ...] = ()
    refused: tuple[str, ...] = ()
    decisions: tuple[DecisionFact, ...] = ()
    referral: ReferralFact | None = None
    failed_seq: int | None = None
    policy: Pinned | None = None
    revision: int = 0
    last: Emitted | None = None
    finals: dict[int, str | None] = {}
    return_since: Instant | None = None


_ORDER: Final = msgspec.json.Decoder(Placed)
_STATE: Final = msgspec.json.Decoder(ClaimState)
_JSON: Final = msgspec.json.Encoder()


def written(state: ClaimState) -> str:
    """The state as it is kept: JSON arrays, because names would be half of it."""
    return _JSON.encode(state).decode()


def restored(kept: str) -> ClaimState:
    """The state that was `written`."""
    return _STATE.decode(kept)


def tell(state: ClaimState, event: Told) -> ClaimState:
    """The state with what `event` says added; the same object when it says nothing new."""
    return add(state, read(event.type, dump(event)))


def add(state: ClaimState, heard: Heard) -> ClaimState:
    """As `tell`, of an event as it is read here."""
    seq = state.seq + 1
    added = _added(state, heard, seq)
    return replace(state, seq=seq, **added) if added else state


def _added(state: ClaimState, heard: Heard, seq: int) -> Mapping[str, object]:
    added: Mapping[str, object] = {}
    match heard:
        case Admitted():
            added = _admitted(state, heard)
        case Decided():
            added = _decided(state, heard)
        case Answered():
            added = _answered(state, heard, seq)
        case Returned():
            added = _returned(state, heard)
        case Delivered() if state.received_at is None:
            added = {"received_at": heard.received_at}
        case Cancelled() if not state.cancelled:
            added = {"cancelled": True}
        case Reviewed() if not any(review.review_id == heard.review_id for review in state.reviews):
            added = _reviewed(state, heard, seq)
        case ReviewRefused() if heard.review_id not in state.refused:
            added = {"refused": (*state.refused, heard.review_id)}
        case Referred():
            revision = state.revision if heard.revision is None else heard.revision
            added = {"referral": ReferralFact(revision, heard.entry, heard.readings)}
        case Settled() if heard.status == "failed":
            added = {"failed_seq": seq}
        case Delivered() | Cancelled() | Reviewed() | ReviewRefused() | Settled():
            pass
        case _:
            assert_never(heard)
    return added


def _admitted(state: ClaimState, heard: Admitted) -> Mapping[str, object]:
    if state.claim is not None:
        return {}
    claim, order = heard.claim, heard.order
    general = known(claim.facts)
    ordered = {line.line_id: line for line in order.lines}
    lines = []
    for line in claim.lines:
        placed = ordered[line.line_id]
        lines.append(
            ClaimedLine(
                line_id=line.line_id,
                quantity=line.quantity,
                units=tuple(heard.units.get(line.line_id) or range(1, line.quantity + 1)),
                stated=general if line.facts is None else general | known(line.facts),
                gift=is_gift(placed, order.currency),
                category=None if placed.category is None else placed.category.strip().lower(),
                sealed=placed.sealed,
            )
        )
    submitted = Submitted(
        reason=claim.reason,
        wants=claim.wants or "refund",
        reported_at=claim.reported_at,
        placed_at=order.placed_at,
        carrier=order.shipping.carrier.strip().lower(),
        lines=tuple(lines),
        placed=Raw(_JSON.encode(Placed.of(order))),
    )
    return {"claim": submitted, "received_at": state.received_at or order.received_at}


def known(facts: Facts | Inspection | None) -> dict[str, Value]:
    """The facts that are known, by name; those that are not are absent."""
    return {} if facts is None else msgspec.to_builtins(facts)


def is_gift(line: OrderLine, currency: str) -> bool:
    """Flagged gift and invoiced at 0; a line at 0 through a discount is no gift."""
    return line.gift and minor(line.unit_price, currency) == 0


def _answered(state: ClaimState, heard: Answered, seq: int) -> Mapping[str, object]:
    if any(answer.answer_id == heard.answer_id for answer in state.answers):
        return {}
    amount = heard.amount if heard.answer == "refund_partial" else None
    answer = AnswerFact(seq, heard.answer_id, heard.answered_at, heard.answer, amount)
    return {"answers": (*state.answers, answer)}


def _returned(state: ClaimState, heard: Returned) -> Mapping[str, object]:
    if any(one.return_id == heard.return_id for one in state.returns):
        return {}
    returned = ReturnFact(
        return_id=heard.return_id,
        received_at=heard.received_at,
        lines={line.line_id: line.quantity for line in heard.lines},
        inspection=known(heard.inspection),
        fault=heard.fault,
        postage=heard.postage,
    )
    return {"returns": (*state.returns, returned)}


def _reviewed(state: ClaimState, heard: Reviewed, seq: int) -> Mapping[str, object]:
    reviews = (*state.reviews, ReviewFact(seq, heard.review_id))
    return {"reviews": reviews, **({"last": None} if _ahead(state, state.decisions) else {})}


def _ahead(state: ClaimState, decisions: tuple[DecisionFact, ...]) -> bool:
    """Whether a person's decision has been heard of before its review."""
    reviews = sum(review.review_id not in state.refused for review in state.reviews)
    return reviews < sum(decision.by_staff for decision in decisions)


def _decided(state: ClaimState, heard: Decided) -> Mapping[str, object]:
    if any(decision.decision_no == heard.decision_no for decision in state.decisions):
        return {}
    by_staff = heard.decided_by != "policy"
    decision = DecisionFact(heard.decision_no, heard.outcome, by_staff, heard.revision)
    decisions = (*state.decisions, decision)
    added: dict[str, object] = {"decisions": decisions}
    if by_staff:
        added["failed_seq"] = None
    # What is said next is said anew, even where it is word for word what was said before the decision; unless
    # something newer than what the decision answers has been said meanwhile, or is still to be said before it.
    if by_staff:
        anew = not _ahead(state, decisions)
    else:
        anew = heard.revision is None or state.last is None or heard.revision >= state.last.revision
    if anew:
        added["last"] = None
    return added


def look_again(state: ClaimState) -> datetime | None:
    """When the state has to be looked at again even if nothing comes: just after the due time of what it waits for."""
    if state.last is None or state.last.overdue:
        return None
    return state.last.due
