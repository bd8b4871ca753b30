"""Whether a scenario ended as its row says, and kept what every claim must keep."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from tests.scenarios.play import Scenario
from tests.scenarios.seen import Assessed, Claim, Dead, Decided, Instructed, Line, amounts
from tests.scenarios.table import ClaimExpected, DecisionExpected

ORDER: Final = ["goods", "shipping", "transaction_fee", "return_postage", "withdrawal_fee", "compensation"]
DUE: Final = {"seller": timedelta(days=7), "return": timedelta(days=14)}
KNOWN: Final = ("gejet-mall", "hakago")

Heard = Mapping[tuple[str, str], Claim]


def differences(scenario: Scenario, heard: Heard, dead: list[Dead]) -> list[str]:
    """All that differs, one sentence each."""
    found: list[str] = []
    for label, name in scenario.claims.items():
        claim = heard.get(name, Claim())
        found += [f"{label}: {text}" for text in _claim(scenario.claim(label), claim)]
        found += [f"{label}: {text}" for text in _always(claim, name[0])]
    found += _dead(scenario, dead)
    found += _caps(scenario, heard)
    return found


def _claim(expected: ClaimExpected, claim: Claim) -> Iterator[str]:
    if claim.end != expected.end:
        yield f"ended {claim.end}, expected {expected.end}{_because(claim)}"
    codes = sorted(error.code for refused in claim.refused for error in refused.errors)
    if codes != sorted(expected.refused):
        yield f"refused with {codes}, expected {sorted(expected.refused)}"
    if bool(claim.parked) != expected.parked:
        yield f"parked {claim.parked} times, expected {'once' if expected.parked else 'never'}"
    if claim.review_refused != expected.review_refused:
        yield f"{claim.review_refused} reviews refused, expected {expected.review_refused}"
    if expected.referred is not None and claim.referred < expected.referred:
        yield f"referred {claim.referred} times, expected {expected.referred}"
    settled = [said.status for said in claim.settled]
    if expected.settled and settled != expected.settled:
        yield f"settled {settled}, expected {expected.settled}"
    yield from _decisions(expected, claim)
    if claim.story:
        yield from _last(expected, claim.story[-1])
    if expected.payments is not None:
        paid = _paid(claim.instructed)
        if paid != expected.payments:
            yield f"paid {paid}, expected {expected.payments}"


def _because(claim: Claim) -> str:
    if claim.refused:
        return f" (refused: {[error.code for error in claim.refused[-1].errors]})"
    if not claim.story:
        return ""
    last = claim.story[-1]
    said = "; ".join(
        f"{reason.effect} {reason.clause}: {reason.text}" for line in last.lines for reason in line.reasons
    )
    readings = [
        (reading.entry, [(each.result, each.amount) for each in reading.alternatives]) for reading in last.readings
    ]
    return f" ({said}; {readings})"


def _decisions(expected: ClaimExpected, claim: Claim) -> Iterator[str]:
    wanted = expected.decisions()
    if len(claim.decided) != len(wanted):
        outcomes = [(each.outcome, each.refund.amount if each.refund else None) for each in claim.decided]
        yield f"{len(claim.decided)} decisions {outcomes}, expected {len(wanted)}"
    for want, got in zip(wanted, claim.decided, strict=False):
        instructed = [each for each in claim.instructed if each.decision_no == got.decision_no]
        for text in _decision(want, got, instructed):
            yield f"decision {got.decision_no}: {text}"


def _decision(want: DecisionExpected, got: Decided, instructed: list[Instructed]) -> Iterator[str]:
    if got.outcome != want.outcome:
        yield f"outcome {got.outcome}, expected {want.outcome}"
    amount = int(got.refund.amount) if got.refund else 0
    if want.amount is not None and amount != want.amount:
        yield f"amount {amount}, expected {want.amount} ({amounts(got.refund.breakdown) if got.refund else {}})"
    if want.breakdown is not None:
        breakdown = amounts(got.refund.breakdown) if got.refund else {}
        if breakdown != want.breakdown:
            yield f"breakdown {breakdown}, expected {want.breakdown}"
    by = want.by if want.by != "staff" else "staff:"
    if want.outcome != "cancelled" and not got.decided_by.startswith(by):
        yield f"decided by {got.decided_by}, expected {want.by}"
    cited = _cited(got.lines) | {item.clause or "" for item in (got.refund.breakdown if got.refund else [])}
    yield from _cites(want.cites, cited)
    yield from _verdicts(want.lines, got.lines)
    if want.ship_cost is not None:
        payer = got.replacement.ship_cost.payer if got.replacement else None
        if payer != want.ship_cost:
            yield f"shipping on {payer}, expected {want.ship_cost}"
    if want.payments is not None and _paid(instructed) != want.payments:
        yield f"paid {_paid(instructed)}, expected {want.payments}"


def _last(expected: ClaimExpected, last: Assessed | Decided) -> Iterator[str]:
    if isinstance(last, Assessed) and expected.end.startswith("awaiting"):
        yield from _cites(expected.cites, _cited(last.lines))
        yield from _verdicts(expected.lines, last.lines)
        if last.overdue != expected.overdue:
            yield f"overdue {last.overdue}, expected {expected.overdue}"
    shown = {reading.entry: reading for reading in last.readings}
    for entry in expected.readings:
        if entry not in shown:
            yield f"reading {entry} is not named, only {sorted(shown)}"
            continue
        given = [int(each.amount) for each in shown[entry].alternatives if each.amount is not None]
        if expected.amounts and sorted(set(given)) != sorted(set(expected.amounts)):
            yield f"{entry} shows {sorted(given)}, expected {sorted(expected.amounts)}"
        if expected.alternatives is not None and len(shown[entry].alternatives) != expected.alternatives:
            yield f"{entry} shows {len(shown[entry].alternatives)} readings, expected {expected.alternatives}"
    told = [reason.text for line in last.lines for reason in line.reasons if reason.effect == "info"]
    for what, word, named in (("contradiction", "stated", expected.contradiction), ("cap", "capped", expected.capped)):
        if any(word in text for text in told) != named:
            yield f"the reasons {'do not name' if named else 'name'} a {what}: {told}"


def _cites(wanted: list[str], cited: set[str]) -> Iterator[str]:
    for clause in wanted:
        if not cited & set(clause.split("|")):
            yield f"clause {clause} is not cited, only {sorted(cited - {''})}"


def _cited(lines: list[Line]) -> set[str]:
    return {reason.clause for line in lines for reason in line.reasons if reason.clause}


def _verdicts(wanted: Mapping[str, str], lines: list[Line]) -> Iterator[str]:
    verdicts = {line.line_id: line.verdict for line in lines}
    for line_id, verdict in wanted.items():
        if verdicts.get(line_id) != verdict:
            yield f"line {line_id} is {verdicts.get(line_id)}, expected {verdict}"


def _paid(instructed: list[Instructed]) -> dict[str, int]:
    paid: Counter[str] = Counter()
    for each in instructed:
        for payment in each.payments:
            paid[payment.payment_id or "beyond"] += int(payment.amount)
    return dict(paid)


def _always(claim: Claim, merchant: str) -> Iterator[str]:
    """What holds for every claim, whatever its row says."""
    if claim.admitted > 1:
        yield f"admitted {claim.admitted} times"
    refund_ids = [each.refund_id for each in claim.instructed]
    if len(refund_ids) != len(set(refund_ids)):
        yield f"instructed twice: {refund_ids}"
    for number, decision in enumerate(claim.decided, 1):
        if (decision.decision_no, decision.follows) != (number, number - 1 or None):
            yield f"decision {decision.decision_no} follows {decision.follows}, as the {number}th"
        yield from _sound(decision, claim.instructed, merchant)
    waited: set[str] = set()
    for said in claim.assessed:
        yield from _timely(said, said.awaiting in waited)
        waited = {said.awaiting} if said.awaiting else set()
    decided = {each.decision_no for each in claim.decided}
    for each in claim.instructed:
        if each.decision_no not in decided:
            yield f"instructed {each.amount} for decision {each.decision_no}, which there is not"


def _sound(decision: Decided, instructed: list[Instructed], merchant: str) -> Iterator[str]:
    refund, name = decision.refund, f"decision {decision.decision_no}"
    mine = [each for each in instructed if each.decision_no == decision.decision_no]
    if merchant in KNOWN and decision.decided_by == "policy" and decision.outcome != "cancelled":
        if decision.policy is None or decision.policy.id != merchant:
            yield f"{name}: policy {decision.policy}"
        if any(line.verdict == "undecided" for line in decision.lines):
            yield f"{name}: a line is undecided"
    if decision.outcome in ("rejected", "cancelled") and refund is not None:
        yield f"{name}: {decision.outcome} with a refund"
    if (decision.outcome == "replacement") != (decision.replacement is not None):
        yield f"{name}: {decision.outcome} with replacement {decision.replacement}"
    if decision.outcome == "refund" and refund is None:
        yield f"{name}: a refund without a refund"
    if refund is None or int(refund.amount) == 0:
        if mine or (refund is not None and refund.refund_id is not None):
            yield f"{name}: instructed for nothing"
        return
    if int(refund.amount) < 0 or int(refund.amount) != sum(int(item.amount) for item in refund.breakdown):
        yield f"{name}: {refund.amount} is not what the breakdown adds up to"
    items = [item.item for item in refund.breakdown]
    if items != sorted(items, key=ORDER.index) or len(items) != len(set(items)):
        yield f"{name}: the breakdown is {items}"
    if len(mine) != 1:
        yield f"{name}: instructed {len(mine)} times"
        return
    same = (mine[0].refund_id, mine[0].amount, mine[0].currency, mine[0].breakdown)
    if same != (refund.refund_id, refund.amount, refund.currency, refund.breakdown):
        yield f"{name}: instructed otherwise than decided"
    if sum(int(payment.amount) for payment in mine[0].payments) != int(refund.amount):
        yield f"{name}: the payments do not add up"


def _timely(said: Assessed, waited_before: bool) -> Iterator[str]:
    if (said.status == "awaiting") != (said.awaiting is not None):
        yield f"assessed {said.status} awaiting {said.awaiting}"
    if said.awaiting in DUE and not waited_before and not said.overdue:
        within = said.due - said.since if said.due else None
        if within != DUE[said.awaiting]:
            yield f"awaiting {said.awaiting} is due after {within}"
    if said.awaiting == "return" and not said.authorization:
        yield "a return is awaited without an authorization"


def _caps(scenario: Scenario, heard: Heard) -> Iterator[str]:
    """No order gives more than was paid for it, no payment more than it took; postage and what failed are outside."""
    if len(scenario.orders) != 1:
        return
    payments = next(iter(scenario.orders.values()))
    total, postage = 0, 0
    paid: Counter[str] = Counter()
    for name in set(scenario.claims.values()):
        claim = heard.get(name, Claim())
        failed = {said.refund_id for said in claim.settled if said.status == "failed"}
        for each in claim.instructed:
            if each.refund_id in failed:
                continue
            total += int(each.amount)
            postage += amounts(each.breakdown).get("return_postage", 0)
            paid.update({payment.payment_id or "beyond": int(payment.amount) for payment in each.payments})
    if total - postage > sum(payments.values()):
        yield f"refunded {total} with {postage} of postage, though {sum(payments.values())} was paid"
    for payment, amount in paid.items():
        if amount > payments.get(payment, postage):
            yield f"payment {payment} gave {amount}, and took {payments.get(payment)}"


def _dead(scenario: Scenario, dead: list[Dead]) -> Iterator[str]:
    left = list(dead)
    for want in scenario.expected.dead:
        hit = next(
            (
                each
                for each in left
                if want.topic in (None, each.topic)
                and want.service in (None, each.service)
                and want.path in (None, each.path)
                and all(text in each.reason for text in want.says)
            ),
            None,
        )
        if hit is None:
            yield f"no dead letter like {want.model_dump(exclude_defaults=True)}, only {left}"
        else:
            left.remove(hit)
    for each in left:
        yield f"dead letter of {each.service} from {each.topic}: {each.reason} ({each.path})"
