"""`python -m bench replicas`: 1, 2 and 4 replicas of every service: is each claim decided once, and what does it cost?

On a machine of two cores more processes cannot be faster; what shows is that the lanes divide, that nothing is decided
twice, and what a claim costs when batches are smaller (docs/scale.md).
"""

import asyncio
import json
import secrets
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from bench import machine, ours
from bench.decisions import decided
from bench.measure import Run
from bench.ours import Latency
from bench.stack import BenchStack, running
from bench.topics import Topics
from bench.workload import claims
from cli.stack.readiness import ask
from shared.events.topics import DECISIONS, READERS, REFUNDS

WARM: Final = 2_000
WINDOW: Final = 6_000
LIMIT: Final = 600.0
terminal = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Replicated:
    """What was measured with so many replicas. `lanes` by process; `wrong`: empty when each claim was decided once."""

    replicas: int
    lanes: dict[str, int]
    run: Run
    latency: Latency | None
    wrong: list[str]

    def cpu_us(self) -> dict[str, float]:
        """CPU of all replicas of a service together."""
        found: dict[str, float] = {}
        for name, us in self.run.cpu_us.items():
            service = of_service(name)
            found[service] = round(found.get(service, 0.0) + us, 1)
        return found


def of_service(process: str) -> str:
    """The service of a replica: `intake-2` is one of intake."""
    name, _, number = process.rpartition("-")
    return name if number.isdigit() else process


def command(
    counts: Annotated[str, typer.Option(help="Replicas of each service, by commas.")] = "1,2,4",
    number: Annotated[int, typer.Option("--claims", min=100, help="Claims of a run.")] = 10_000,
    rate: Annotated[float, typer.Option(help="Claims a second at which latency is measured.")] = 100.0,
    latency_seconds: Annotated[float, typer.Option(help="Seconds of that; 0: none.")] = 15.0,
    json_file: Annotated[Path, typer.Option("--json", help="Where the figures go.")] = Path("bench-replicas.json"),
) -> None:
    """Measure with several replicas of each service, and check that every claim was decided once."""
    found = []
    for count in (int(one) for one in counts.split(",")):
        with tempfile.TemporaryDirectory(prefix="makegood-replicas-", ignore_cleanup_errors=True) as folder:
            found.append(asyncio.run(_measure(Path(folder), count, number, rate, latency_seconds)))
        terminal.print(f"{time.strftime('%H:%M:%S')} {count}: {found[-1].run.per_second:,.0f}/s", highlight=False)
    facts = {"machine": machine.facts(), "replicas": [{**asdict(one), "cpu_us": one.cpu_us()} for one in found]}
    json_file.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    show(found, Console())
    raise typer.Exit(int(any(one.wrong for one in found)))


async def _measure(folder: Path, replicas: int, number: int, rate: float, seconds: float) -> Replicated:
    async with running(folder, replicas=replicas) as stack:
        await ours.measured(stack, "warm", WARM, WINDOW, LIMIT)
        async with Topics.of(stack.kafka) as topics:
            since = await topics.ends(DECISIONS, REFUNDS)
        tag = f"r{secrets.token_hex(3)}"
        run, _ = await ours.measured(stack, tag, number, WINDOW, LIMIT)
        some = list(claims(tag, number))
        found = await decided(stack.kafka, since)
        wrong = found.wrong(sum(one.end != "refused" for one in some), sum(one.end == "refund" for one in some))
        latency = await ours.latency(stack, f"{tag}l", rate, seconds, 90.0) if seconds else None
        return Replicated(replicas, await _lanes(stack), run, latency, wrong)


async def _lanes(stack: BenchStack) -> dict[str, int]:
    """How many lanes each process owns."""
    found = {}
    for state in stack.supervisor.state.services:
        answer = await ask(state.health)
        found[f"{state.name}-{state.replica}"] = int(answer[1].get("lanes", 0)) if answer else 0
    return found


def show(found: Sequence[Replicated], console: Console) -> None:
    """Print the table."""
    table = Table(title="Replicas of each service on one machine")
    table.add_column("")
    for one in found:
        table.add_column(str(one.replicas), justify="right")
    table.add_row("claims/s", *(f"{one.run.per_second:,.0f}" for one in found))
    table.add_row("CPU µs a claim", *(f"{one.run.cpu_us_in_all:,.0f}" for one in found))
    for name in found[0].cpu_us():
        table.add_row(f"  {name}", *(f"{one.cpu_us().get(name, 0.0):,.0f}" for one in found))
    for what in ("p50", "p99"):
        table.add_row(f"{what} ms", *(f"{one.latency.decision_ms[what]:.0f}" if one.latency else "–" for one in found))
    table.add_row("lanes of a process", *(_spread(one.lanes) for one in found))
    table.add_row("MB of a process", *(f"{_peak(one):.0f}" for one in found))
    table.add_row("decided once", *("no: " + "; ".join(one.wrong) if one.wrong else "yes" for one in found))
    console.print(table)


def _peak(one: Replicated) -> float:
    return max(mb for name, mb in one.run.peak_mb.items() if of_service(name) in READERS)


def _spread(lanes: Mapping[str, int]) -> str:
    least, most = min(lanes.values()), max(lanes.values())
    return str(least) if least == most else f"{least}–{most}"
