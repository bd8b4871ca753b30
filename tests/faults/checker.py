"""Judges what a run has left behind: was nothing lost, did nothing happen twice, was order kept?

All of it is pure: evidence and workload in, what is wrong out.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from shared.events.topics import INPUT_TOPICS, OUTPUT_TOPICS
from tests.faults.evidence import Evidence, Place
from tests.faults.workload import PAID, POISONED, End, Workload
from tests.stack import Received

SHOWN = 5
SOURCE = "/makegood/"
DOOR = ("parked", "admitted", "refused")
FINAL = {"eligible", "rejected"}
"""What eligibility says last: nothing in the workload makes it speak again after."""
CLAIM_EVENTS = {
    "claim.cancelled.v1": "claim_id",
    "seller.answered.v1": "answer_id",
    "return.received.v1": "return_id",
    "refund.settled.v1": "refund_id",
    "order.delivered.v1": "order_id",
    "customer.contact.v1": "order_id",
}
"""What tells one event of a type from the next, beside the merchant."""


@dataclass
class Verdict:
    """What the checker found; empty is good."""

    wrong: list[str] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)

    def expect(self, holds: object, what: str) -> None:
        """Note `what` where it does not hold."""
        if not holds:
            self.wrong.append(what)

    def none(self, bad: Iterable[object], what: str) -> None:
        """Note `what` with its number and some examples where there are any."""
        found = list(bad)
        if found:
            self.wrong.append(f"{len(found)} {what}: {', '.join(map(str, found[:SHOWN]))}")


def judge(found: Evidence, work: Workload) -> Verdict:
    """All checks."""
    verdict = Verdict()
    for check in (_inputs, _repeats, _numbers, _claims, _paths, _money, _applied_once, _letters):
        check(verdict, found, work)
    return verdict


def once(records: Iterable[Received]) -> list[Received]:
    """First copies: same source and id is the same event."""
    first: dict[tuple[str, str], Received] = {}
    for record in records:
        first.setdefault((record.header("ce_source"), record.id), record)
    return list(first.values())


def _origin(letter: Received) -> Place:
    return letter.header("dlq_topic"), int(letter.header("dlq_partition")), int(letter.header("dlq_offset"))


def _inputs(verdict: Verdict, found: Evidence, work: Workload) -> None:
    """Every single input record has one fate: applied, duplicate, refused, dead-lettered or parked."""
    letters = {_origin(letter): letter for letter in found.dead_letters() if letter.header("dlq_service") == "intake"}
    effects = _effects(found)
    fates: Counter[str] = Counter()
    known: dict[tuple[str, str], Received] = {}
    astray: list[str] = []
    marks = 0
    for record in found.inputs():
        place = (record.topic, record.partition, record.offset)
        letter, poison = letters.pop(place, None), POISONED in record.id
        event = (record.header("ce_source"), record.id)
        if letter is not None or poison:
            fates["dead-lettered"] += 1
            if letter is None or not poison or not _same(record, letter):
                astray.append(f"{place} {record.type}: {'not as it came' if letter and poison else 'buried or not?'}")
        elif event in known:
            fates["duplicate"] += 1
        else:
            known[event] = record
            marks += 2 if record.type in ("seller.answered.v1", "return.received.v1") else 1
            fate = _fate(record, effects, found.waiting)
            fates[fate] += 1
            if fate in ("lost", "twice"):
                astray.append(
                    f"{place} {record.type} of {record.data.get('claim_id') or record.data['order_id']}: {fate}"
                )
    verdict.none(astray, "input records were lost, applied twice or wrongly buried")
    verdict.none(letters, "dead letters of intake are about no input record")
    verdict.expect(found.seen == marks, f"intake remembers {found.seen} events and answers, {marks} were published")
    ours = {
        f"{_origin(one)}, {one.header('dlq_service')}: {one.header('dlq_reason')[:120]}"
        for one in found.dead_letters()
        if _origin(one)[0] not in INPUT_TOPICS
    }
    verdict.none(sorted(ours), "records of our own were buried")
    verdict.counted |= {"input records": sum(fates.values()), **dict(sorted(fates.items()))}


def _same(record: Received, letter: Received) -> bool:
    kept = {name: value for name, value in letter.headers.items() if not name.startswith("dlq_")}
    return (record.key, record.value, dict(record.headers)) == (letter.key, letter.value, kept)


def _effects(found: Evidence) -> Counter[tuple[str, str, str]]:
    """How often each thing was passed on by intake, by type, merchant and what tells it from the next."""
    effects: Counter[tuple[str, str, str]] = Counter()
    for record in once([*found.topics["admissions.v1"], *found.topics["contacts.v1"]]):
        name = CLAIM_EVENTS.get(record.type, "claim_id")
        effects[record.type, record.data["merchant"], record.data[name]] += 1
    return effects


def _fate(record: Received, effects: Mapping[tuple[str, str, str], int], waiting: set[str]) -> str:
    data: dict[str, Any] = record.data
    merchant = data["merchant"]
    if record.type == "claim.submitted.v1":
        claim = data["claim_id"]
        admitted, refused = (effects.get((f"claim.{how}.v1", merchant, claim), 0) for how in ("admitted", "refused"))
        parked = effects.get(("claim.parked.v1", merchant, claim), 0)
        if admitted + refused + (claim in waiting) > 1 or parked > 1:
            return "twice"
        if claim in waiting:
            return "parked" if parked else "lost"
        return "applied" if admitted else "refused" if refused else "lost"
    kind = "customer.contact.v1" if record.type == "order.placed.v1" else record.type
    times = effects.get((kind, merchant, data[CLAIM_EVENTS[kind]]), 0)
    return "applied" if times == 1 else "twice" if times else "lost"


def _repeats(verdict: Verdict, found: Evidence, _: Workload) -> None:
    """A repeat of the relay is the same to the byte, and first copies come in the order of their numbers."""
    repeats = 0
    for topic in OUTPUT_TOPICS:
        heard: dict[tuple[int, str, str], int] = {}
        first: dict[tuple[str, str], Received] = {}
        other, late = [], []
        for record in found.topics[topic]:
            event = (record.header("ce_source"), record.id)
            if event in first:
                repeats += 1
                before = first[event]
                if (before.value, before.headers, before.partition) != (record.value, record.headers, record.partition):
                    other.append(event)
                continue
            first[event] = record
            lane, number = record.id.split("-")
            origin = (record.partition, event[0], lane)
            if int(number) <= heard.get(origin, 0):
                late.append(event)
            heard[origin] = max(heard.get(origin, 0), int(number))
        verdict.none(other, f"events of {topic} came twice with other content")
        verdict.none(late, f"events of {topic} came first after one with a higher number")
    verdict.counted["repeats by relays"] = repeats


def _numbers(verdict: Verdict, found: Evidence, _: Workload) -> None:
    """All that was emitted is in Kafka: the numbers of each lane are complete, the outbox is empty."""
    present: Counter[tuple[str, int]] = Counter()
    for source, id_ in {(r.header("ce_source"), r.id) for topic in OUTPUT_TOPICS for r in found.topics[topic]}:
        present[source.removeprefix(SOURCE), int(id_.partition("-")[0])] += 1
    origins = {(letter.header("dlq_service"), _origin(letter)) for letter in found.dead_letters()}
    present.update((service, place[1]) for service, place in origins)
    for service, lanes in found.lanes.items():
        for number, lane in lanes.items():
            there = present[service, number]
            verdict.expect(
                lane.emitted == lane.published == there,
                f"{service}, lane {number}: {lane.emitted} events committed, {lane.published} marked, {there} in Kafka",
            )
        buried = {place for of, place in origins if of == service}
        verdict.expect(
            buried == found.buried[service],
            f"{service}: {len(found.buried[service])} dead letters in the database, {len(buried)} in Kafka",
        )
    left = {service: n for service, n in found.outbox.items() if n}
    verdict.expect(not left, f"rows are left in the outbox: {left}")
    verdict.counted["events emitted"] = sum(present.values())


def _claims(verdict: Verdict, found: Evidence, work: Workload) -> None:
    """Every claim has ended where it should."""
    stands: dict[str, str] = {}
    revisions: dict[str, int] = defaultdict(int)
    told = once([*found.topics["admissions.v1"], *found.topics["assessments.v1"], *found.topics["decisions.v1"]])
    for record in told:
        claim = record.data.get("claim_id", "")
        if record.type == "claim.assessed.v1" and record.data["basis"]["revision"] > revisions[claim]:
            revisions[claim] = record.data["basis"]["revision"]
            stands[claim] = f"awaiting {record.data['awaiting']}" if record.data["awaiting"] else record.data["status"]
        elif record.type in ("claim.refused.v1", "claim.parked.v1"):
            stands[claim] = record.type.split(".")[1]
    for record in told:
        if record.type == "claim.decided.v1":
            stands[record.data["claim_id"]] = record.data["outcome"]
    ends = dict(work.ends)
    for pair in work.twins:
        for claim, how in zip(pair, ("refund", "refused"), strict=True):
            ends[claim] = End(how, PAID if how == "refund" else 0)
        if stands.get(pair[0]) == "refused":
            ends[pair[0]], ends[pair[1]] = ends[pair[1]], ends[pair[0]]
    wrong = [
        f"{claim}: {stands.get(claim)}, not {end.how}" for claim, end in ends.items() if stands.get(claim) != end.how
    ]
    verdict.none(wrong, "claims did not end where they should")
    verdict.none(stands.keys() - ends.keys(), "claims are there that nobody made")
    paid: Counter[str] = Counter()
    for record in found.topics["refunds.v1"]:
        paid[record.data["claim_id"]] += int(record.data["amount"])
    amounts = [f"{claim}: {paid[claim]}, not {end.amount}" for claim, end in ends.items() if paid[claim] != end.amount]
    verdict.none(amounts, "claims were paid another amount than due")
    verdict.counted["claims"] = len(ends)


def _paths(verdict: Verdict, found: Evidence, _: Workload) -> None:
    """Each claim's events are one way that the state machine allows, in the order in which they were published."""
    of_claim: dict[str, dict[str, list[Received]]] = defaultdict(lambda: defaultdict(list))
    for topic in ("admissions.v1", "assessments.v1", "decisions.v1"):
        for record in once(found.topics[topic]):
            if "claim_id" in record.data:
                of_claim[record.data["claim_id"]][topic].append(record)
    settled = Counter(r.data["claim_id"] for r in once(found.topics["admissions.v1"]) if r.type == "refund.settled.v1")
    astray = [f"{claim}: {flaw}" for claim, events in of_claim.items() if (flaw := _flaw(events, settled[claim]))]
    verdict.none(astray, "claims took a way that the state machine does not allow")
    verdict.counted["settled"] = settled.total()


