"""The fault harness in its short form; `make faults` is the long one."""

from pathlib import Path

import pytest

from tests.faults.run import Run, one

SHORT = (
    ("kill a service", "crash at a point", "replica goes and comes"),
    ("pause past the session", "kill the broker", "restart Postgres", "cut connections"),
)


@pytest.mark.timeout(240)
def test_nothing_is_lost_and_nothing_happens_twice_under_faults(tmp_path: Path) -> None:
    run = Run(seed=20261122, seconds=40, faults=SHORT)
    verdict = one(run, tmp_path)
    assert not verdict.wrong
    assert sum(len(times) for times in run.recoveries.values()) >= 4, "too few faults to prove anything"
    assert verdict.counted["poison"] > 0
    assert verdict.counted["repeats"] > 0
