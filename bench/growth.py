"""`python -m bench growth`: rate, latency, start-up and disk with 0, 1 and 5 million claims there (docs/scale.md)."""

import asyncio
import json
import secrets
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Final

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from bench import machine, ours
from bench.growth_fill import filled
from bench.growth_seeds import sown
from bench.growth_sizes import Counters, Sizes, counters, table_sizes, topic_sizes
from bench.growth_start import start_seconds
from bench.measure import Run
from bench.ours import Latency
from bench.stack import BenchStack, running
from bench.topics import until

RUN_LIMIT: Final = 600.0
WARM: Final = 2_000
WINDOW: Final = 6_000
ALLOWED: Final = 0.10
"""By how much rate, CPU and p99 may be worse than over empty databases."""
terminal = Console(stderr=True)


@dataclass(slots=True)
class Level:
    """What was measured over so many claims. `wal_bytes`, `page_images`, `commits` are per claim, its order included;
    `in_page` is the share of updates that stayed in their page (HOT), by table."""

    claims: int
    database_bytes: int
    start_seconds: dict[str, float] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    cpu_us_with_orders: dict[str, float] = field(default_factory=dict)
    latencies: list[Latency] = field(default_factory=list)
    wal_bytes: float = 0.0
    page_images: float = 0.0
    commits: dict[str, float] = field(default_factory=dict)
    in_page: dict[str, float] = field(default_factory=dict)
    kafka_bytes: dict[str, float] = field(default_factory=dict)
    grown_bytes: dict[str, dict[str, float]] = field(default_factory=dict)
    grown_bytes_vacuumed: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        return max(run.per_second for run in self.runs)

    @property
    def cpu_us(self) -> float:
        return min(run.cpu_us_in_all for run in self.runs)

    def latency(self, what: str) -> float:
        return min(one.decision_ms[what] for one in self.latencies)


def say(line: str) -> None:
    terminal.print(f"{time.strftime('%H:%M:%S')} {line}", highlight=False, markup=False)


