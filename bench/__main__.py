"""`python -m bench` measures, `python -m bench profile` shows where the services spend their time (docs/speed.md)."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop
from rich.console import Console

from bench import backlog, growth, growth_fillfactor, guard, machine, mails, ours, references, replicas
from bench import handlers as handlers_
from bench.measure import Run
from bench.profile import profiled
from bench.references import NotRun, Way
from bench.report import Report
from bench.shape import Stage
from bench.stack import BenchStack, running

WAYS: Final[tuple[Way, ...]] = ("floor", "naive", "kafka streams")
RUN_LIMIT: Final = 600.0
app = typer.Typer(add_completion=False, no_args_is_help=False)
app.command("growth")(growth.command)
app.command("backlog")(backlog.command)
app.command("fillfactor")(growth_fillfactor.command)
app.command("replicas")(replicas.command)
console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    claims: int = 12_000
    warm: int = 2_000
    floor_claims: int = 30_000
    naive_claims: int = 120
    window: int = 6_000
    rounds: int = 3
    latency_seconds: float = 15.0
    rates: tuple[float, ...] = (10.0, 100.0, 1000.0)
    sustained: int = 50_000
    ways: tuple[Way, ...] = WAYS


DEFAULT: Final = Sizes()
SHORT: Final = Sizes(
    # Warm first: until its JVM has compiled itself the broker takes three times the CPU, and all of it from ours.
    claims=5_000,
    warm=4_000,
    floor_claims=12_000,
    rounds=3,
    latency_seconds=0.0,
    rates=(),
    sustained=0,
    ways=("floor",),
)


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    claims: Annotated[int, typer.Option(min=100, help="Claims of ours in a round.")] = DEFAULT.claims,
    reference_claims: Annotated[
        int, typer.Option(min=100, help="Claims of the floor and of Kafka Streams in a round.")
    ] = DEFAULT.floor_claims,
    naive_claims: Annotated[int, typer.Option(min=20, help="Claims of the naive way.")] = DEFAULT.naive_claims,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; each runs every way once.")] = DEFAULT.rounds,
    latency_seconds: Annotated[float, typer.Option(help="Seconds at each rate; 0: none.")] = DEFAULT.latency_seconds,
    rates: Annotated[str, typer.Option(help="Claims a second at which latency is measured.")] = "10,100,1000",
    sustained: Annotated[int, typer.Option(help="Claims of one long run at the end; 0: none.")] = DEFAULT.sustained,
    window: Annotated[int, typer.Option(min=100, help="Claims under way at once.")] = DEFAULT.window,
    against: Annotated[
        str, typer.Option(help="The ways to compare with, by commas; empty: ours alone.")
    ] = "floor,naive,kafka streams",
    short: Annotated[
        bool, typer.Option("--short", help="The guard: fails when ratio_to_floor has fallen in each of three rounds.")
    ] = False,
    record: Annotated[bool, typer.Option("--record", help="Record this ratio_to_floor for the guard.")] = False,
    json_file: Annotated[Path, typer.Option("--json", help="Where the figures go.")] = Path("bench.json"),
    data: Annotated[Path | None, typer.Option(help="Folder of the stack; left out: one that is removed.")] = None,
) -> None:
    """Measure ours against a raw loop, a naive service and Kafka Streams, in interleaved rounds on one stack."""
    if context.invoked_subcommand is not None:
        return
    sizes = SHORT
    if not short:
        sizes = Sizes(
            claims=claims,
            floor_claims=reference_claims,
            naive_claims=naive_claims,
            rounds=rounds,
            latency_seconds=latency_seconds,
            rates=tuple(float(rate) for rate in rates.split(",")),
            sustained=sustained,
            window=window,
            ways=_named(against),
        )
    recorded = guard.Recorded.read() if short and not record else None
    with _folder(data) as folder:
        report = asyncio.run(_measure(sizes, folder, recorded))
    report.write(json_file)
    report.show(Console())
    if record:
        guard.record(report)
    if recorded is not None:
        fallen, said = guard.judged(report.rounds, recorded)
        print(said)
        raise typer.Exit(int(fallen))


def _named(against: str) -> tuple[Way, ...]:
    names = {name.strip() for name in against.split(",") if name.strip()}
    if unknown := names - set(WAYS):
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown))}: the ways are {', '.join(WAYS)}", param_hint="--against"
        )
    return tuple(way for way in WAYS if way in names)


@app.command()
def profile(
    folder: Annotated[Path, typer.Option(help="Where the profiles go.")] = Path("profiles"),
    seconds: Annotated[int, typer.Option(min=2, help="Seconds of recording.")] = 15,
    claims: Annotated[int, typer.Option(min=100, help="Claims poured in meanwhile.")] = 20_000,
    data: Annotated[Path | None, typer.Option(help="Folder of the stack; left out: one that is removed.")] = None,
) -> None:
    """A flame graph of each service under load (speedscope, https://speedscope.app) and a table of its functions."""
    folder.mkdir(parents=True, exist_ok=True)
    with _folder(data) as place:
        for line in asyncio.run(profiled(place, folder, seconds, claims)):
            print(line)


@app.command()
def handlers(
    service: Annotated[list[str] | None, typer.Option(help="Only these; left out: all four.")] = None,
    recording: Annotated[Path, typer.Option(help="Topics to replay; made where none.")] = Path("recording.pickle"),
    claims: Annotated[int, typer.Option(min=100, help="Claims of a recording that is made.")] = 4_000,
    rounds: Annotated[int, typer.Option(min=1, help="The least of so many counts.")] = 3,
    profile: Annotated[bool, typer.Option(help="Print cProfile's table of a round instead.")] = False,
) -> None:
    """CPU of each service's handlers without Kafka, and a digest of what they emit."""
    topics = handlers_.recording_in(recording, claims)
    for name in service or handlers_.SERVICES:
        for cost in asyncio.run(handlers_.measured(topics, [name], 1 if profile else rounds, profile=profile)):
            print(cost.line())
        if name == "notification":
            print(uvloop.run(mails.measured(topics, 1 if profile else rounds, profile=profile)).line())


@contextmanager
def _folder(named: Path | None) -> Iterator[Path]:
    """The stack's folder: the one named, kept; otherwise one that is removed."""
    if named is not None:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="makegood-bench-", ignore_cleanup_errors=True) as place:
        yield Path(place)


