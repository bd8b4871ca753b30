"""The history checker itself: evidence of one claim that went well, then doctored in one place at a time."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.test_many_claims import events_of
from tests.faults.checker import judge
from tests.faults.evidence import Evidence, Lane, Said, Step
from tests.faults.workload import PAID, POISONED, End, Workload, settlement
from tests.stack import Message, Received

CLOSED = "2026-11-22T20:00:00.000Z"
CLOSED_MS = 1_795_377_600_000
CLAIM, ORDER = "run-c0", "run-o0"
IDS = {"merchant": "gejet-mall", "order_id": ORDER, "claim_id": CLAIM}
REFUND = IDS | {"refund_id": "r1", "amount": str(PAID)}


def _input(message: Message, offset: int) -> Received:
    return Received(message.topic, 0, offset, message.key, message.value, dict(message.headers))


def _output(topic: str, service: str, number: int, type_: str, data: dict[str, Any]) -> Received:
    headers = {"ce_source": f"/makegood/{service}", "ce_id": f"0-{number}", "ce_type": type_, "ce_time": CLOSED}
    raw = {name: value.encode() for name, value in headers.items()}
    return Received(topic, 0, number, b"gejet-mall/run-o0", json.dumps(data).encode(), raw)


def _poison(offset: int) -> tuple[Received, Received]:
    headers = {"ce_source": b"/tests", "ce_id": f"x{POISONED}1".encode()}
    record = Received("claims.v1", 0, offset, b"k", b"{", headers)
    buried = {"dlq_topic": "claims.v1", "dlq_partition": "0", "dlq_offset": str(offset), "dlq_service": "intake"}
    raw = {**headers, **{name: value.encode() for name, value in buried.items()}}
    return record, Received("claims.v1.intake.dlq", 0, 0, b"k", b"{", raw)


def _went_well() -> tuple[Evidence, Workload]:
    topics: dict[str, list[Received]] = defaultdict(list)
    published = [*events_of(0, "run"), settlement(REFUND)]
    for offset, message in enumerate(published):
        topics[message.topic].append(_input(message, offset))
    topics["orders.v1"].append(_input(published[0], 17))
    poison, letter = _poison(18)
    topics["claims.v1"].append(poison)
    topics[letter.topic].append(letter)
    door = ("customer.contact.v1", "order.delivered.v1", "claim.admitted.v1", "refund.settled.v1")
    for number, type_ in enumerate(door, start=1):
        topic = "contacts.v1" if type_ == "customer.contact.v1" else "admissions.v1"
        data: dict[str, Any] = REFUND if type_ == "refund.settled.v1" else IDS if "claim" in type_ else _without_claim()
        topics[topic].append(_output(topic, "intake", number, type_, data))
    assessed = IDS | {"status": "eligible", "awaiting": None, "overdue": False, "basis": {"revision": 1}}
    topics["assessments.v1"].append(_output("assessments.v1", "eligibility", 1, "claim.assessed.v1", assessed))
    decided = IDS | {"outcome": "refund", "decision_no": 1, "revision": 1, "refund": REFUND}
    for number, type_ in ((1, "claim.decided.v1"), (3, "claim.settled.v1")):
        data = decided if number == 1 else IDS
        topics["decisions.v1"].append(_output("decisions.v1", "refund-calculation", number, type_, data))
    topics["refunds.v1"].append(_output("refunds.v1", "refund-calculation", 2, "refund.instructed.v1", REFUND))
    sent = IDS | {"notification_id": "n1", "template": "decided"}
    topics["notifications.v1"].append(_output("notifications.v1", "notification", 1, "notification.sent.v1", sent))
    lanes = {"intake": 5, "eligibility": 1, "refund-calculation": 3, "notification": 1}
    found = Evidence(
        topics,
        lanes={service: {0: Lane(emitted, emitted)} for service, emitted in lanes.items()},
        outbox=dict.fromkeys(lanes, 0),
        history={
            "refund-calculation": [Step("gejet-mall", CLAIM, "decided 1", "assessments.v1", 0, 1)],
            "notification": [Step("gejet-mall", CLAIM, "to tell: decided", "decisions.v1", 0, 1)],
        },
        buried={"intake": {("claims.v1", 0, 18)}, **{s: set() for s in lanes if s != "intake"}},
        seen=4,
        mails=Counter(["n1"]),
        said=[Said(1, CLOSED_MS - 9, "begun", "n1"), Said(1, CLOSED_MS - 1, "accepted", "n1")],
    )
    return found, Workload(0, "run", {CLAIM: End("refund", PAID)})


def _without_claim() -> dict[str, str]:
    return {name: value for name, value in IDS.items() if name != "claim_id"}


def test_what_went_well_is_found_good() -> None:
    verdict = judge(*_went_well())
    assert verdict.wrong == []
    fates = {"applied": 4, "duplicate": 1, "dead-lettered": 1}
    assert {name: verdict.counted.get(name) for name in fates} == fates


def _again(topic: str, **other: Any) -> Callable[[Evidence], None]:
    """The first record of a topic comes once more, something about it otherwise."""

    def doctor(found: Evidence) -> None:
        first = found.topics[topic][0]
        found.topics[topic].append(replace(first, offset=90, **other))

    return doctor


def _renumbered(topic: str, number: int) -> Callable[[Evidence], None]:
    """The same content once more as a new event."""

    def doctor(found: Evidence) -> None:
        first = found.topics[topic][0]
        found.topics[topic].append(
            replace(first, offset=90, headers={**first.headers, "ce_id": f"0-{number}".encode()})
        )

    return doctor


def _gone(topic: str) -> Callable[[Evidence], None]:
    return lambda found: found.topics[topic].clear()


DOCTORED: dict[str, tuple[Callable[[Evidence], object], str]] = {
    "an input is not passed on": (_gone("contacts.v1"), "lost, applied twice"),
    "an input is passed on twice": (_renumbered("contacts.v1", 9), "lost, applied twice"),
    "a claim is admitted twice": (_renumbered("admissions.v1", 9), "lost, applied twice"),
    "poison is not buried": (_gone("claims.v1.intake.dlq"), "lost, applied twice"),
    "a letter is not as it came": (
        lambda found: found.topics["claims.v1.intake.dlq"].append(
            replace(found.topics["claims.v1.intake.dlq"].pop(), value=b"}")
        ),
        "wrongly buried",
    ),
    "a repeat has other content": (_again("decisions.v1", value=b'{"claim_id": "run-c0"}'), "with other content"),
    "numbers come out of order": (lambda found: found.topics["decisions.v1"].reverse(), "after one with a higher"),
    "an event never came": (_gone("refunds.v1"), "events committed"),
    "the outbox is not empty": (lambda found: found.outbox.update(intake=1), "left in the outbox"),
    "a dead letter is in the database alone": (
        lambda found: found.buried["eligibility"].add(("admissions.v1", 0, 1)),
        "dead letters in the database",
    ),
    "the inbox forgot an event": (lambda found: setattr(found, "seen", 3), "intake remembers"),
    "no decision": (_gone("decisions.v1"), "did not end where they should"),
    "decided a second time": (_renumbered("decisions.v1", 4), "does not allow"),
    "decided without an assessment": (_gone("assessments.v1"), "does not allow"),
    "instructed twice": (_again("refunds.v1"), "more than once"),
    "instructed under a second id": (
        lambda found: found.topics["refunds.v1"].append(
            _output("refunds.v1", "refund-calculation", 4, "refund.instructed.v1", REFUND | {"refund_id": "r2"})
        ),
        "more than was paid",
    ),
    "a step stands twice": (
        lambda found: found.history["refund-calculation"].append(found.history["refund-calculation"][0]),
        "stand twice in the history",
    ),
    "a message was never mailed": (lambda found: found.mails.clear(), "messages not sent"),
    "a mail nobody should get": (lambda found: found.mails.update(["n2"]), "nobody should have got"),
    "mailed again after the note": (
        lambda found: found.said.append(Said(2, CLOSED_MS + 1, "begun", "n1")),
        "handed over again",
    ),
    "mailed again by the one that had the answer": (
        lambda found: found.said.append(Said(1, CLOSED_MS, "begun", "n1")),
        "handed over again",
    ),
    "a copy that nobody handed over": (lambda found: found.mails.update(["n1"]), "handed over again"),
    "a message is not reported": (_gone("notifications.v1"), "noted and not reported"),
    "a turn is not noted": (lambda found: found.history["notification"].clear(), "the other way round"),
    "a turn is not told": (_gone("notifications.v1"), "were not told"),
}


@pytest.mark.parametrize("case", DOCTORED)
def test_each_thing_that_goes_wrong_is_named(case: str) -> None:
    doctor, named = DOCTORED[case]
    found, work = _went_well()
    doctor(found)
    assert any(named in what for what in judge(found, work).wrong)


def test_a_second_copy_is_right_where_the_first_answer_was_lost() -> None:
    found, work = _went_well()
    found.said.insert(0, Said(7, CLOSED_MS - 99, "begun", "n1"))
    found.mails.update(["n1"])
    assert judge(found, work).wrong == []


def test_applied_at_two_places_is_found() -> None:
    found, work = _went_well()
    _again("assessments.v1")(found)
    found.history["refund-calculation"].append(Step("gejet-mall", CLAIM, "again", "assessments.v1", 0, 90))
    assert any("at two places" in what for what in judge(found, work).wrong)


def test_the_workload_is_the_same_for_the_same_seed_and_holds_every_sort() -> None:
    def shape(seed: int) -> list[tuple[str, bytes | None]]:
        work = Workload(seed, "run")
        return [(m.topic, m.value) for number in range(3) for m in work.wave(number)]

    assert shape(1) == shape(1)
    assert shape(1) != shape(2)
    work = Workload(1, "run")
    messages = [m for number in range(5) for m in work.wave(number)]
    ids = Counter(dict(m.headers)["ce_id"] for m in messages)
    assert sum(n - 1 for n in ids.values()) > 0.05 * len(messages), "repeats"
    assert any(POISONED.encode() in one for one in ids), "poison"
    assert {end.how for end in work.ends.values()} >= {"refund", "rejected", "refused", "parked", "cancelled"}
    assert work.twins
