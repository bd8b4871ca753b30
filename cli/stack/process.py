"""Child processes that die with the supervisor, are found again when they did not, and are stopped within a limit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")
CHUNK = 64 * 1024
LINE_LIMIT = 32 * 1024
KILL_LIMIT = 10.0


@dataclass(frozen=True, slots=True)
class Identity:
    """A process, not to be mistaken for a later one with the same pid: `started` is boot and start time."""

    pid: int
    started: str


def identify(pid: int) -> Identity | None:
    """Who has this pid now; None when nobody does, or only a zombie."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in ("Z", "X") else Identity(pid, f"{boot}:{fields[19]}")
    told = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = told.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else Identity(pid, started.strip())


def is_alive(identity: Identity) -> bool:
    """Does this very process still run?"""
    return identify(identity.pid) == identity


def end(identities: Sequence[Identity], how: signal.Signals, limit: float) -> list[Identity]:
    """Signal those that are alive, wait up to `limit` seconds, and return the ones that still live."""
    for identity in identities:
        if is_alive(identity):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(identity.pid, how)
    until = time.monotonic() + limit
    left = [identity for identity in identities if is_alive(identity)]
    while left and time.monotonic() < until:
        time.sleep(0.05)
        left = [identity for identity in left if is_alive(identity)]
    return left


def launched(program: Sequence[str | Path], death_signal: signal.Signals, user: str | None = None) -> list[str]:
    """The command line that runs `program` so that it gets `death_signal` when this process dies."""
    head = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(death_signal)), user or "-"]
    return [*head, *(str(part) for part in program)]


class Child:
    """One child process, its output read line by line.

    It has a session of its own, so that a Ctrl-C at the terminal reaches the supervisor alone.
    """

    def __init__(self, process: asyncio.subprocess.Process, identity: Identity, reader: asyncio.Task[None]) -> None:
        self._process = process
        self._reader = reader
        self.identity = identity

    @classmethod
    async def start(
        cls,
        program: Sequence[str | Path],
        *,
        on_line: Callable[[str], None],
        env: Mapping[str, str] | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
        user: str | None = None,
        cwd: Path | None = None,
    ) -> Child:
        """Start `program` (an absolute path first); `on_line` gets each line of its output, stderr included."""
        process = await asyncio.create_subprocess_exec(
            *launched(program, death_signal, user),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            start_new_session=True,
        )
        assert process.stdout is not None
        identity = identify(process.pid) or Identity(process.pid, "")
        return cls(process, identity, asyncio.create_task(_read_lines(process.stdout, on_line)))

    @property
    def pid(self) -> int:
        return self.identity.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def wait(self) -> int:
        """The exit status (negative: the signal), after its output has been read to the end or for a second more."""
        status = await self._process.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._reader), 1)
        self._reader.cancel()
        return status

    def send(self, how: signal.Signals) -> None:
        """Signal the process if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(how)

    async def stop(self, how: signal.Signals, limit: float) -> bool:
        """Signal it, and after `limit` seconds kill it with its session. True if it went by itself."""
        self.send(how)
        try:
            await asyncio.wait_for(self.wait(), limit)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self.send(signal.SIGKILL)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), KILL_LIMIT)
            return False
        return True


async def _read_lines(stream: asyncio.StreamReader, on_line: Callable[[str], None]) -> None:
    rest = b""
    while chunk := await stream.read(CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > LINE_LIMIT:
            lines, rest = [*lines, rest], b""
        for line in lines:
            on_line(line.decode(errors="replace").rstrip("\r"))
    if rest:
        on_line(rest.decode(errors="replace"))


async def run_once(
    program: Sequence[str | Path], *, limit: float, env: Mapping[str, str] | None = None, user: str | None = None
) -> tuple[int, str]:
    """Run a program to its end: (exit status, output).

    Raises TimeoutError after `limit` seconds; the program is killed then.
    """
    lines: list[str] = []
    child = await Child.start(program, on_line=lines.append, env=env, user=user)
    try:
        status = await asyncio.wait_for(child.wait(), limit)
    except BaseException:
        await child.stop(signal.SIGKILL, KILL_LIMIT)
        raise
    return status, "\n".join(lines)
