"""The figures as a table and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.measure import NOT_COUNTED, Run, middle
from bench.ours import Latency
from bench.shape import Stage

PROMISES: Final = {
    "ours": "exactly once in effect, over crashes",
    "floor": "a crash loses what was not forwarded",
    "naive": "at most once (acknowledged first)",
    "kafka streams": "exactly once inside Kafka",
}


@dataclass(slots=True)
class Report:
    """Everything that was measured. `rounds` hold one run of each way."""

    machine: Mapping[str, str | int | float]
    rounds: list[dict[str, Run]] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    sustained: Run | None = None
    disk_bytes: dict[str, float] = field(default_factory=dict)
    shape: Sequence[Stage] = ()
    not_run: dict[str, str] = field(default_factory=dict)

    def runs(self, way: str) -> list[Run]:
        return [one[way] for one in self.rounds if way in one]

    def ratio(self, way: str) -> dict[str, float] | None:
        """Ours against a way, within each round; None where the way was not run."""
        found = [one["ours"].per_second / one[way].per_second for one in self.rounds if way in one and "ours" in one]
        return middle([round(each, 4) for each in found]) if found else None

    def cpu_ratio(self, way: str) -> dict[str, float] | None:
        """CPU of a way against ours, within each round: like `ratio`, with less of the neighbours' noise."""
        found = [
            one[way].cpu_us_in_all / one["ours"].cpu_us_in_all for one in self.rounds if way in one and "ours" in one
        ]
        return middle([round(each, 4) for each in found]) if found else None

    def as_json(self) -> dict[str, object]:
        """All figures: medians of the rounds with lowest and highest, then every run as it was."""
        ours = self.runs("ours")
        names = [name for name in ours[0].cpu_us if name not in NOT_COUNTED] if ours else []
        return {
            "machine": dict(self.machine),
            "decisions_per_s": middle([one.per_second for one in ours]) if ours else None,
            "ratio_to_floor": self.ratio("floor"),
            "ratio_to_naive": self.ratio("naive"),
            "ratio_to_kafka_streams": self.ratio("kafka streams"),
            "cpu_ratio_to_floor": self.cpu_ratio("floor"),
            "cpu_ratio_to_kafka_streams": self.cpu_ratio("kafka streams"),
            "cpu_us_per_decision": {name: middle([one.cpu_us[name] for one in ours]) for name in names},
            "cpu_us_per_decision_in_all": middle([one.cpu_us_in_all for one in ours]) if ours else None,
            "peak_mb": {name: max(one.peak_mb.get(name, 0.0) for one in ours) for name in names},
            "latency": [self._latency(rate) for rate in sorted({one.rate for one in self.latencies})],
            "sustained": asdict(self.sustained) if self.sustained else None,
            "disk_bytes_per_claim": self.disk_bytes,
            "not_run": self.not_run,
            "shape": [asdict(one) for one in self.shape],
            "rounds": [{way: asdict(run) for way, run in one.items()} for one in self.rounds],
        }

    def _latency(self, rate: float) -> dict[str, object]:
        of_rate = [one for one in self.latencies if one.rate == rate]
        return {
            "rate": rate,
            "claims": sum(one.claims for one in of_rate),
            **{
                f"{what}_{quantile}_ms": middle([getattr(one, f"{what}_ms")[quantile] for one in of_rate])
                for what in ("decision", "instruction")
                for quantile in ("p50", "p99")
            },
        }

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(self.as_json(), indent=1) + "\n")

    def show(self, console: Console) -> None:
        """Print the tables."""
        console.print(self._ways())
        if self.runs("ours"):
            console.print(self._processes())
        if self.latencies:
            console.print(self._latencies())
        if self.sustained:
            one = self.sustained
            console.print(f"Sustained: {one.per_second:,.0f} decisions/s over {one.claims:,} claims; left: {one.left}")
        for where, size in self.disk_bytes.items():
            console.print(f"On disk, {where}: {size:,.0f} bytes a claim")
        for way, why in self.not_run.items():
            console.print(f"not run: {way}: {why}")

    def _ways(self) -> Table:
        facts = self.machine
        table = Table(title=f"Four hops, {facts['cpus']} CPUs ({facts['cpu']}), medians (lowest to highest)")
        for column in ("way", "claims/s", "ours is", "CPU µs a claim", "others' cores", "promise"):
            table.add_column(column, justify="left" if column in ("way", "promise") else "right")
        for way, promise in PROMISES.items():
            runs = self.runs(way)
            if not runs:
                continue
            ratio = self.ratio(way)
            table.add_row(
                way,
                _spread(middle([one.per_second for one in runs]), 0),
                "" if way == "ours" or ratio is None else f"{_spread(ratio, 2)} ×",
                _spread(middle([one.cpu_us_in_all for one in runs]), 0),
                _spread(middle([one.others for one in runs]), 1),
                promise,
            )
        return table

    def _processes(self) -> Table:
        runs = self.runs("ours")
        table = Table(title="Ours, by process")
        for column in ("process", "CPU µs a claim", "peak MB"):
            table.add_column(column, justify="left" if column == "process" else "right")
        for name in runs[0].cpu_us:
            cpu = middle([one.cpu_us[name] for one in runs])
            table.add_row(name, _spread(cpu, 0), f"{max(one.peak_mb.get(name, 0.0) for one in runs):.0f}")
        left = sorted({name for one in runs for name in one.left})
        for name in left:
            table.add_row(name, _spread(middle([one.left.get(name, 0.0) for one in runs]), 1), "")
        return table

    def _latencies(self) -> Table:
        table = Table(title="Ours, ms from a claim to what follows it, as a read_committed reader sees it")
        for column in ("claims/s", "decision p50", "p99", "instruction p50", "p99"):
            table.add_column(column, justify="right")
        for rate in sorted({one.rate for one in self.latencies}):
            of_rate = [one for one in self.latencies if one.rate == rate]
            cells = [
                _spread(middle([getattr(one, what)[quantile] for one in of_rate]), 0)
                for what in ("decision_ms", "instruction_ms")
                for quantile in ("p50", "p99")
            ]
            table.add_row(f"{rate:g}", *cells)
        return table


def _spread(of: Mapping[str, float], digits: int) -> str:
    middle_ = f"{of['median']:,.{digits}f}"
    if of["min"] == of["max"]:
        return middle_
    return f"{middle_} ({of['min']:,.{digits}f}–{of['max']:,.{digits}f})"
