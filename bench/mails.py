"""What a mail costs: a recorded run is read by the notification service, then its letters go to the mail sink.

The service is in this process, Postgres is real, Kafka is left out; the sink takes everything (`bench/sink.py`).
"""

import asyncio
import hashlib
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import machine
from bench.handlers import Recording, Replay, postgres_in, profiled
from bench.stack import started_sink
from cli.stack.postgres import create_databases
from services.notification.app import build
from services.notification.settings import NotificationSettings

LIMIT: Final = 300.0
_WAITING: Final = "SELECT count(*) FROM message"
_ANY: Final = "SELECT EXISTS (SELECT FROM message)"
_TRANSACTIONS: Final = "SELECT pg_current_xact_id()::text::bigint"


@dataclass(frozen=True, slots=True)
class MailCost:
    """µs of CPU per mail: ours, that of Postgres' backends, the mail sink's; commits for 1,000 mails."""

    mails: int
    python_us: float
    postgres_us: float
    sink_us: float
    commits: float
    digest: str

    def line(self) -> str:
        return (
            f"{'a mail':20} Python {self.python_us:6.1f} µs, Postgres {self.postgres_us:5.1f} "
            f"(sink {self.sink_us:5.1f}), {self.commits:.0f} commits for 1,000, {self.mails} mails, told {self.digest}"
        )


async def measured(recording: Recording, rounds: int, *, profile: bool = False) -> MailCost:
    """The least of some rounds; each reads the recording into an empty database and hands all its letters over."""
    sink, address = await started_sink()
    best: MailCost | None = None
    try:
        with tempfile.TemporaryDirectory(prefix="makegood-", ignore_cleanup_errors=True) as folder:
            async with postgres_in(Path(folder)) as (server, secret):
                for number in range(rounds):
                    dsn = (await create_databases(server.dsn, ["notification"], secret, f"m{number}_"))["notification"]
                    cost = await _handed_over(recording, dsn, address, sink.pid, profile=profile)
                    best = cost if best is None or cost.python_us < best.python_us else best
    finally:
        sink.terminate()
        await sink.wait()
    assert best is not None, "no round"
    return best


async def _handed_over(recording: Recording, dsn: str, address: str, sink: int, *, profile: bool) -> MailCost:
    service = build(NotificationSettings(smtp=address))
    async with Replay.into(service, dsn) as replay:
        await replay.feed(recording.before)
        await replay.feed(recording.after)
        read, mails = len(replay.relay.rows), int(await replay.pool.fetchval(_WAITING))
        stop = asyncio.Event()
        taken, postgres = machine.cpu_seconds(sink), await replay.postgres_seconds()
        commits, python = await replay.pool.fetchval(_TRANSACTIONS), time.process_time()
        with profiled(profile):
            sending = asyncio.create_task(service.background(replay.pool, replay.pipeline.unit, stop))
            async with asyncio.timeout(LIMIT):
                while await replay.pool.fetchval(_ANY):  # noqa: ASYNC110 - a table sets no event
                    await asyncio.sleep(0.25)
            stop.set()
            await sending
        python = time.process_time() - python
        taken, postgres = machine.cpu_seconds(sink) - taken, await replay.postgres_seconds() - postgres
        commits = await replay.pool.fetchval(_TRANSACTIONS) - commits
        told = sorted(event.value or b"" for row in replay.relay.rows[read:] for event in row.events)
    assert len(told) == mails, f"{mails} mails were waiting, {len(told)} were told of"
    digest = hashlib.blake2b(repr(told).encode(), digest_size=6).hexdigest()
    us = 1e6 / mails
    return MailCost(mails, python * us, postgres * us, taken * us, commits / mails * 1000, digest)


__all__ = ["MailCost", "measured"]
