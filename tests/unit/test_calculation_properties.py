"""Whatever happens to an order: no unit twice, never more than was paid, every sum exact (POLICIES, *Both*, Money)."""

from collections import Counter
from dataclasses import dataclass
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.refund_calculation.problem import Unacceptable
from services.refund_calculation.state import postage_of
from shared.events import ClaimDecided, RefundInstructed
from tests.unit.calculation_stage import Line, Stage, back_to

REASONS = {
    "gejet-mall": ["technical_fault", "withdrawal", "out_of_stock", "late"],
    "hakago": ["wrong_item", "missing_quantity", "missing_part", "late"],
}
CLAIMS = ("a", "b", "c")


@dataclass(frozen=True)
class Doing:
    """One thing that happens: what, to which claim, and two numbers that it may use."""

    what: str
    claim: str
    one: int
    two: int


doings = st.builds(
    Doing,
    st.sampled_from(
        (
            *("admit", "eligible", "eligible", "eligible", "rejected", "awaiting", "replacement", "review", "review"),
            *("reject", "replace", "cancel", "failed", "failed", "succeeded", "again", "returned"),
        )
    ),
    st.sampled_from(CLAIMS),
    st.integers(0, 40),
    st.integers(0, 3),
)


@st.composite
def stages(draw: st.DrawFn) -> Stage:
    merchant = draw(st.sampled_from(sorted(REASONS)))
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        price, quantity = draw(st.integers(0, 20)), draw(st.integers(1, 3))
        lines.append(Line(price, quantity, draw(st.integers(0, price * quantity))))
    stage = Stage(
        merchant,
        tuple(lines),
        shipping=draw(st.integers(0, 50)),
        fee=draw(st.integers(0, 9)),
        collect=draw(st.booleans()),
        exchange=("USD", "3.5"),
    )
    stage.code = draw(st.integers(0, sum(line.price * line.quantity - line.discount for line in lines)))
    first = draw(st.integers(0, stage.deposit))
    stage.payments = (first, stage.deposit - first)
    return stage


def happen(stage: Stage, doing: Doing) -> None:
    """Let it happen; what is a dead letter changes nothing."""
    before = stage.order
    try:
        _happen(stage, doing)
    except Unacceptable:
        assert stage.order is before


def _happen(stage: Stage, doing: Doing) -> None:
    claim, one, two = doing.claim, doing.one, doing.two
    answers = [("full", "refund_full", None), (f"part-{one}", "refund_partial", (str(one + 1), "VND"))]
    answers += [(f"usd-{one}", "refund_partial", (f"{one}.5", "USD")), ("resend", "resend", None)]
    answer = answers[two] if stage.merchant == "hakago" else None
    owed = {f"r-{n}": one + n for n in range(two)} if stage.merchant == "hakago" and one % 2 else {}
    match doing.what:
        case "admit":
            line = 1 + one % len(stage.lines)
            numbers = range(1, 1 + min(1 + two, stage.lines[line - 1].quantity))
            extra = {1 + (line % len(stage.lines)): [1]} if one > 20 else {}
            reason = REASONS[stage.merchant][two]
            stage.admit(claim, reason, {**extra, line: numbers})
        case "eligible":
            stage.assess(claim, answer=answer, postage=owed, rejected=[1] if one == 7 else [])
        case "replacement":
            stage.assess(claim, remedy="replacement", answer=answer, postage=owed)
        case "rejected":
            stage.assess(claim, status="rejected", remedy=None)
        case "awaiting":
            stage.assess(claim, status="awaiting", awaiting="review", remedy=None, answer=answer, postage=owed)
        case "review":
            stage.review(amount=1 + one * (1 + two), claim=claim, review_id=f"rv-{one}-{two}")
        case "reject" | "replace":
            stage.review("reject" if doing.what == "reject" else "replacement", claim=claim, review_id=f"rv-{one}")
        case "cancel":
            stage.cancel(claim)
        case "returned":
            stage.returned(f"r-{two}", one, claim)
        case "again":
            stage.assess(claim, revision=max(1, stage.revisions.get(claim, 1)))
        case status if instructed := stage.instructed():
            picked = instructed[one % len(instructed)]
            stage.take(stage.settlement(picked.refund_id, status, picked.claim_id))


def money_given(stage: Stage) -> tuple[int, int, Counter[str]]:
    """Given without postage, postage given or tried, and what went back to each payment, by what was published."""
    goods, by_payment = 0, Counter[str]()
    postage = 0
    for claim in stage.order.claims.values():
        for decision in claim.decisions:
            postage += postage_of(decision.items)
            if decision.given:
                goods += sum(item.amount for item in decision.items.values()) - postage_of(decision.items)
    failed = {d.refund_id for c in stage.order.claims.values() for d in c.decisions if not d.given}
    for instructed in stage.instructed():
        if instructed.refund_id not in failed:
            by_payment.update(back_to(instructed))
    return goods, postage, by_payment


