"""CPU seconds and memory of processes, from /proc; the machine's facts."""

import asyncio
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def cpu_seconds(pid: int, *, with_ended: bool = True) -> float:
    """User and system time of a process, with that of its children that have ended; 0 where it is gone."""
    try:
        members = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(member) for member in members[11 : 15 if with_ended else 13]) / _TICK


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        tasks = list((_PROC / str(pid) / "task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def tree_seconds(pid: int) -> float:
    """CPU seconds of a process and of all below it; of ourselves alone, since all that is measured is below us."""
    if pid == os.getpid():
        return cpu_seconds(pid, with_ended=False)
    return cpu_seconds(pid) + sum(tree_seconds(child) for child in children(pid))


def _kilobytes(pid: int, file: str, name: str) -> int:
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", (_PROC / str(pid) / file).read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def memory_mb(pid: int) -> float:
    """Resident memory; of a process with children their shares of it (Pss), so that shared memory counts once."""
    below = [] if pid == os.getpid() else children(pid)
    if not below:
        return _kilobytes(pid, "status", "VmRSS") / 1024
    return sum(_kilobytes(one, "smaps_rollup", "Pss") for one in (pid, *below)) / 1024


@dataclass(slots=True)
class Meter:
    """CPU seconds by name between `start` and now, and the highest memory seen. `trees` are pids by name."""

    trees: Mapping[str, int]
    peak_mb: dict[str, float] = field(default_factory=dict)
    _before: dict[str, float] = field(default_factory=dict)
    _watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._before = {name: tree_seconds(pid) for name, pid in self.trees.items()}
        self._watch = asyncio.create_task(self._look())

    def spent(self) -> dict[str, float]:
        """CPU seconds since the start, by name."""
        return {name: tree_seconds(pid) - self._before[name] for name, pid in self.trees.items()}

    def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()

    async def _look(self) -> None:
        while True:
            for name, pid in self.trees.items():
                self.peak_mb[name] = round(max(self.peak_mb.get(name, 0.0), memory_mb(pid)), 1)
            await asyncio.sleep(3.0)  # the shares of shared memory (Pss) cost the kernel a walk over all of its pages


def folder_bytes(folder: Path) -> int:
    """Bytes on the disk of all files under a folder."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(parent) / name).stat().st_blocks * 512
            except OSError:
                continue  # removed meanwhile
    return total


def facts() -> dict[str, str | int | float]:
    """What the figures depend on."""
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": _cpu_model(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", (_PROC / "cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return platform.processor()
    return found[1] if found else platform.machine()


def machine_seconds() -> float:
    """CPU seconds that the whole machine has been busy."""
    members = [int(one) for one in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _wait, irq, softirq, _steal = members
    return (user + nice + system + irq + softirq) / _TICK
