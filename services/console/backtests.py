"""Backtests run from the page: `claims policy backtest` as a process of its own, one at a time, with limits, its result
kept. It reads the topics and publishes nothing."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import asyncpg
import structlog
from pydantic import BaseModel

from shared import clock
from shared.db import Pool

log = structlog.get_logger(__name__)

LIMIT = timedelta(minutes=10)
SHOWN = 20
"""Most changed claims that are kept of a result."""
_NICENESS = 10


class Summed(BaseModel):
    """Claims of one kind taken together; decimal strings of the policy's currency."""

    claims: int
    changed: int
    before: str
    after: str
    difference: str


class Change(Summed):
    """Claims that end differently, by how they ended and how they would have."""

    before_end: str
    after_end: str


class OfReason(Summed):
    """Claims of one reason."""

    reason: str


class Moved(BaseModel):
    """A claim that would have ended otherwise."""

    claim_id: str
    reason: str
    before_end: str
    after_end: str
    difference: str


class Found(BaseModel):
    """What a backtest found."""

    currency: str
    total: Summed
    changes: list[Change]
    by_reason: list[OfReason]
    moved: list[Moved]


class Backtest(BaseModel):
    """A backtest that was asked for: running while `ended_at` is null; then with what it found, or with its problem."""

    id: int
    digest: str
    since: datetime | None
    actor: str
    begun_at: datetime
    ended_at: datetime | None
    found: Found | None
    problem: str | None


class Busy(Exception):  # noqa: N818 - read as a sentence
    """Another backtest is running."""


class Backtests:
    """Runs them; `program` is the `claims` command."""

    def __init__(
        self,
        pool: Pool,
        kafka: str,
        program: Sequence[str] = (sys.executable, "-m", "cli"),
        limit: timedelta = LIMIT,
    ) -> None:
        self._pool = pool
        self._kafka = kafka
        self._program = tuple(program)
        self._limit = limit
        self._running: set[asyncio.Task[None]] = set()

    async def recover(self) -> None:
        """Close what a process that is gone left open."""
        async with self._pool.acquire(timeout=5) as conn:
            await conn.execute(
                "UPDATE backtest SET ended_at = $1, problem = 'interrupted' WHERE ended_at IS NULL", clock.now()
            )

    async def begin(
        self, file: Path, merchant: str, version: int, digest: str, since: datetime | None, actor: str
    ) -> int:
        """Start one; returns its number.

        Raises:
            Busy: one is running.
        """
        try:
            async with self._pool.acquire(timeout=5) as conn:
                number: int = await conn.fetchval(
                    "INSERT INTO backtest (merchant, version, digest, since, actor, begun_at) "
                    "VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
                    merchant,
                    version,
                    digest,
                    since,
                    actor,
                    clock.now(),
                )
        except asyncpg.UniqueViolationError as running:
            raise Busy from running
        task = asyncio.create_task(self._run(number, file, since))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return number

    async def latest(self, merchant: str, version: int) -> Backtest | None:
        """The last one of a policy version."""
        async with self._pool.acquire(timeout=5) as conn:
            row = await conn.fetchrow(
                "SELECT id, digest, since, actor, begun_at, ended_at, result, problem FROM backtest "
                "WHERE merchant = $1 AND version = $2 ORDER BY id DESC LIMIT 1",
                merchant,
                version,
            )
        if row is None:
            return None
        found = None if row["result"] is None else Found.model_validate_json(row["result"])
        return Backtest(**{k: v for k, v in row.items() if k != "result"}, found=found)

    async def close(self) -> None:
        """End what runs."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, number: int, file: Path, since: datetime | None) -> None:
        result, problem = None, "interrupted"
        try:
            result, problem = await self._ask(file, since)
        except (OSError, ValueError, KeyError) as error:
            log.exception("backtest_failed", number=number)
            problem = repr(error)
        finally:
            async with self._pool.acquire(timeout=5) as conn:
                await conn.execute(
                    "UPDATE backtest SET ended_at = $2, result = $3, problem = $4 WHERE id = $1",
                    number,
                    clock.now(),
                    None if result is None else result.model_dump_json(),
                    None if result is not None else problem.replace("\0", "␀")[:2000],
                )

    async def _ask(self, file: Path, since: datetime | None) -> tuple[Found | None, str]:
        words = [*self._program, "policy", "backtest", str(file), "--kafka", self._kafka, "--json"]
        if since is not None:
            words += ["--since", f"{since:%Y-%m-%dT%H:%M:%SZ}"]
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1"},
        )
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                out, err = await process.communicate()
        except TimeoutError:
            return None, f"took longer than {self._limit}"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            return None, err.decode(errors="replace").strip() or f"ended with {process.returncode}"
        return read_result(out), ""


def read_result(out: bytes) -> Found:
    """What the command printed, in short. Raises `ValueError` or `KeyError` where it is something else."""
    said = json.loads(out)
    moved = sorted(said["changed"], key=lambda one: -abs(Decimal(one["difference"])))[:SHOWN]
    return Found(
        currency=said["currency"],
        total=said["total"],
        changes=[Change(**_sums(one), before_end=one["from"], after_end=one["to"]) for one in said["changes"]],
        by_reason=[OfReason(**_sums(one), reason=one["reason"]) for one in said["by_reason"]],
        moved=[
            Moved(
                claim_id=one["claim_id"],
                reason=one["reason"],
                before_end=one["from"]["outcome"],
                after_end=one["to"]["outcome"],
                difference=one["difference"],
            )
            for one in moved
        ],
    )


def _sums(one: dict[str, str]) -> dict[str, str]:
    return {name: one[name] for name in Summed.model_fields}
