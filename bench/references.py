"""The ways that ours is compared with: their processes started, warmed, measured, ended."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from bench.load import Loader
from bench.measure import Flow, Run, timed
from bench.shape import INPUT, Stage, expected, renamed, write
from bench.stack import BenchStack
from bench.topics import Topics, made
from bench.workload import claims
from cli.stack import java
from cli.stack.folders import cache_folder
from shared.events.topics import DECISIONS

Way = Literal["floor", "naive", "kafka streams"]
PROJECT = Path(__file__).with_name("streams")
BUILD_LIMIT = 400.0
READY_LIMIT = 60.0


class NotRun(Exception):  # noqa: N818 - read as a sentence
    """A way that this machine cannot run, and why."""


async def measured(
    way: Way, stack: BenchStack, shape: Sequence[Stage], *, claims_: int, warm: int, window: int, tag: str, limit: float
) -> Run:
    """One run of a way: `warm` claims first, then `claims_` against the clock. Raises NotRun, TookTooLong."""
    prefix = f"bench.{way.replace(' ', '-')}.{tag}."
    stages = renamed(shape, prefix)
    names = {topic for stage in stages for topic in (*stage.reads, *(emit.topic for emit in stage.emits))}
    with tempfile.TemporaryDirectory() as place:
        async with (
            made(stack.kafka, names),
            Topics.of(stack.kafka) as topics,
            Loader.of(stack.kafka) as loader,
            _processes(way, stack, stages, prefix, Path(place)) as pids,
        ):
            flow = _flow(loader, stages, prefix, f"{tag}w", warm, window)
            await timed(way, flow, topics, loader, {}, os.getpid(), limit)
            flow = _flow(loader, stages, prefix, tag, claims_, window)
            return await timed(way, flow, topics, loader, {**pids, **stack.servers}, os.getpid(), limit)


def _flow(loader: Loader, stages: Sequence[Stage], prefix: str, run: str, number: int, window: int) -> Flow:
    inputs = prefix + INPUT
    slices = loader.built(claims(run, number), lambda _: inputs)
    records = sum(batch.record_count() for one in slices for _, _, batch in one.batches)
    return Flow(prefix + DECISIONS, (inputs,), number, expected(stages, records)[prefix + DECISIONS], slices, window)


@asynccontextmanager
async def _processes(
    way: Way, stack: BenchStack, stages: Sequence[Stage], prefix: str, place: Path
) -> AsyncIterator[Mapping[str, int]]:
    """The way's processes, ready; pids by name."""
    commands: dict[str, list[str]]
    if way == "kafka streams":
        commands = {"streams": streams_command(stack.kafka, stages, prefix, place)}
    else:
        file = place / "job.json"
        write(file, stack.kafka, stack.database, prefix, stages)
        commands = {one.name: [sys.executable, "-m", f"bench.{way}", str(file), one.name] for one in stages}
    running: dict[str, asyncio.subprocess.Process] = {}
    said = {name: place / f"{name}.err" for name in commands}
    try:
        for name, command in commands.items():
            with said[name].open("wb") as errors:
                running[name] = await asyncio.create_subprocess_exec(
                    *command, stdout=asyncio.subprocess.PIPE, stderr=errors
                )
        async with asyncio.timeout(READY_LIMIT):
            for name, process in running.items():
                assert process.stdout is not None
                if (await process.stdout.readline()).strip() != b"ready":
                    raise NotRun(f"{way}: {name} did not start: {said[name].read_text()[-500:]}")
        yield {name: process.pid for name, process in running.items()}
    finally:
        for process in running.values():
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        for process in running.values():
            try:
                await asyncio.wait_for(process.wait(), 20)
            except TimeoutError:
                process.kill()


def build_streams() -> None:
    """Build the Maven project in the cache folder, once for each state of its sources. Raises NotRun."""
    if (_built() / "bench-streams-1.jar").exists():
        return
    maven, compiler = shutil.which("mvn"), shutil.which("javac")
    if maven is None or compiler is None:
        raise NotRun(f"kafka streams: {'mvn' if maven is None else 'a JDK (javac)'} is not on the PATH")
    _built().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_built().parent) as place:
        shutil.copytree(PROJECT, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("target"))
        command = [maven, "-q", "-B", "package"]
        try:
            subprocess.run(command, cwd=place, check=True, timeout=BUILD_LIMIT, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise NotRun(f"kafka streams: mvn failed: {error.stdout[-500:]}") from error
        except subprocess.TimeoutExpired as error:
            raise NotRun(f"kafka streams: mvn took more than {BUILD_LIMIT:.0f} s") from error
        (Path(place) / "target").rename(_built())


def _built() -> Path:
    changed = max(int(file.stat().st_mtime) for file in PROJECT.rglob("*") if file.suffix in (".xml", ".java"))
    return cache_folder() / f"bench-streams-{changed}"


def streams_command(kafka: str, stages: Sequence[Stage], prefix: str, place: Path) -> list[str]:
    """The command that runs all hops in one JVM, as its own processes would share neither code nor warmth."""
    build_streams()
    lines = [
        f"kafka={kafka}",
        f"prefix={prefix.rstrip('.')}",
        f"folder={place / 'state'}",
        f"stages={','.join(one.name for one in stages)}",
    ]
    for one in stages:
        lines += [
            f"{one.name}.reads={','.join(one.reads)}",
            f"{one.name}.driver={one.driver}",
            f"{one.name}.rows={one.row_num}:{one.row_den}:{one.row_bytes}",
            f"{one.name}.emits={';'.join(f'{emit.topic}:{emit.num}:{emit.den}:{emit.bytes}' for emit in one.emits)}",
        ]
    settings = place / "streams.properties"
    settings.write_text("\n".join(lines).replace("\\", "\\\\") + "\n")
    class_path = os.pathsep.join((str(_built() / "bench-streams-1.jar"), str(_built() / "lib" / "*")))
    return [
        str(_java()), "-Xmx1g", "-XX:+UseG1GC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        "-cp", class_path, "makegood.bench.Stages", str(settings),
    ]  # fmt: skip


def _java() -> Path:
    found = shutil.which("java")
    # A whole JDK or JRE: the runtime from PyPI that Kafka's broker does with may lack what RocksDB's library needs.
    return Path(found) if found else java.find().program