def command(
    levels: Annotated[str, typer.Option(help="Claims in the databases, by commas, in this order.")] = (
        "0,1000000,5000000,0"
    ),
    claims: Annotated[int, typer.Option(min=100, help="Claims of a run.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=0, help="Runs at each level, the best counts; 0: only fill.")] = 2,
    rate: Annotated[float, typer.Option(help="Claims a second at which latency is measured.")] = 100.0,
    latency_seconds: Annotated[float, typer.Option(help="Seconds of that; 0: none.")] = 20.0,
    json_file: Annotated[Path, typer.Option("--json", help="Where the figures go.")] = Path("bench-growth.json"),
    data: Annotated[
        Path | None, typer.Option(help="Folder of the stack, to go on with; left out: one that is removed.")
    ] = None,
) -> None:
    """Fill the services' databases with claims, and measure over them."""
    wanted = [int(level) for level in levels.split(",")]
    plan = Plan(wanted, claims, rounds, rate, latency_seconds)
    if data is not None:
        found = asyncio.run(_measure(data, plan))
    else:
        with tempfile.TemporaryDirectory(prefix="makegood-growth-", ignore_cleanup_errors=True) as folder:
            found = asyncio.run(_measure(Path(folder), plan))
    if not found:
        return
    facts = {"machine": machine.facts(), "levels": [_as_json(one) for one in found]}
    json_file.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    show(found, Console())


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured at which levels."""

    levels: Sequence[int]
    claims: int
    rounds: int
    rate: float
    latency_seconds: float


def _as_json(level: Level) -> dict[str, object]:
    return {**asdict(level), "per_second": level.per_second, "cpu_us": level.cpu_us}


async def _measure(data: Path, plan: Plan) -> list[Level]:
    await _sown(data)
    found = []
    for number in plan.levels:
        await filled(data, number, say)
        if not plan.rounds:
            continue
        async with running(data) as stack:
            found.append(await _level(stack, number, plan))
            say(f"{number:,} claims: {found[-1].per_second:,.0f}/s, {found[-1].cpu_us:,.0f} µs")
    return found


async def _sown(data: Path) -> None:
    """Have the pipeline process the seeds, unless the folder has them."""
    async with running(data) as stack:
        async with stack.connected("intake") as conn:
            there = await conn.fetchval("SELECT to_regclass('seed_seen') IS NOT NULL")
        if not there:
            say("seeds")
            await sown(stack)


async def _level(stack: BenchStack, number: int, plan: Plan) -> Level:
    level = Level(number, await _database_bytes(stack))
    level.start_seconds = await start_seconds(stack)
    say(f"  start: {level.start_seconds}")
    tag = f"g{secrets.token_hex(3)}"
    await _run(stack, f"{tag}w", WARM)
    before, cpu, disk, kafka = await counters(stack), _cpu(stack), await table_sizes(stack), topic_sizes(stack)
    for n in range(plan.rounds):
        level.runs.append(await _run(stack, f"{tag}r{n}", plan.claims))
    done = plan.claims * plan.rounds
    level.cpu_us_with_orders = {name: round((now - cpu[name]) / done * 1e6, 1) for name, now in _cpu(stack).items()}
    _count(level, before, await counters(stack), done)
    level.kafka_bytes = {
        topic: round((size - kafka.get(topic, 0)) / done, 1) for topic, size in topic_sizes(stack).items()
    }
    if plan.latency_seconds:
        await until(stack.all_told, RUN_LIMIT, "all letters are written", every=0.5)
        level.latencies.append(await ours.latency(stack, f"{tag}l", plan.rate, plan.latency_seconds, 90.0))
        say(f"  latency {level.latencies[-1].decision_ms}")
        done += level.latencies[-1].claims
    level.grown_bytes = _grown(disk, await table_sizes(stack), done)
    level.grown_bytes_vacuumed = _grown(disk, await table_sizes(stack, vacuumed=True), done)
    return level


async def _run(stack: BenchStack, tag: str, number: int) -> Run:
    # Letters of the run before would be written while this one is measured.
    await until(stack.all_told, RUN_LIMIT, "all letters are written", every=0.5)
    run, _ = await ours.measured(stack, tag, number, WINDOW, RUN_LIMIT)
    say(f"  {number:,} claims: {run.per_second:,.0f}/s, {run.cpu_us_in_all:,.0f} µs, others {run.others} cores")
    return run


def _cpu(stack: BenchStack) -> dict[str, float]:
    return {name: machine.tree_seconds(pid) for name, pid in {**stack.services, **stack.servers}.items()}


def _count(level: Level, before: Counters, after: Counters, done: int) -> None:
    level.wal_bytes = round((after.wal_bytes - before.wal_bytes) / done, 1)
    level.page_images = round((after.wal_page_images - before.wal_page_images) / done, 3)
    level.commits = {name: round((n - before.commits[name]) / done, 4) for name, n in after.commits.items()}
    for table, (updates, in_page) in after.updates.items():
        updates_before, in_page_before = before.updates.get(table, (0, 0))
        if updates > updates_before:
            level.in_page[table] = round((in_page - in_page_before) / (updates - updates_before), 3)


def _grown(before: Sizes, after: Sizes, done: int) -> dict[str, dict[str, float]]:
    return {
        service: {table: round((size - before[service].get(table, 0)) / done, 1) for table, size in tables.items()}
        for service, tables in after.items()
    }


async def _database_bytes(stack: BenchStack) -> int:
    conn = await asyncpg.connect(stack.supervisor.state.postgres)
    try:
        found: int = await conn.fetchval(
            "SELECT sum(pg_database_size(oid))::bigint FROM pg_database WHERE NOT datistemplate"
        )
        return found
    finally:
        await conn.close()


def show(found: Sequence[Level], console: Console) -> None:
    """Print the tables."""
    table = Table(title="Ours over very many claims (ratio to the first line)")
    for column in ("claims there", "GB", "claims/s", "", "CPU µs", "", "p50 ms", "p99 ms", "WAL bytes", "start s"):
        table.add_column(column, justify="right")
    first = found[0]
    for one in found:
        latency = [f"{one.latency(what):.0f}" for what in ("p50", "p99")] if one.latencies else ["–", "–"]
        table.add_row(
            f"{one.claims:,}",
            f"{one.database_bytes / 2**30:.1f}",
            f"{one.per_second:,.0f}",
            f"{one.per_second / first.per_second:.2f}",
            f"{one.cpu_us:,.0f}",
            f"{one.cpu_us / first.cpu_us:.2f}",
            *latency,
            f"{one.wal_bytes:,.0f}",
            f"{max(one.start_seconds.values()):.1f}",
        )
    console.print(table)
    console.print(_parts(found))
    console.print(_disk(found[0]))


def _parts(found: Sequence[Level]) -> Table:
    table = Table(title="CPU µs a claim by process, share of updates within the page, seconds to start")
    table.add_column("")
    for one in found:
        table.add_column(f"{one.claims:,}", justify="right")
    best = [min(one.runs, key=lambda run: run.cpu_us_in_all) for one in found]
    for name in best[0].cpu_us:
        table.add_row(f"CPU {name}", *(f"{run.cpu_us.get(name, 0.0):.0f}" for run in best))
    for name in sorted({name for one in found for name in one.in_page}):
        table.add_row(f"in page {name}", *(_percent(one.in_page, name) for one in found))
    for name in found[0].start_seconds:
        table.add_row(f"start {name}", *(f"{one.start_seconds.get(name, 0.0):.1f}" for one in found))
    return table


def _percent(shares: Mapping[str, float], name: str) -> str:
    return f"{shares[name]:.0%}" if name in shares else "–"


def _disk(level: Level) -> Table:
    table = Table(title="Bytes on the disk for each claim of the runs, its order included")
    for column in ("", "as it stands", "after VACUUM"):
        table.add_column(column, justify="right" if column else "left")
    for service, tables in level.grown_bytes.items():
        whole = sum(size for name, size in tables.items() if not name.endswith(", indexes"))
        cleaned = level.grown_bytes_vacuumed[service]
        table.add_row(
            f"Postgres, {service}",
            f"{whole:,.0f}",
            f"{sum(size for name, size in cleaned.items() if not name.endswith(', indexes')):,.0f}",
        )
        for name, size in tables.items():
            if size or cleaned.get(name):
                table.add_row(f"  {name}", f"{size:,.0f}", f"{cleaned.get(name, 0.0):,.0f}")
    for topic, size in sorted(level.kafka_bytes.items()):
        if size:
            table.add_row(f"Kafka, {topic}", f"{size:,.0f}", "")
    return table
