"""Windows are instants, both ends included; waits have due times; the version is that of the day of placing."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.policy.book import PolicyBook
from tests.unit.eligibility_stage import GOOD, NOW, RECEIVED, Stage, book

D = timedelta(days=1)
S = timedelta(seconds=1)
WINDOWS = {"technical_fault": 48, "withdrawal": 24}


def stage(reason: str, received: str, reported: str) -> Stage:
    found = Stage(
        reason,
        facts=GOOD,
        received_at=datetime.fromisoformat(received),
        reported_at=datetime.fromisoformat(reported),
    )
    found.admit()
    return found


@pytest.mark.parametrize("reason", WINDOWS)
@pytest.mark.parametrize("received", ["+03:30", "+04:30", "+00:00", "+07:00", "-08:00"])
@pytest.mark.parametrize("reported", ["+03:30", "+04:30", "+00:00", "+07:00", "-08:00"])
def test_a_window_compares_instants_and_not_the_clocks_on_the_wall(reason: str, received: str, reported: str) -> None:
    start = datetime(2022, 9, 20, 12, 0, 0, tzinfo=UTC)
    end = start + timedelta(hours=WINDOWS[reason])
    here, there = (datetime.fromisoformat(f"2022-01-01T00:00:00{offset}").tzinfo for offset in (received, reported))
    written = start.astimezone(here).isoformat()
    for late, expected in ((-S, "return"), (0 * S, "return"), (S, "rejected")):
        assert stage(reason, written, (end + late).astimezone(there).isoformat()).end == expected
    for early, expected in ((0 * S, "return"), (-S, "review")):
        assert stage(reason, written, (start + early).astimezone(there).isoformat()).end == expected


def test_a_microsecond_after_the_last_second_is_late() -> None:
    assert stage("withdrawal", "2026-10-05T10:00:00Z", "2026-10-06T10:00:00.000001Z").end == "rejected"


def test_told_in_time_and_consumed_late_is_in_time() -> None:
    told = Stage(facts=GOOD, reported=timedelta(hours=48), now=NOW + 400 * D)
    told.admit()
    assert told.end == "return"


def test_the_delivery_may_come_after_the_claim() -> None:
    waits = Stage(facts=GOOD, received_at=None)
    waits.admit()
    assert (waits.end, waits.last.due) == ("delivery", None)
    waits.deliver()
    assert waits.end == "return"
    assert waits.deliver(RECEIVED - 9 * D) is None, "the first delivery stands"


@pytest.mark.parametrize(
    ("reason", "merchant", "days"), [("wrong_item", "hakago", 7), ("withdrawal", "gejet-mall", 14)]
)
def test_what_is_awaited_becomes_overdue_just_after_its_due_time(reason: str, merchant: str, days: int) -> None:
    waits = Stage(reason, merchant, facts=GOOD)
    waits.admit()
    first = waits.last
    assert first.since == NOW
    assert first.due == NOW + days * D
    assert not first.overdue
    assert waits.wait(days * D) is None, "the last instant is in time"
    late = waits.wait(S)
    assert late is not None
    assert late.overdue
    assert (late.awaiting, late.since, late.due) == (first.awaiting, first.since, first.due)
    assert late.basis is not None
    assert late.basis.revision == 2
    assert waits.wait(100 * D) is None, "it is said once"
    assert {line.verdict for line in late.lines} == {"undecided"}, "no verdict by silence"


def test_an_answer_after_the_deadline_still_counts() -> None:
    waits = Stage("wrong_item", "hakago")
    waits.admit()
    waits.wait(8 * D)
    waits.answer("refund_full")
    assert waits.end == "eligible"


def test_a_return_after_the_deadline_still_counts() -> None:
    waits = Stage("withdrawal", facts=GOOD)
    waits.admit()
    waits.wait(15 * D)
    assert waits.last.overdue
    waits.give_back()
    assert waits.end == "eligible"


def test_a_shipped_return_stops_no_clock() -> None:
    waits = Stage("withdrawal", facts=GOOD)
    waits.admit()
    waits.wait(13 * D)
    assert waits.last.due == NOW + 14 * D


def test_each_wait_has_a_clock_of_its_own() -> None:
    waits = Stage("wrong_item", "hakago")
    waits.admit()
    waits.wait(3 * D)
    waits.answer("require_return")
    assert waits.last.due == NOW + 17 * D
    waits.wait(2 * D)
    waits.give_back()
    assert (waits.end, waits.last.since, waits.last.due) == ("seller", NOW + 5 * D, NOW + 12 * D)


def test_no_policy_was_in_force_when_the_order_was_placed() -> None:
    old = Stage(facts=GOOD, placed_at=datetime(2019, 12, 31, 23, 59, 59, tzinfo=UTC))
    old.admit()
    assert (old.end, old.last.policy, old.last.due) == ("review", None, None)
    first = Stage(facts=GOOD, placed_at=datetime(2020, 1, 1, tzinfo=UTC))
    first.admit()
    assert first.last.policy is not None
    assert first.last.policy.version == 1


def test_an_unknown_merchant_is_for_a_person() -> None:
    unknown = Stage(merchant="nobody", facts=GOOD)
    unknown.admit()
    assert (unknown.end, unknown.last.policy) == ("review", None)
    assert unknown.cited("refer") == {"no-policy"}
    assert unknown.decide("refund", by="staff:mina") is None


def test_the_version_of_the_day_of_placing_governs_to_the_end() -> None:
    (gejet,) = (policy for policy in book().all() if policy.merchant == "gejet-mall")
    begins = datetime(2026, 10, 10, tzinfo=UTC)
    second = gejet.model_copy(update={"version": 2, "in_force_from": begins})
    both = PolicyBook([gejet, second])
    for placed, version in ((begins - S, 1), (begins, 2)):
        claim = Stage(facts=GOOD, placed_at=placed, policies=both)
        claim.admit()
        assert claim.last.policy is not None
        assert claim.last.policy.version == version
    old = Stage(facts=GOOD, placed_at=begins)
    old.admit()
    old.policies = both
    old.give_back(fault_confirmed=True)
    assert old.last.policy is not None
    assert old.last.policy.version == 1, "a version that comes later changes nothing for a claim already assessed"


def test_a_version_ends_when_it_says_so() -> None:
    (gejet,) = (policy for policy in book().all() if policy.merchant == "gejet-mall")
    until = datetime(2026, 10, 1, tzinfo=UTC)
    closed = PolicyBook([gejet.model_copy(update={"in_force_until": until})])
    assert closed.in_force("gejet-mall", until - S) is not None
    assert closed.in_force("gejet-mall", until) is None


def test_a_gift_beside_a_return_that_stays_incomplete_is_rejected_for_being_one_and_nothing_else() -> None:
    stage = Stage(
        "technical_fault", facts=GOOD, lines=[{"quantity": 2}, {"quantity": 1, "gift": True, "unit_price": "0"}]
    )
    stage.admit()
    stage.give_back({"1": 1}, fault_confirmed=True)
    stage.wait(timedelta(days=15))
    rules = [[reason.rule for reason in line.reasons] for line in stage.last.lines]
    assert stage.end == "review"
    assert [line.verdict for line in stage.last.lines] == ["undecided", "rejected"]
    assert rules[0][-1] == "return-incomplete"
    assert "return-incomplete" not in rules[1]
