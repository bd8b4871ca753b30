"""The guard of the benchmark: when the pipeline counts as slower."""

import json
from pathlib import Path

import pytest

from bench.guard import QUIET, Recorded, judged, record
from bench.measure import Run
from bench.report import Report

RECORDED = Recorded(ratio_to_floor=0.18, cpu_ratio_to_floor=0.24)


def a_round(rate: float, cpu: float, others: float = 0.0) -> dict[str, Run]:
    """A round in which ours has `rate` of the floor's rate, and the floor `cpu` of our CPU."""
    return {
        "ours": Run("ours", 100, 1.0, 1000 * rate, {"intake": 100.0 / cpu}, {}, others),
        "floor": Run("floor", 100, 1.0, 1000.0, {"intake": 100.0}, {}, 0.0),
    }


def test_a_third_less_than_recorded_holds_and_less_than_that_has_fallen() -> None:
    assert judged([a_round(0.1201, 0.24)], RECORDED) == (False, "ratio_to_floor holds: 0.120, recorded 0.180")
    fallen, said = judged([a_round(0.1199, 0.24)], RECORDED)
    assert fallen
    assert said == "ratio_to_floor has fallen by more than a third: 0.120, recorded 0.180"


def test_one_round_that_holds_is_enough_and_every_round_is_told() -> None:
    fallen, said = judged([a_round(0.05, 0.05), a_round(0.17, 0.05), a_round(0.05, 0.05)], RECORDED)
    assert not fallen
    assert [line.split(":")[0] for line in said.splitlines()] == [
        "ratio_to_floor has fallen by more than a third",
        "ratio_to_floor holds",
        "ratio_to_floor has fallen by more than a third",
    ]
    assert judged([a_round(0.05, 0.9)] * 3, RECORDED)[0]


@pytest.mark.parametrize(("cpu", "falls"), [(0.161, False), (0.159, True)])
def test_beside_neighbours_cpu_is_compared_and_not_the_rate(cpu: float, falls: bool) -> None:
    busy = QUIET + 0.01
    assert judged([a_round(0.01, cpu, busy)], RECORDED)[0] is falls
    assert judged([a_round(0.9, cpu, busy)], RECORDED)[0] is falls


def test_what_is_recorded_is_the_median_and_is_read_again(tmp_path: Path) -> None:
    rounds = [a_round(0.1, 0.5), a_round(0.2, 0.25, 0.1), a_round(0.4, 0.2)]
    record(Report({"cpus": 2}, rounds=rounds), tmp_path / "recorded.json")
    assert Recorded.read(tmp_path / "recorded.json") == Recorded(0.2, 0.25)
    assert json.loads((tmp_path / "recorded.json").read_text())["neighbours_cores"] == 0.1