def _flaw(events: Mapping[str, list[Received]], settled: int) -> str:
    door = [r.type.split(".")[1] for r in events["admissions.v1"] if r.type.split(".")[1] in DOOR]
    if "".join(name[0] for name in door) not in ("a", "r", "p", "pa", "pr"):
        return f"at the door {door}"
    assessed, decided = events["assessments.v1"], events["decisions.v1"]
    if "admitted" not in door:
        return "events follow though it was not admitted" if assessed or decided else ""
    revisions = [r.data["basis"]["revision"] for r in assessed]
    taken_back = bool(decided) and decided[0].data.get("outcome") == "cancelled"
    if revisions != sorted(set(revisions)) or not (assessed or taken_back):
        return f"assessments with the revisions {revisions}"
    said = [r.data | {"since": "", "basis": r.data["basis"] | {"revision": 0}} for r in assessed]
    if any(one["status"] in FINAL for one in said[:-1]) or any(a == b for a, b in pairwise(said)):
        return f"assessments {[(one['status'], one['awaiting'], one['overdue']) for one in said]}"
    kinds = [r.type.split(".")[1] for r in decided]
    if kinds != ["decided"] * min(1, len(kinds)) + ["settled"] * settled or settled > 1:
        return f"decisions {kinds} with {settled} settlements"
    if decided:
        first = decided[0].data
        answered = {r.data["basis"]["revision"] for r in assessed if r.data["status"] in FINAL}
        if first["decision_no"] != 1 or not (taken_back or first["revision"] in answered):
            return f"decision {first['decision_no']} answers revision {first['revision']} of {revisions}"
    return ""