def check(stage: Stage) -> None:
    order = stage.order
    if order.ledger is None:
        return
    goods, postage, by_payment = money_given(stage)
    assert goods <= order.ledger.deposit
    assert order.left() == order.ledger.deposit - goods >= 0
    for number, payment in enumerate(order.payments, 1):
        assert by_payment[f"p-{number}"] <= payment.amount
    assert by_payment["beyond"] <= postage
    refunded = [unit for claim in order.claims.values() for line in claim.covered().items() for unit in _units(*line)]
    assert len(refunded) == len(set(refunded)), "no unit is refunded twice"
    fees = [-decision.items["withdrawal_fee"].amount for claim in order.claims.values() if not claim.by_staff
            for decision in claim.decisions if decision.given and "withdrawal_fee" in decision.items]  # fmt: skip
    assert sum(fees) * 40 <= order.ledger.deposit + 20, "2.5 % of the deposit, half up, once"
    for claim in order.claims.values():
        assert [decision.number for decision in claim.decisions] == list(range(1, len(claim.decisions) + 1))
        assert (
            all(item.amount >= 0 for name, item in claim.given().items() if name != "withdrawal_fee") or claim.in_review
        )


def _units(line_id: str, numbers: tuple[int, ...]) -> list[tuple[str, int]]:
    return [(line_id, number) for number in numbers]


def check_published(stage: Stage) -> None:
    """Every decision adds up, is told once, and is instructed for exactly what it gives."""
    instructed = {(one.claim_id, one.decision_no): one for one in stage.instructed()}
    assert len(instructed) == len(stage.instructed()) == len({one.refund_id for one in stage.instructed()})
    decided = [one for one in stage.events if isinstance(one, ClaimDecided)]
    assert len({(one.claim_id, one.decision_no) for one in decided}) == len(decided)
    for one in decided:
        assert one.follows == (one.decision_no - 1 or None)
        order = instructed.pop((one.claim_id, one.decision_no), None)
        if one.refund is None:
            assert order is None
            continue
        assert sum(int(item.amount) for item in one.refund.breakdown) == int(one.refund.amount) >= 0
        assert all(item.amount != "0" for item in one.refund.breakdown)
        assert (order is None) == (one.refund.amount == "0") == (one.refund.refund_id is None)
        if order is not None:
            _check_instruction(one, order)
    assert not instructed, "nothing is instructed that was not decided"


def _check_instruction(decided: ClaimDecided, instructed: RefundInstructed) -> None:
    assert decided.refund is not None
    assert (instructed.amount, instructed.refund_id) == (decided.refund.amount, decided.refund.refund_id)
    assert instructed.breakdown == decided.refund.breakdown
    assert sum(int(payment.amount) for payment in instructed.payments) == int(instructed.amount) > 0
    assert all(int(payment.amount) > 0 for payment in instructed.payments)


@given(stages(), st.lists(doings, min_size=4, max_size=22))
def test_any_sequence_of_events_keeps_what_must_hold(stage: Stage, sequence: list[Doing]) -> None:
    happen(stage, Doing("admit", "a", 0, 0))
    for doing in sequence:
        happen(stage, doing)
        check(stage)
    check_published(stage)


@st.composite
def courses(draw: st.DrawFn) -> tuple[Stage, list[list[Doing]]]:
    """An order and, claim by claim, what happens to claims on its own lines that share no fee."""
    stage = draw(stages())
    stage.lines = tuple(stage.lines[:1]) * 3
    stage.code = draw(st.integers(0, 3 * (stage.lines[0].price * stage.lines[0].quantity - stage.lines[0].discount)))
    stage.payments = (stage.deposit,)
    steps = st.sampled_from(["eligible", "awaiting", "eligible", "rejected", "replacement"])
    courses = [
        [
            Doing(what, claim, draw(st.integers(0, 5)), draw(st.integers(0, 3)))
            for what in draw(st.lists(steps, max_size=4))
        ]
        for claim in CLAIMS
    ]
    return stage, courses


def _play(stage: Stage, turns: list[Doing | str]) -> dict[str, object]:
    """The end of every claim, and of the payments. A turn that is a claim's id is its admission."""
    reason = "technical_fault" if stage.merchant == "gejet-mall" else "missing_quantity"
    played = Stage(
        stage.merchant, stage.lines, stage.code, stage.shipping, stage.collect, stage.fee, payments=stage.payments,
        exchange=stage.exchange,
    )  # fmt: skip
    admissions = {
        claim: played.admission(claim, reason, {number: range(1, stage.lines[0].quantity + 1)})
        for number, claim in enumerate(CLAIMS, 1)
    }
    for turn in turns:
        if isinstance(turn, str):
            played.take(admissions[turn])
        else:
            happen(played, turn)
    end: dict[str, object] = {
        claim.claim_id: (claim.outcome, claim.given(), len(claim.decisions)) for claim in played.order.claims.values()
    }
    return end | {"room": played.order.room(), "left": played.order.left()}


@given(courses(), st.randoms(use_true_random=False), st.integers(0, 8))
def test_the_end_is_the_same_whatever_the_order_of_independent_events(
    course: tuple[Stage, list[list[Doing]]], random: Random, late: int
) -> None:
    stage, claims = course
    in_turn: list[Doing | str] = [*CLAIMS, *(doing for claim in claims for doing in claim)]
    queues = [list(claim) for claim in claims]
    mixed: list[Doing | str] = []
    while any(queues):
        mixed.append(random.choice([queue for queue in queues if queue]).pop(0))
    for claim in CLAIMS:
        mixed.insert(random.randint(0, min(late, len(mixed))), claim)
    assert _play(stage, mixed) == _play(stage, in_turn)
