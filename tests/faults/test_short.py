"""The fault harness in its short form; `make faults` is the long one."""

from pathlib import Path

import pytest

from tests.faults.run import Run, one

SHORT = (
    ("kill a service", "crash at a point", "terminate and start again"),
    ("hang at a point", "cut connections", "kill the broker", "cut in COMMIT", "restart Postgres", "slow database"),
)


@pytest.mark.timeout(900)
def test_nothing_is_lost_and_nothing_happens_twice_under_faults(tmp_path: Path) -> None:
    run = Run(seed=20261122, seconds=40, streams=SHORT, patience=300)
    verdict = one(run, tmp_path)
    assert not verdict.wrong
    assert len(run.struck) >= 4, "too few faults to prove anything"
    for fate in ("applied", "duplicate", "refused", "dead-lettered", "parked"):
        assert verdict.counted[fate] > 0, f"no input record was {fate}"
