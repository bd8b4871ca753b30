"""One claim as the page shows it (`shown.py`), put together from the events about its order. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.console import domain
from services.console.facts import ClaimFacts
from services.console.money import ledger_shown, waterfall
from services.console.said import says
from services.console.shown import Case, ClaimedLine, Customer, DecisionShown, InstructionShown, Moment, NoticeShown
from services.console.store import Entry
from shared.events import (
    BadEvent,
    ClaimAdmitted,
    ClaimAssessed,
    ClaimDecided,
    ClaimSubmitted,
    CustomerContact,
    Event,
    Model,
    NotificationFailed,
    NotificationSent,
    Order,
    OrderDelivered,
    OrderPlaced,
    ReadingShown,
    RefundInstructed,
    parse_data,
)
from shared.events.envelope import open_input
from shared.events.parts import Evidence
from shared.events.personal import mask


@dataclass(frozen=True, slots=True)
class Told:
    """An entry with its event read."""

    entry: Entry
    event: Event


def read(entry: Entry) -> Event:
    """The event of a stored entry. Raises `BadEvent` when the contract has become narrower since."""
    if entry.structured:
        return open_input(entry.topic, [("content-type", b"application/cloudevents+json")], entry.value).data
    return parse_data(entry.type, entry.value)


def read_all(entries: Iterable[Entry]) -> list[Told]:
    """The entries with their events, in the order of time."""
    told = []
    for entry in sorted(entries, key=lambda e: (e.at_ms, e.topic, e.lane, e.offset)):
        try:
            told.append(Told(entry, read(entry)))
        except BadEvent:
            continue
    return told


def fold_claim(told: Sequence[Told], claim_id: str) -> ClaimFacts | None:
    """The claim's facts from the events of its order."""
    view: ClaimFacts | None = None
    for each in told:
        if each.entry.claim_id != claim_id:
            continue
        what = domain.seen(each.entry.topic, (each.entry.at_ms, each.entry.lane, each.entry.offset), each.event)
        if what is not None:
            view = domain.fold(view, what)
    return view


def case_of(told: Sequence[Told], claim_id: str, *, unmasked: bool) -> Case | None:
    """Put the claim together; None when none of the events is about it. Contact data, and what the customer wrote or
    sent, is masked unless `unmasked`."""
    view = fold_claim(told, claim_id)
    if view is None:
        return None
    mine = [each for each in told if each.entry.claim_id == claim_id]
    stand = domain.standing(view)
    admitted = _first(mine, ClaimAdmitted)
    claim = admitted.claim if admitted is not None else _first(mine, ClaimSubmitted)
    order = order_of(told, admitted)
    assessed = _latest_assessment(mine)
    decisions = _by_number(mine)
    last = decisions[-1] if decisions else None
    ledger = None if order is None else ledger_shown(order, [each.event for each in told])
    verdicts = assessed.lines if assessed is not None and (last is None or stand.state == "review") else []
    timeline = moments(told, claim_id)
    return Case(
        merchant=told[0].entry.merchant,
        claim_id=claim_id,
        order_id=view.order_id,
        state=stand.state,
        since=_at(stand.since_ms),
        due=None if stand.due_ms is None else _at(stand.due_ms),
        reported_at=None if claim is None else claim.reported_at,
        received_at=_received(told, order),
        reason=None if claim is None else claim.reason,
        wants=None if claim is None else claim.wants,
        channel=None if claim is None else claim.channel,
        note=None if claim is None else claim.note if unmasked else mask(claim.note),
        facts=None if claim is None else claim.facts,
        evidence=_evidence(claim, unmasked=unmasked),
        customer=_customer(told, order, unmasked=unmasked),
        claimed=_claimed(claim, order, admitted),
        policy=(view.assessment.policy if view.assessment is not None else None) or (_policy(last)),
        authorization=None if assessed is None else assessed.authorization,
        verdicts=verdicts or ([] if last is None else last.lines),
        readings=_readings(view, assessed, last),
        decisions=[_decision_shown(each) for each in decisions],
        waterfall=waterfall(decisions),
        ledger=ledger,
        instructions=_instructions(mine, view),
        notices=_notices(mine),
        timeline=timeline,
        other_claims=sorted({e.entry.claim_id for e in told if e.entry.claim_id} - {claim_id}),
        currency=None if order is None else order.currency,
        refunded=domain.refunded(view),
        left=None if ledger is None else ledger.left_minor,
        basis=domain.basis_of_action(view),
        trace_ids=list(dict.fromkeys(m.trace_id for m in timeline if m.mine and m.trace_id)),
    )


MONEY = ("order.placed.v1", "claim.admitted.v1", "refund.instructed.v1", "claim.settled.v1")
"""The types that say what is left of an order's payments."""


def left_of(told: Sequence[Told], claim_id: str) -> int | None:
    """What is left of the payments of the claim's order, in minor units, from the order's events of the types `MONEY`;
    None where it is not known."""
    admitted = _first([each for each in told if each.entry.claim_id == claim_id], ClaimAdmitted)
    order = order_of(told, admitted)
    ledger = None if order is None else ledger_shown(order, [each.event for each in told])
    return None if ledger is None else ledger.left_minor