async def _measure(sizes: Sizes, folder: Path, recorded: guard.Recorded | None) -> Report:
    """All that `sizes` asks for; of the guard's rounds no more than it takes to see that what is recorded holds."""
    report = Report(machine.facts())
    if "kafka streams" in sizes.ways:
        try:
            references.build_streams()
        except NotRun as why:
            report.not_run["kafka streams"] = str(why)
    async with running(folder) as stack:
        _, shape = await _ours(stack, "warm", min(sizes.warm, sizes.claims), sizes)
        report.shape = shape
        for number in range(1, sizes.rounds + 1):
            report.rounds.append(await _round(stack, shape, number, sizes, report))
            if recorded is not None and not guard.judged(report.rounds, recorded)[0]:
                break
        if sizes.latency_seconds:
            await _latencies(stack, sizes, report)
        if sizes.sustained:
            await _sustained(stack, sizes, report)
    return report


async def _ours(stack: BenchStack, tag: str, number: int, sizes: Sizes) -> tuple[Run, tuple[Stage, ...]]:
    _say(f"ours, {number:,} claims ({tag})")
    result = await ours.measured(stack, tag, number, sizes.window, RUN_LIMIT)
    _say(f"  {result[0].per_second:,.0f}/s, {result[0].cpu_us_in_all:,.0f} µs; left {result[0].left}")
    await stack.hold()
    await stack.forget_mails()
    return result


async def _round(
    stack: BenchStack, shape: tuple[Stage, ...], number: int, sizes: Sizes, report: Report
) -> dict[str, Run]:
    found: dict[str, Run] = {}
    for way in sizes.ways:
        if way in report.not_run:
            continue
        claims = sizes.naive_claims if way == "naive" else sizes.floor_claims
        warm = 10 if way == "naive" else claims // 4
        window = 100 if way == "naive" else 4 * sizes.window
        try:
            found[way] = await references.measured(
                way, stack, shape, claims_=claims, warm=warm, window=window, tag=f"r{number}", limit=RUN_LIMIT
            )
        except NotRun as why:
            report.not_run[way] = str(why)
            continue
        _say(f"{way}: {found[way].per_second:,.0f}/s, {found[way].cpu_us_in_all:,.0f} µs (round {number})")
    await stack.release()
    found["ours"], _ = await _ours(stack, f"r{number}", sizes.claims, sizes)
    return found


async def _latencies(stack: BenchStack, sizes: Sizes, report: Report) -> None:
    await stack.release()
    for number in range(1, max(3, sizes.rounds) + 1):
        for rate in sizes.rates:
            one = await ours.latency(stack, f"l{number}x{rate:g}", rate, sizes.latency_seconds, 90.0)
            report.latencies.append(one)
            _say(f"latency at {rate:g}/s: decision {one.decision_ms}, instruction {one.instruction_ms}")
    await stack.hold()
    await stack.forget_mails()


async def _sustained(stack: BenchStack, sizes: Sizes, report: Report) -> None:
    before = {part: machine.folder_bytes(stack.folder(part)) for part in ("kafka", "postgres")}
    await stack.release()
    report.sustained, _ = await _ours(stack, "sustained", sizes.sustained, sizes)
    for part, size in before.items():
        report.disk_bytes[part] = (machine.folder_bytes(stack.folder(part)) - size) / sizes.sustained


def _say(line: str) -> None:
    console.print(f"{time.strftime('%H:%M:%S')} {line}", highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(app())
