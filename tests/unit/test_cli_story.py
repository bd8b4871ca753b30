"""What an event says on a terminal; what was said before a decision and is read after it."""

import pytest

from cli.story import is_stale

BEFORE, AT, AFTER = "2026-11-05T09:59:59Z", "2026-11-05T10:00:00+00:00", "2026-11-05T10:00:01Z"


@pytest.mark.parametrize(
    ("since", "rule", "outcome", "by", "stale"),
    [
        pytest.param(BEFORE, "withdrawal-window", "refund", "policy", True, id="before the decision"),
        pytest.param(AT, "withdrawal-window", "refund", "policy", True, id="in one instant"),
        pytest.param(AFTER, "later-answer", "refund", "policy", False, id="after it"),
        pytest.param(AFTER, "withdrawal-window", "cancelled", "policy", True, id="nothing comes after a cancellation"),
        pytest.param(AFTER, "withdrawal-window", "refund", "staff:mai", True, id="late, and staff had decided"),
        pytest.param(AFTER, "later-answer", "refund", "staff:mai", False, id="an answer after staff"),
        pytest.param(AFTER, "settlement-failed", "refund", "staff:mai", False, id="a failure after staff"),
        pytest.param(BEFORE, "later-answer", "refund", "staff:mai", True, id="staff decided about that answer"),
    ],
)
def test_an_assessment_that_tells_of_what_was_before_a_decision(
    since: str, rule: str, outcome: str, by: str, stale: bool
) -> None:
    assessed = {"since": since, "lines": [{"reasons": []}, {"reasons": [{"rule": rule}]}]}
    assert is_stale(assessed, {"outcome": outcome, "decided_by": by, "decided_at": AT}) is stale


def test_before_any_decision_nothing_is_stale() -> None:
    assert not is_stale({"since": AFTER, "lines": []}, None)
