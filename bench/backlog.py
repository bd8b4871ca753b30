"""`python -m bench backlog`: the services were down while claims came in; how long until they have caught up?"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from bench import machine, ours
from bench.decisions import decided
from bench.load import Loader
from bench.stack import BenchStack, running
from bench.topics import Topics, until
from bench.workload import Claim, claims
from shared.events.topics import DECISIONS, REFUNDS

PART: Final = 5_000
"""Claims whose record batches are built at once."""
LIMIT: Final = 1_200.0
WARM: Final = 2_000
terminal = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Seconds from the start of the services: until all were ready, until the last claim was decided, until everything
    was read, until the last letter was written. CPU is in µs per claim, by process, until all was decided."""

    claims: int
    backlog_records: int
    ready: float
    decided: float
    read: float
    told: float | None
    cpu_us: dict[str, float]
    peak_mb: dict[str, float]
    wrong: list[str]

    @property
    def per_second(self) -> float:
        return self.claims / self.decided

    def seconds_for(self, backlog: int, coming_in: float) -> float:
        """How long a backlog would take at this rate while `coming_in` claims a second go on coming."""
        return backlog / (self.per_second - coming_in) if self.per_second > coming_in else float("inf")


def command(
    number: Annotated[int, typer.Option("--claims", min=100, help="Claims that wait.")] = 120_000,
    letters: Annotated[bool, typer.Option(help="Wait until the last letter is written, too.")] = True,
    json_file: Annotated[Path, typer.Option("--json", help="Where the figures go.")] = Path("bench-backlog.json"),
) -> None:
    """Let claims pile up while the services are down, start them, and see how long they take."""
    with tempfile.TemporaryDirectory(prefix="makegood-backlog-", ignore_cleanup_errors=True) as folder:
        found = asyncio.run(_measure(Path(folder), number, letters=letters))
    facts = {"machine": machine.facts(), "per_second": round(found.per_second, 1), **asdict(found)}
    json_file.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    show(found, Console())
    raise typer.Exit(int(bool(found.wrong)))


def say(line: str) -> None:
    terminal.print(f"{time.strftime('%H:%M:%S')} {line}", highlight=False, markup=False)


async def _measure(folder: Path, number: int, *, letters: bool) -> CaughtUp:
    some = list(claims("b", number))
    async with running(folder) as stack, Topics.of(stack.kafka) as topics, Loader.of(stack.kafka) as loader:
        await ours.measured(stack, "warm", WARM, WARM, LIMIT)
        say(f"orders of {number:,} claims")
        for part in _parts(some):
            await ours.load_orders(stack, topics, loader, part, LIMIT)
        await stack.hold()
        say("claims, while the services are down")
        for part in _parts(some):
            for one in loader.built(part):
                await loader.send(one)
        return await _caught_up(stack, topics, some, letters=letters)


def _parts(some: Sequence[Claim]) -> list[Sequence[Claim]]:
    """The claims in portions whose batches fit in memory."""
    return [some[at : at + PART] for at in range(0, len(some), PART)]


async def _caught_up(stack: BenchStack, topics: Topics, some: Sequence[Claim], *, letters: bool) -> CaughtUp:
    since = await topics.ends(DECISIONS, REFUNDS)
    base = await topics.count(DECISIONS)
    expected = sum(one.end != "refused" for one in some)
    backlog = (await stack.lags())["intake"]
    say(f"{backlog:,} records wait")
    began = time.monotonic()
    before = {name: machine.tree_seconds(pid) for name, pid in stack.servers.items()}
    await stack.release()
    ready = time.monotonic() - began
    meter = machine.Meter({**stack.services, **stack.servers, "this": os.getpid()})
    meter.start()

    async def all_decided() -> bool:
        return await topics.count(DECISIONS) - base >= expected

    await until(all_decided, LIMIT, "every claim is decided", every=0.25)
    done = time.monotonic() - began
    spent = {name: machine.tree_seconds(pid) - before.get(name, 0.0) for name, pid in meter.trees.items()}
    say(f"decided after {done:.1f} s")
    await stack.caught_up(LIMIT)
    read = time.monotonic() - began
    if letters:
        await until(stack.all_told, LIMIT, "every letter is written", every=0.5)
    told = time.monotonic() - began if letters else None
    meter.stop()
    found = await decided(stack.kafka, since)
    return CaughtUp(
        claims=len(some),
        backlog_records=backlog,
        ready=round(ready, 2),
        decided=round(done, 2),
        read=round(read, 2),
        told=None if told is None else round(told, 2),
        cpu_us={name: round(cpu / len(some) * 1e6, 1) for name, cpu in spent.items() if name != "this"},
        peak_mb=meter.peak_mb,
        wrong=found.wrong(expected, sum(one.end == "refund" for one in some)),
    )


def show(found: CaughtUp, console: Console) -> None:
    """Print the figures."""
    console.print(f"{found.claims:,} claims waited ({found.backlog_records:,} records for intake).")
    console.print(
        f"Services ready after {found.ready:.1f} s, all decided after {found.decided:.1f} s: "
        f"{found.per_second:,.0f} claims/s; everything read after {found.read:.1f} s."
    )
    if found.told is not None:
        console.print(f"The last letter was written after {found.told:.1f} s.")
    console.print(f"CPU µs a claim: {found.cpu_us}, peak MB: {found.peak_mb}")
    for coming_in in (0, 1_000):
        console.print(
            f"Reckoned from this: 600,000 claims with {coming_in:,}/s coming in: "
            f"{found.seconds_for(600_000, coming_in):,.0f} s"
        )
    console.print("Every claim was decided once." if not found.wrong else f"WRONG: {found.wrong}")