def _money(verdict: Verdict, found: Evidence, _: Workload) -> None:
    """Each instruction is on refunds.v1 once under read_committed, and no order gets more than it paid."""
    refunds = found.topics["refunds.v1"]
    twice = [one for one, n in Counter(r.data["refund_id"] for r in refunds).items() if n > 1]
    verdict.none(twice, "instructions are on refunds.v1 more than once")
    decided = {
        r.data["refund"]["refund_id"]: r.data["refund"]["amount"]
        for r in once(found.topics["decisions.v1"])
        if r.type == "claim.decided.v1" and r.data["refund"] and r.data["refund"]["refund_id"]
    }
    instructed = {r.data["refund_id"]: r.data["amount"] for r in refunds}
    verdict.expect(decided == instructed, f"{len(decided)} refunds decided, {len(instructed)} instructed, or unequal")
    orders: Counter[tuple[str, str]] = Counter()
    for record in refunds:
        orders[record.data["merchant"], record.data["order_id"]] += int(record.data["amount"])
    verdict.none([order for order, total in orders.items() if total > PAID], "orders got more than was paid for them")
    verdict.counted["instructions"] = len(refunds)


def _applied_once(verdict: Verdict, found: Evidence, _: Workload) -> None:
    """No service has applied an event twice: at one place of its topic, or at two places with the same event."""
    ids: dict[Place, tuple[str, str]] = {
        (r.topic, r.partition, r.offset): (r.header("ce_source"), r.id) for all_ in found.topics.values() for r in all_
    }
    for service, steps in found.history.items():
        again = [step for step, n in Counter(s for s in steps if s.offset is not None).items() if n > 1]
        verdict.none(again, f"steps stand twice in the history of {service}")
        places = {(s.topic, s.lane, s.offset) for s in steps if s.topic is not None and s.offset is not None}
        events = Counter(ids[place] for place in places if place in ids)
        verdict.none([e for e, n in events.items() if n > 1], f"events were applied at two places by {service}")


