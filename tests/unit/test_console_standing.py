"""Where a claim stands on the console's pages, told from its events in whatever order they were read."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from services.console.domain import Seen, basis_of_action, fold, reached, refunded, seen, standing
from services.console.facts import ClaimFacts, State
from shared.events import parse_data
from shared.events.topics import (
    ADMISSIONS,
    CLAIMS,
    DECISIONS,
    INPUT_TOPIC_OF,
    ORDERS,
    PAYMENTS,
    TYPES_OF,
)
from tests import console_samples as samples

Data = dict[str, object]
Step = tuple[int, str, Mapping[str, object]]
"""When the broker took it (ms), type, data."""

ORDER = samples.order("O-1")
CLAIM = samples.claim("C-1", ORDER)
NAMES = {"claim_id": "C-1", "merchant": "gejet-mall", "order_id": "O-1"}
T0 = datetime(2026, 11, 20, tzinfo=UTC)
HOME = {type_: topic for topic, types in TYPES_OF.items() for type_ in types if topic not in INPUT_TOPIC_OF.values()}


def at(ms: int) -> datetime:
    return T0 + timedelta(milliseconds=ms)


def ms_of(ms: int) -> int:
    return round(at(ms).timestamp() * 1000)


def what(step: Step, offset: int) -> Seen:
    ms, type_, data = step
    topic = INPUT_TOPIC_OF.get(type_) or HOME[type_]
    found = seen(topic, (ms, 0, offset), parse_data(type_, json.dumps(data).encode()))
    assert found is not None
    return found


def told(*steps: Step) -> ClaimFacts:
    """What is known after these events. Any order of reading them, and reading one twice, must come to the same."""
    all_seen = [what(step, offset) for offset, step in enumerate(steps)]
    ends = {_folded(order).model_dump_json() for order in permutations(all_seen)}
    ends.add(_folded([*all_seen, all_seen[0], *reversed(all_seen)]).model_dump_json())
    assert len(ends) == 1
    return ClaimFacts.model_validate_json(ends.pop())


def _folded(steps: Sequence[Seen]) -> ClaimFacts:
    view: ClaimFacts | None = None
    for step in steps:
        view = fold(view, step)
    assert view is not None
    return view


def submitted(ms: int, **more: object) -> Step:
    return ms, "claim.submitted.v1", {**CLAIM, **more}


def parked(ms: int, until: int) -> Step:
    return ms, "claim.parked.v1", {**NAMES, "waiting_for": "order", "until": at(until).isoformat()}


def refused(ms: int, *codes: str, **more: object) -> Step:
    errors = [{"code": code, "path": "$.lines[0]", "message": "no"} for code in codes or ("unknown_line",)]
    return ms, "claim.refused.v1", {**NAMES, "errors": errors, **more}


def admitted(ms: int) -> Step:
    return ms, "claim.admitted.v1", samples.admitted(CLAIM, ORDER)


def assessed(ms: int, revision: int | None, awaiting: str | None = None, **more: object) -> Step:
    status = "awaiting" if awaiting else "eligible"
    data = samples.assessed(CLAIM, revision or 1, status=status, awaiting=awaiting, at=at(ms))
    return ms, "claim.assessed.v1", {**data, **({"basis": None} if revision is None else {}), **more}


def reopened(ms: int, revision: int, rule: str) -> Step:
    reason = {"rule": rule, "clause": None, "effect": "refer", "text": "back with a person"}
    lines = [{"line_id": "1", "quantity": 2, "verdict": "undecided", "reasons": [*samples.reasons("G4.1"), reason]}]
    return assessed(ms, revision, "review", lines=lines)


def referred(ms: int, revision: int | None) -> Step:
    data = {**NAMES, "entry": "withdrawal-fee-base", "readings": samples.READINGS, "revision": revision}
    return ms, "claim.referred.v1", data


def decided(ms: int, number: int = 1, amount: str = "100", **more: object) -> Step:
    data = samples.decided(CLAIM, number, amount, at=at(ms), by="staff:mai" if number > 1 else "policy")
    return ms, "claim.decided.v1", {**data, **more}


def ended(ms: int, outcome: str, **more: object) -> Step:
    made, type_, data = decided(ms)
    return made, type_, {**data, "outcome": outcome, "refund": None, **more}


def instructed(ms: int, number: int = 1, amount: str = "100") -> Step:
    return ms, "refund.instructed.v1", samples.instructed(samples.decided(CLAIM, number, amount))


def settled(ms: int, number: int = 1, status: str = "succeeded") -> Step:
    refund = samples.instructed(samples.decided(CLAIM, number, "100"))
    return ms, "claim.settled.v1", samples.settled(refund, status)


def notified(ms: int, template: str, *, sent: bool = True) -> Step:
    return ms, *samples.told(CLAIM, template, sent=sent)


@pytest.mark.parametrize(
    ("steps", "state", "since"),
    [
        pytest.param([submitted(5)], "received", 5, id="sent in"),
        pytest.param([submitted(5), submitted(3)], "received", 3, id="sent in twice: since the first time"),
        pytest.param([submitted(5), refused(6)], "refused", 6, id="refused"),
        pytest.param([parked(5, 90), refused(95)], "refused", 95, id="parked, its order never came"),
        pytest.param([refused(5), parked(6, 90)], "parked", 6, id="refused, then sent again under the same id"),
        pytest.param([refused(5), refused(9)], "refused", 9, id="refused twice: since the last time"),
        pytest.param([parked(5, 90), admitted(20)], "admitted", 20, id="its order came"),
        pytest.param([refused(5), admitted(20)], "admitted", 20, id="refused, sent again and taken in"),
        pytest.param([admitted(5), assessed(6, 1)], "calculating", 6, id="eligible"),
        pytest.param([assessed(6, 1, "delivery")], "awaiting_delivery", 6, id="awaits the delivery"),
        pytest.param([assessed(6, 1, "seller")], "awaiting_seller", 6, id="awaits the seller"),
        pytest.param([assessed(6, 1, "return")], "awaiting_return", 6, id="awaits the return"),
        pytest.param([assessed(6, 1, "review")], "review", 6, id="awaits a person"),
        pytest.param([assessed(6, 1, "return"), assessed(5, 2, "review")], "review", 5, id="a revision, not a clock"),
        pytest.param([assessed(6, None, "return"), assessed(7, None)], "calculating", 7, id="no revisions: by the log"),
        pytest.param([assessed(6, 1), referred(7, 1)], "review", 7, id="money shows that a person must decide"),
        pytest.param([referred(7, None)], "review", 7, id="referred, the assessment is not read yet"),
        pytest.param([assessed(6, 1), referred(7, 1), assessed(8, 2)], "calculating", 8, id="assessed anew since"),
        pytest.param([assessed(6, 1), referred(7, None)], "calculating", 6, id="a referral that says not of what"),
        pytest.param([assessed(6, 1), referred(7, 1), decided(9, 2)], "refunding", 9, id="staff after a referral"),
        pytest.param(
            [referred(7, 1), decided(9, revision=2)], "refunding", 9, id="decided from a later assessment than referred"
        ),
        pytest.param([decided(5, revision=1), referred(7, 2)], "review", 7, id="referred after what was decided"),
        pytest.param([assessed(6, 1, "return"), decided(7, revision=2)], "refunding", 7, id="decided since"),
        pytest.param([assessed(6, 3, "review"), decided(5, revision=2)], "review", 6, id="to a person after it"),
        pytest.param([assessed(6, 2, "review"), decided(5, revision=2)], "refunding", 5, id="the same revision"),
        pytest.param(
            [assessed(6, 4, "return"), decided(8, 2, revision=None)], "refunding", 8, id="staff, after the assessment"
        ),
        pytest.param(
            [assessed(8, 4, "return"), decided(6, 2)], "refunding", 6, id="staff had decided what is assessed late"
        ),
        pytest.param([assessed(8, 4, "review"), decided(6, 2)], "refunding", 6, id="though it asks for a person"),
        pytest.param([reopened(8, 4, "later-answer"), decided(6, 2)], "review", 8, id="an answer after staff"),
        pytest.param([reopened(8, 4, "settlement-failed"), decided(6, 2)], "review", 8, id="a failure after staff"),
        pytest.param([reopened(6, 4, "later-answer"), decided(8, 2)], "refunding", 8, id="and staff after that"),
        pytest.param([reopened(8, 4, "later-answer"), decided(8, 2)], "refunding", 8, id="at once: it is decided"),
        pytest.param(
            [assessed(8, 4, "return"), ended(6, "cancelled", revision=3)], "cancelled", 6, id="cancelled is cancelled"
        ),
        pytest.param(
            [assessed(8, 4, "return"), decided(8, 2, revision=None)], "refunding", 8, id="in one moment: it is decided"
        ),
        pytest.param([assessed(6, None, "review"), decided(7)], "refunding", 7, id="no revision said: by the times"),
        pytest.param([assessed(8, None, "review"), decided(7)], "review", 8, id="no revision said, assessed later"),
        pytest.param([decided(7), instructed(8)], "instructed", 8, id="the refund is instructed"),
        pytest.param([decided(7), instructed(9), instructed(8)], "instructed", 8, id="published twice: the first"),
        pytest.param([decided(7), instructed(8), settled(9)], "paid", 9, id="paid"),
        pytest.param([decided(7), settled(9)], "paid", 9, id="paid, the instruction is not read yet"),
        pytest.param([decided(7), settled(8, status="failed")], "payment_failed", 8, id="the payment system could not"),
        pytest.param([decided(7), settled(7, status="failed")], "payment_failed", 7, id="in the same millisecond"),
        pytest.param(
            [decided(7), settled(8, status="failed"), settled(9)], "paid", 9, id="failed, then it could after all"
        ),
        pytest.param(
            [decided(7), settled(8, status="failed"), decided(9, 2)], "refunding", 9, id="staff instruct it again"
        ),
        pytest.param([decided(7), settled(8), decided(9, 2)], "refunding", 9, id="a later decision counts"),
        pytest.param([ended(7, "rejected")], "rejected", 7, id="rejected"),
        pytest.param([ended(7, "replacement")], "replaced", 7, id="replaced"),
        pytest.param([ended(7, "cancelled")], "cancelled", 7, id="cancelled"),
        pytest.param(
            [decided(7, refund={"refund_id": None, "amount": "0", "currency": "IRR", "breakdown": []})],
            "nothing_to_pay",
            7,
            id="a refund of 0",
        ),
    ],
)
def test_where_a_claim_stands_and_since_when(steps: list[Step], state: State, since: int) -> None:
    found = standing(told(*steps))
    assert (found.state, found.since_ms) == (state, since)


@pytest.mark.parametrize(
    ("steps", "stuck", "due"),
    [
        pytest.param([submitted(5)], 5, None, id="intake owes the next step"),
        pytest.param([admitted(5)], 5, None, id="eligibility owes it"),
        pytest.param([assessed(6, 1)], 6, None, id="refund-calculation owes it"),
        pytest.param([decided(7)], 7, None, id="the instruction is owed"),
        pytest.param([decided(7), settled(8, status="failed")], 8, None, id="a person has to be told"),
        pytest.param([refused(5)], None, None, id="refused: nobody"),
        pytest.param([decided(7), instructed(8)], None, None, id="the payment system's turn"),
        pytest.param([decided(7), settled(8)], None, None, id="paid: nobody"),
        pytest.param([ended(7, "rejected")], None, None, id="rejected: nobody"),
        pytest.param([assessed(6, 1, "review")], None, None, id="staff's turn"),
        pytest.param([referred(6, 1)], None, None, id="staff's turn by a referral"),
        pytest.param([parked(5, 90)], ms_of(90), ms_of(90), id="parked: owed once the parking ends"),
        pytest.param([parked(5, 90), parked(6, 95)], ms_of(95), ms_of(95), id="parked again: until the later"),
        pytest.param(
            [assessed(6, 1, "return", due=at(70).isoformat())], None, ms_of(70), id="the customer's turn, until due"
        ),
    ],
)
def test_who_owes_the_next_step_and_until_when(steps: list[Step], stuck: int | None, due: int | None) -> None:
    found = standing(told(*steps))
    assert (found.stuck_ms, found.due_ms) == (stuck, due)


def test_only_events_on_their_own_topic_say_where_a_claim_stands() -> None:
    admission = parse_data("claim.admitted.v1", json.dumps(samples.admitted(CLAIM, ORDER)).encode())
    placed = parse_data("order.placed.v1", json.dumps(ORDER).encode())
    settlement = parse_data("refund.settled.v1", json.dumps(settled(1)[2]).encode())
    assert seen(ADMISSIONS, (1, 0, 0), admission) is not None
    assert seen(CLAIMS, (1, 0, 0), admission) is None
    assert seen(DECISIONS, (1, 0, 0), admission) is None
    assert seen(ORDERS, (1, 0, 0), placed) is None
    assert seen(PAYMENTS, (1, 0, 0), settlement) is None


@pytest.mark.parametrize(
    ("steps", "order_id"),
    [
        pytest.param([refused(1, order_id="O-9"), submitted(2)], "O-1", id="the submission's before a refusal's"),
        pytest.param([submitted(1, order_id="O-9"), admitted(2)], "O-1", id="the admission's before all"),
        pytest.param([submitted(2, order_id="O-9"), submitted(1)], "O-1", id="the first submission's"),
        pytest.param([refused(2, order_id="O-9"), refused(1)], "O-1", id="otherwise what was said first"),
    ],
)
def test_whose_word_on_the_order_counts(steps: list[Step], order_id: str) -> None:
    assert told(*steps).order_id == order_id


def test_the_codes_of_a_refusal_are_told_once_each_in_order() -> None:
    codes = [
        "duplicate_claim_id",
        "quantity_exceeds_purchase",
        "units_already_claimed",
        "unknown_line",
        "unknown_order",
    ]
    refusal = told(refused(1, *reversed(codes), "unknown_line")).refusal
    assert refusal is not None
    assert refusal.codes == codes


def test_what_was_said_of_the_claim_is_the_first_submission_and_the_admission() -> None:
    view = told(submitted(2, reason="other", wants=None), submitted(1), admitted(3))
    assert view.submission is not None
    assert (view.submission.reason, view.submission.wants) == ("withdrawal", "refund")
    assert view.admission is not None
    assert (view.admission.reason, view.admission.customer_id, view.admission.currency) == (
        "withdrawal",
        "c-O-1",
        "IRR",
    )


def line(*clauses: str | None) -> Data:
    reasons = [{"rule": "r", "clause": clause, "effect": "allow", "text": "t"} for clause in clauses]
    return {"line_id": "1", "quantity": 2, "verdict": "eligible", "reasons": reasons}


def test_an_assessment_shows_its_clauses_and_policy_and_its_readings_to_a_person() -> None:
    lines = [line("G4.1", "G0.2"), line("G4.1", None)]
    shown = told(assessed(1, 1, "review", lines=lines, readings=samples.READINGS)).assessment
    assert shown is not None
    assert shown.clauses == ["G0.2", "G4.1"]
    assert shown.policy == "gejet-mall@1"
    assert [one.entry for one in shown.readings] == ["withdrawal-fee-base"]
    assert shown.due_ms is None
    waiting = told(assessed(1, 1, "return", readings=samples.READINGS, policy=None)).assessment
    assert waiting is not None
    assert waiting.readings == []
    assert waiting.policy is None


def test_a_decision_cites_the_clauses_of_its_lines_and_of_its_money() -> None:
    view = told(decided(1, lines=[line("G4.1", "G0.2")], amount="5000"))
    (decision,) = view.decisions.values()
    assert decision.clauses == ["G0.2", "G4.1", "GN2", "GN4"]
    assert (decision.amount, decision.currency, decision.refund_id) == (5000, "IRR", "r-C-1-1")
    assert (decision.policy, decision.decided_ms) == ("gejet-mall@1", ms_of(1))


def test_a_compensation_by_staff_has_no_clause_to_cite() -> None:
    item = {"item": "compensation", "amount": "100", "payer": "merchant", "clause": None}
    refund = {"refund_id": "r", "amount": "100", "currency": "IRR", "breakdown": [item]}
    (decision,) = told(decided(1, lines=[], refund=refund)).decisions.values()
    assert decision.clauses == []


def test_amounts_are_kept_in_minor_units() -> None:
    refund = {"refund_id": "r", "amount": "12.30", "currency": "USD", "breakdown": []}
    assert refunded(told(decided(1, refund=refund))) == 1230


@pytest.mark.parametrize(
    ("steps", "given"),
    [
        pytest.param([ended(1, "rejected")], 0, id="a rejection gives nothing"),
        pytest.param([decided(1, amount="100"), decided(2, 2, "40")], 140, id="a later decision adds its difference"),
        pytest.param([decided(1, amount="100"), instructed(2)], 100, id="instructed"),
        pytest.param([decided(1, amount="100"), settled(2)], 100, id="paid"),
        pytest.param([decided(1, amount="100"), settled(2, status="failed")], 0, id="failed: not given"),
        pytest.param(
            [decided(1, amount="100"), settled(2, status="failed"), decided(3, 2, "90")], 90, id="given again by staff"
        ),
        pytest.param([decided(1, amount="100"), ended(2, "rejected", decision_no=2)], 100, id="given is given"),
    ],
)
def test_what_the_claim_gave_in_all(steps: list[Step], given: int) -> None:
    assert refunded(told(*steps)) == given


def test_a_decision_published_twice_is_the_first() -> None:
    (decision,) = told(decided(4, amount="100"), decided(3, amount="100")).decisions.values()
    assert decision.at[0] == 3


def test_stages_are_reached_when_they_were_first_reached() -> None:
    view = told(
        (1, "claim.submitted.v1", CLAIM),
        assessed(4, 2),
        assessed(3, 1, "return"),
        decided(6, 2),
        decided(5),
    )
    assert reached(view) == {"received": 1, "assessed": 3, "decided": 5}


def test_money_stages_are_reached_by_the_first_refund() -> None:
    view = told(decided(1), instructed(4, 2), instructed(3), settled(6, 2), settled(7))
    assert reached(view) == {"decided": 1, "instructed": 3, "paid": 6}


@pytest.mark.parametrize(
    ("steps", "reached_at"),
    [
        pytest.param([notified(3, "decided")], {"notified": 3}, id="told of the decision"),
        pytest.param([notified(3, "refused")], {"notified": 3}, id="told of the refusal"),
        pytest.param([notified(5, "decided"), notified(3, "refused")], {"notified": 3}, id="the first word of an end"),
        pytest.param([notified(3, "awaiting_return")], {}, id="a word on the way is not the end"),
        pytest.param([notified(3, "decided", sent=False)], {}, id="could not be told"),
        pytest.param([notified(3, "decided", sent=False), notified(5, "decided")], {"notified": 5}, id="later on"),
        pytest.param([settled(3, status="failed")], {}, id="not paid"),
        pytest.param([admitted(3)], {"admitted": 3}, id="admitted"),
    ],
)
def test_a_stage_that_was_not_reached_is_not_shown(steps: list[Step], reached_at: dict[str, int]) -> None:
    assert reached(told(*steps)) == reached_at


def test_stored_facts_do_not_tell_who_came_first() -> None:
    view = told(decided(1, 2), decided(2, 1), instructed(3, 2), instructed(4, 1))
    assert (list(view.decisions), list(view.refunds)) == ([1, 2], ["r-C-1-1", "r-C-1-2"])


def refused_review(ms: int, review_id: str) -> Step:
    error = {"code": "above_what_is_left", "path": "$.amount", "message": "only 5 are left"}
    return ms, "review.refused.v1", {**NAMES, "review_id": review_id, "errors": [error]}


@pytest.mark.parametrize(
    ("steps", "basis"),
    [
        pytest.param([submitted(1)], "0.0.0", id="nothing but the claim"),
        pytest.param([assessed(1, 3)], "0.3.0", id="an assessment, by its revision"),
        pytest.param([submitted(1), parked(1, 9), assessed(1, None)], "0.2.0", id="one without it, by its place"),
        pytest.param([assessed(1, 3), decided(2), decided(3, 2)], "2.3.0", id="the last decision"),
        pytest.param([assessed(1, 3), refused_review(2, "a"), refused_review(3, "b")], "0.3.2", id="refused reviews"),
        pytest.param([refused_review(2, "a"), refused_review(3, "a")], "0.0.1", id="one told twice is one"),
    ],
)
def test_what_a_person_saw_has_a_name_that_changes_with_it(steps: list[Step], basis: str) -> None:
    assert basis_of_action(told(*steps)) == basis


def test_a_refused_review_stands_where_it_was_first_told() -> None:
    assert told(refused_review(3, "a"), refused_review(2, "a")).refused_reviews == {"a": (2, 0, 1)}
