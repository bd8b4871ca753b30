"""One replica of a service, kept running: started, watched, started again when it died."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping

from cli.stack.plan import ServiceSpec
from cli.stack.process import Child
from cli.stack.readiness import condition, later
from cli.stack.state import Condition, ServiceState

BACKOFF_FIRST = 0.5
BACKOFF_MOST = 30.0
STEADY_AFTER = 60.0
"""Seconds after which a process that died counts as its first failure again."""
STOP_LIMIT = 25.0
POLL_STARTING = 0.2
POLL_READY = 2.0
# The administrator's DSN is the supervisor's own affair.
KEPT_BACK = ("MAKEGOOD_POSTGRES", "MAKEGOOD_POSTGRES_PREFIX")

Tell = Callable[[str, str], None]
"""Called with (source, line)."""


def backoff(failures: int) -> float:
    """Seconds to wait before the next start after so many failures in a row (from 1): 0.5, 1, 2, … 30."""
    return float(min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** min(failures - 1, 10)))


class Replica:
    """Keeps one process of a service alive from `run` until `stop`."""

    def __init__(
        self, spec: ServiceSpec, state: ServiceState, env: Mapping[str, str], tell: Tell, changed: Callable[[], None]
    ) -> None:
        self.spec = spec
        self.state = state
        self.env: dict[str, str] = dict(env)
        self._tell = tell
        self._changed = changed
        self._child: Child | None = None
        self._wanted = asyncio.Event()
        self._gone = asyncio.Event()
        self._gone.set()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._prober: asyncio.Task[None] | None = None

    @property
    def source(self) -> str:
        """Its name in logs."""
        return f"{self.spec.name}-{self.state.replica}"

    @property
    def child(self) -> Child | None:
        """The process that runs now."""
        return self._child

    def run(self) -> None:
        """Start, and keep running."""
        self._wanted.set()
        self._task = asyncio.create_task(self._keep_running(), name=self.source)
        self._prober = asyncio.create_task(self._probe(), name=f"{self.source} ready")

    async def hold(self, how: signal.Signals = signal.SIGTERM, limit: float = STOP_LIMIT) -> None:
        """End the process and leave it down until `release`."""
        self._wanted.clear()
        child = self._child
        if child is not None:
            await child.stop(how, limit)
        await self._gone.wait()

    def release(self, env: Mapping[str, str] | None = None) -> None:
        """Let a held one run again, from now on with `env` added to its environment."""
        self.env.update(env or {})
        self._wanted.set()

    async def stop(self, limit: float = STOP_LIMIT) -> None:
        """Drain and end for good: SIGTERM, and SIGKILL after `limit` seconds."""
        self._stopping = True
        child = self._child
        if child is not None:
            self._set("draining")
            if not await child.stop(signal.SIGTERM, limit):
                self._tell("supervisor", f"{self.source} did not end within {limit:.0f} s of SIGTERM and was killed")
        for task in (self._task, self._prober):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in (self._task, self._prober) if task is not None), return_exceptions=True)
        self._set("dead")

    async def _keep_running(self) -> None:
        failures = 0
        while not self._stopping:
            await self._wanted.wait()
            started = time.monotonic()
            status = await self._run_once()
            if self._stopping:
                return
            if not self._wanted.is_set():
                self._set("dead")
                failures = 0
                continue
            failures = 1 if time.monotonic() - started > STEADY_AFTER else failures + 1
            self.state.restarts += 1
            wait = backoff(failures)
            self._tell(
                "supervisor",
                f"{self.source} {_ending(status)}; starting it again in {wait:g} s (restart {self.state.restarts})",
            )
            self._set("backoff")
            await asyncio.sleep(wait)

    async def _run_once(self) -> int:
        inherited = {name: value for name, value in os.environ.items() if name not in KEPT_BACK}
        child = await Child.start(
            self.spec.program,
            on_line=lambda line: self._tell(self.source, line),
            env={**inherited, **self.env},
            # The services are made to be killed at any point, and without the supervisor nobody would wait for a drain.
            death_signal=signal.SIGKILL,
        )
        self._child = child
        self._gone.clear()
        self.state.pid = child.pid
        self._set("starting")
        try:
            return await child.wait()
        finally:
            self._child = None
            self.state.pid = None
            self._gone.set()

    async def _probe(self) -> None:
        while not self._stopping:
            child = self._child
            if child is not None and self.state.state != "backoff":
                told = await condition(self.state.health)
                if self._child is child and not self._stopping:
                    self._set(later(told, ready_before=self.state.state in ("ready", "unready")))
            await asyncio.sleep(POLL_READY if self.state.state == "ready" else POLL_STARTING)

    def _set(self, condition: Condition) -> None:
        self.state.state = condition
        self._changed()


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