def moments(told: Sequence[Told], claim_id: str) -> list[Moment]:
    """The timeline: the claim's events and those of its order that name no claim; `after_ms`: since the one before."""
    shown: list[Moment] = []
    known: set[tuple[str, str, str]] = set()
    for each in told:
        entry = each.entry
        if entry.claim_id not in (None, claim_id):
            continue
        name = (entry.topic, entry.source, entry.event_id)
        shown.append(
            Moment(
                at=_at(entry.at_ms),
                type=entry.type,
                service=entry.source.removeprefix("/makegood/"),
                topic=entry.topic,
                partition=entry.lane,
                offset=entry.offset,
                event_id=entry.event_id,
                trace_id=entry.traceparent.split("-")[1] if entry.traceparent.count("-") >= 3 else None,
                repeat=name in known,
                mine=entry.claim_id == claim_id,
                after_ms=entry.at_ms - int(shown[-1].at.timestamp() * 1000) if shown else 0,
                says=says(each.event),
            )
        )
        known.add(name)
    return shown


def _first(told: Sequence[Told], model: type[Model]) -> Model | None:
    return next((each.event for each in told if isinstance(each.event, model)), None)


def order_of(told: Sequence[Told], admitted: ClaimAdmitted | None) -> Order | None:
    """The order as the claim was admitted against, otherwise as placed."""
    if admitted is not None:
        return admitted.order
    placed = _first(told, OrderPlaced)
    return None if placed is None else placed.order()


def _received(told: Sequence[Told], order: Order | None) -> datetime | None:
    if order is not None and order.received_at is not None:
        return order.received_at
    delivered = _first(told, OrderDelivered)
    return None if delivered is None else delivered.received_at


def _latest_assessment(mine: Sequence[Told]) -> ClaimAssessed | None:
    found = [
        ((each.event.basis.revision if each.event.basis is not None else 0, index), each.event)
        for index, each in enumerate(mine)
        if isinstance(each.event, ClaimAssessed)
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _by_number(mine: Sequence[Told]) -> list[ClaimDecided]:
    numbered: dict[int, ClaimDecided] = {}
    for each in mine:
        if isinstance(each.event, ClaimDecided):
            numbered.setdefault(each.event.decision_no, each.event)
    return [numbered[number] for number in sorted(numbered)]


def _policy(decided: ClaimDecided | None) -> str | None:
    if decided is None or decided.policy is None:
        return None
    return f"{decided.policy.id}@{decided.policy.version}"


def _customer(told: Sequence[Told], order: Order | None, *, unmasked: bool) -> Customer | None:
    if order is None:
        return None
    placed, contact = _first(told, OrderPlaced), _first(told, CustomerContact)
    source = placed.customer if placed is not None else contact
    name, email, phone = (None, None, None) if source is None else (source.name, source.email, source.phone)
    return Customer(
        customer_id=order.customer.customer_id,
        locale=order.customer.locale,
        name=name if unmasked else mask(name),
        email=email if unmasked else mask(email),
        phone=phone if unmasked else mask(phone),
        masked=not unmasked,
    )


def _evidence(claim: ClaimSubmitted | None, *, unmasked: bool) -> list[Evidence]:
    pieces = [] if claim is None or claim.evidence is None else claim.evidence
    return pieces if unmasked else [piece.model_copy(update={"uri": mask(piece.uri)}) for piece in pieces]


def _claimed(claim: ClaimSubmitted | None, order: Order | None, admitted: ClaimAdmitted | None) -> list[ClaimedLine]:
    if claim is None:
        return []
    lines = {} if order is None else {line.line_id: line for line in order.lines}
    units = {} if admitted is None else admitted.units
    return [
        ClaimedLine(
            line_id=line.line_id,
            quantity=line.quantity,
            part=line.part,
            sku=lines[line.line_id].sku if line.line_id in lines else None,
            title=lines[line.line_id].title if line.line_id in lines else None,
            units=units.get(line.line_id, []),
            facts=line.facts,
        )
        for line in claim.lines
    ]


def _readings(view: ClaimFacts, assessed: ClaimAssessed | None, last: ClaimDecided | None) -> list[ReadingShown]:
    if last is not None and domain.standing(view).state != "review":
        return last.readings
    if assessed is not None and assessed.readings:
        return assessed.readings
    return view.referral.readings if view.referral is not None else []


def _decision_shown(decided: ClaimDecided) -> DecisionShown:
    refund = decided.refund
    return DecisionShown(
        decision_no=decided.decision_no,
        follows=decided.follows,
        outcome=decided.outcome,
        decided_by=decided.decided_by,
        decided_at=decided.decided_at,
        amount=None if refund is None else refund.amount,
        currency=None if refund is None else refund.currency,
        refund_id=None if refund is None else refund.refund_id,
        breakdown=[] if refund is None else refund.breakdown,
        replacement=decided.replacement,
        policy=_policy(decided),
    )


def _instructions(mine: Sequence[Told], view: ClaimFacts) -> list[InstructionShown]:
    shown: dict[str, InstructionShown] = {}
    for each in mine:
        event = each.event
        if not isinstance(event, RefundInstructed):
            continue
        settled = view.refunds[event.refund_id].settled
        shown.setdefault(
            event.refund_id,
            InstructionShown(
                refund_id=event.refund_id,
                decision_no=event.decision_no,
                amount=event.amount,
                currency=event.currency,
                instructed_at=event.instructed_at,
                status="open" if settled is None else "succeeded" if settled.succeeded else "failed",
                payments=[f"{payment.payment_id or '–'}: {payment.amount}" for payment in event.payments],
            ),
        )
    return list(shown.values())


def _notices(mine: Sequence[Told]) -> list[NoticeShown]:
    return [
        NoticeShown(
            notification_id=each.event.notification_id,
            at=_at(each.entry.at_ms),
            template=each.event.template,
            locale=each.event.locale,
            channel=each.event.channel,
            sent=isinstance(each.event, NotificationSent),
            reason=each.event.reason if isinstance(each.event, NotificationFailed) else None,
        )
        for each in mine
        if isinstance(each.event, NotificationSent | NotificationFailed)
    ]


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
