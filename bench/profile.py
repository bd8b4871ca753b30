"""A flame graph of each service under load: py-spy where it runs, otherwise cProfile.

Both become speedscope files (https://www.speedscope.app, sampled stacks) and a table of functions. Threads that wait
are left out: where the kernel does not tell py-spy who is idle, it counts them.
"""

import asyncio
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from bench import ours
from bench.load import Loader
from bench.stack import BenchStack, running
from bench.topics import Topics
from bench.workload import claims
from shared.events.topics import DECISIONS

RATE: Final = 199
TOP: Final = 25
_WAITING: Final = ("wait (threading.py", "_worker (concurrent/futures/thread.py", "select (selectors.py")
_LOOP: Final = ("run (asyncio/runners.py", "run (uvloop/__init__.py")
"""Frames under which a stack that ends there is waiting, not working: the event loop's own."""

Stacks = Counter[tuple[str, ...]]


async def profiled(data: Path, folder: Path, seconds: int, number: int) -> list[str]:
    """Record each service while claims pour in; the lines to print."""
    spy = shutil.which("py-spy", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    lines = []
    async with running(data) as stack:
        for name, stacks in (await _recorded(stack, spy, folder, seconds, number)).items():
            file = folder / f"{name}.speedscope.json"
            file.write_text(json.dumps(speedscope(name, stacks)))
            lines += [f"{name}: {file}", *table(stacks), ""]
    return lines


async def _recorded(stack: BenchStack, spy: str | None, folder: Path, seconds: int, number: int) -> dict[str, Stacks]:
    if spy is None:
        raise SystemExit("py-spy is not installed: `make setup`")
    async with Topics.of(stack.kafka) as topics, Loader.of(stack.kafka) as loader:
        some = list(claims("profile", number))
        await ours.load_orders(stack, topics, loader, some, 600.0)
        slices, base = loader.built(some), await topics.count(DECISIONS)

        async def done() -> float:
            return float(await topics.count(DECISIONS) - base)

        pouring = asyncio.create_task(loader.pour(slices, done, 6_000))
        await asyncio.sleep(1.0)
        try:
            files = {name: folder / f"{name}.raw" for name in stack.services}
            await asyncio.gather(
                *(_spied(spy, pid, files[name], seconds) for name, pid in stack.services.items()),
            )
        finally:
            pouring.cancel()
            await asyncio.gather(pouring, return_exceptions=True)
    found = {name: read_raw(file.read_text()) for name, file in files.items()}
    for file in files.values():
        file.unlink()
    return found


async def _spied(spy: str, pid: int, file: Path, seconds: int) -> None:
    command = (spy, "record", "--format=raw", f"--rate={RATE}", f"--duration={seconds}", f"--pid={pid}", f"-o={file}")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), seconds + 60)
    if process.returncode != 0:
        raise SystemExit(f"py-spy could not record process {pid}: {said.decode()[-300:]}")


def read_raw(text: str) -> Stacks:
    """py-spy's raw output (`frame;frame;… count`), without the stacks that wait."""
    found: Stacks = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = tuple(_short(frame) for frame in stack.split(";"))
        if frames and not _waits(frames[-1]):
            found[frames] += int(count)
    return found


def _short(frame: str) -> str:
    """`function (file:line)` without the line and without where things are installed."""
    name, _, place = frame.rpartition(" (")
    path = place.rstrip(")").rpartition(":")[0] or place.rstrip(")")
    for root in ("site-packages/", f"{Path.cwd()}/", "lib/python3.11/"):
        path = path.rpartition(root)[2]
    return f"{name} ({path})"


def _waits(frame: str) -> bool:
    return any(part.rstrip(")") in frame for part in (*_WAITING, *_LOOP))


def speedscope(name: str, stacks: Stacks) -> dict[str, object]:
    """The stacks in speedscope's file format, one weight a stack."""
    numbers: dict[str, int] = {}
    samples = [[numbers.setdefault(frame, len(numbers)) for frame in stack] for stack in stacks]
    weights = list(stacks.values())
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": [{"name": frame} for frame in numbers]},
        "profiles": [
            {
                "type": "sampled",
                "name": name,
                "unit": "none",
                "startValue": 0,
                "endValue": sum(weights),
                "samples": samples,
                "weights": weights,
            }
        ],
    }


def table(stacks: Stacks) -> list[str]:
    """The functions with the most time, with what they call and by themselves, in % of the samples that work."""
    with_called: Counter[str] = Counter()
    itself: Counter[str] = Counter()
    for stack, count in stacks.items():
        itself[stack[-1]] += count
        for frame in set(stack):
            with_called[frame] += count
    total = max(1, sum(stacks.values()))
    return [*_lines("with what they call", with_called, total), *_lines("by themselves", itself, total)]


def _lines(title: str, counts: Counter[str], total: int) -> Sequence[str]:
    ours_: Iterable[tuple[str, int]] = counts.most_common(TOP)
    return [f"  {title}:", *(f"    {100 * count / total:5.1f} %  {frame}" for frame, count in ours_)]