def _letters(verdict: Verdict, found: Evidence, _: Workload) -> None:
    """Every notification was handed over at least once, again only where the answer, or the note of it, was lost."""
    told = once(found.topics["notifications.v1"])
    outcome = {r.data["notification_id"]: r.type.split(".")[1] for r in told}
    verdict.expect(len(outcome) == len(told), f"{len(told) - len(outcome)} notifications were reported twice")
    verdict.none([one for one, how in outcome.items() if how == "sent" and not found.mails[one]], "messages not sent")
    verdict.none([one for one in found.mails if outcome.get(one) != "sent"], "mails that nobody should have got")
    verdict.none(_handed_again(found), "messages were handed over again though the first answer was noted")
    reported: Counter[tuple[str, str]] = Counter((r.data["claim_id"], r.data["template"]) for r in told)
    noted = Counter(
        (step.claim_id, step.what.removeprefix("to tell: "))
        for step in found.history["notification"]
        if step.what.startswith("to tell: ")
    )
    verdict.none(
        [*(noted - reported), *(reported - noted)], "turns were noted and not reported, or the other way round"
    )
    verdict.none(_turns(found) - reported.keys(), "turns of claims were not told")
    verdict.counted |= {
        "notifications": len(told),
        "mails": found.mails.total(),
        "mails again, the answer lost": found.mails.total() - len(found.mails),
    }


def _turns(found: Evidence) -> set[tuple[str, str]]:
    """Claims, and what at least their customers must have been told."""
    decided = {r.data["claim_id"] for r in found.topics["decisions.v1"] if r.type == "claim.decided.v1"}
    refused = {r.data["claim_id"] for r in found.topics["admissions.v1"] if r.type == "claim.refused.v1"}
    returning = {r.data["claim_id"] for r in found.topics["assessments.v1"] if r.data["awaiting"] == "return"}
    return (
        {(claim, "decided") for claim in decided}
        | {(claim, "refused") for claim in refused}
        | {(claim, "awaiting_return") for claim in returning - decided}
    )


def _handed_again(found: Evidence) -> Iterable[str]:
    """Messages handed over after their outcome was on its way to Kafka, or again by the process that had the answer."""
    closed: dict[str, float] = {}
    for record in found.topics["notifications.v1"]:
        at = datetime.fromisoformat(record.header("ce_time")).timestamp() * 1000
        closed.setdefault(record.data["notification_id"], at)
    accepted: set[tuple[int, str]] = set()
    begun: Counter[str] = Counter()
    for said in found.said:
        if said.what == "begun":
            begun[said.key] += 1
            if said.at > closed.get(said.key, said.at) or (said.pid, said.key) in accepted:
                yield said.key
        elif said.what == "accepted":
            accepted.add((said.pid, said.key))
    yield from (key for key, n in found.mails.items() if n > begun[key])
