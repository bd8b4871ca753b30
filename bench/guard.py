"""Has the pipeline become slower? Its ratio to the floor against the recorded one, in a minute or three."""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench.measure import Run
from bench.report import Report

RECORDED: Final = Path(__file__).with_name("recorded.json")
ALLOWED_FALL: Final = 1 / 3
"""By how much the ratio may fall below the recorded one."""
QUIET: Final = 0.3
"""Cores that neighbours may take before rates are not to be compared."""

Round = dict[str, Run]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded: rates and CPU of the floor against ours."""

    ratio_to_floor: float
    cpu_ratio_to_floor: float

    @classmethod
    def read(cls, file: Path = RECORDED) -> "Recorded":
        found = json.loads(file.read_text())
        return cls(float(found["ratio_to_floor"]), float(found["cpu_ratio_to_floor"]))


def judged(rounds: list[Round], recorded: Recorded) -> tuple[bool, str]:
    """Whether the ratio has fallen in every one of the rounds, and a sentence for each.

    What a machine does beside the benchmark makes one round slower than the code is, never faster: a round that holds
    settles it. Where neighbours took a good part of the machine, rates tell little: then CPU is compared.
    """
    seen = [_judged(one, recorded) for one in rounds]
    return not any(held for held, _ in seen), "\n".join(said for _, said in seen)


def record(report: Report, file: Path = RECORDED) -> None:
    """Keep the medians of this report's rounds."""
    facts = {
        "ratio_to_floor": round(median(map(_ratio, report.rounds)), 4),
        "cpu_ratio_to_floor": round(median(map(_cpu_ratio, report.rounds)), 4),
        "neighbours_cores": max(map(_neighbours, report.rounds)),
        "machine": dict(report.machine),
    }
    file.write_text(json.dumps(facts, indent=1) + "\n")


def _judged(one: Round, recorded: Recorded) -> tuple[bool, str]:
    if _neighbours(one) <= QUIET:
        name, found, wanted = "ratio_to_floor", _ratio(one), recorded.ratio_to_floor
    else:
        name, found, wanted = "cpu_ratio_to_floor", _cpu_ratio(one), recorded.cpu_ratio_to_floor
    held = found >= wanted * (1 - ALLOWED_FALL)
    said = "holds" if held else "has fallen by more than a third"
    return held, f"{name} {said}: {found:.3f}, recorded {wanted:.3f}"


def _ratio(one: Round) -> float:
    return one["ours"].per_second / one["floor"].per_second


def _cpu_ratio(one: Round) -> float:
    return one["floor"].cpu_us_in_all / one["ours"].cpu_us_in_all


def _neighbours(one: Round) -> float:
    return max(run.others for run in one.values())
