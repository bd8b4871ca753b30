"""What the Now page shows of claims, as metrics of the consumer's process."""

from datetime import datetime, timedelta
from typing import Final

from services.console import queries
from services.console.watch import PACE_MINUTES, stages_shown
from shared import metrics
from shared.db import Conn

STUCK_AFTER: Final = timedelta(seconds=60)
_UNKNOWN: Final = float("nan")


async def read_out(conn: Conn, now: datetime, stuck_after: timedelta = STUCK_AFTER) -> None:
    """Set them from the read model's sums; nothing here grows with the number of claims."""
    minute = int(now.timestamp() // 60)
    counters = await queries.counters(conn)
    paces = await queries.tempo(conn, minute - PACE_MINUTES)
    stages = stages_shown(counters, paces, minute)
    metrics.CLAIMS_REACHED.show({(stage.stage,): stage.total for stage in stages})
    for stage in stages:
        for quantile, age_ms in (("0.5", stage.p50_ms), ("0.95", stage.p95_ms)):
            age = _UNKNOWN if age_ms is None else age_ms / 1000
            metrics.CLAIM_AGE_SECONDS.labels(stage.stage, quantile).set(age)
    for name, n in counters.items():
        if name.startswith("state:"):
            metrics.CLAIMS.labels(name.removeprefix("state:")).set(n)
    now_ms = int(now.timestamp() * 1000)
    metrics.CLAIMS_OVERDUE.set(await queries.overdue(conn, now_ms))
    stuck, stuck_n = await queries.stuck(conn, int((now - stuck_after).timestamp() * 1000))
    metrics.CLAIMS_STUCK.set(stuck_n)
    since_ms = stuck.stuck_ms if stuck is not None else None
    metrics.CLAIM_STUCK_SECONDS.set(0 if since_ms is None else max(0, now_ms - since_ms) / 1000)
    metrics.UNFOLDED_RECORDS.set(await queries.unfolded(conn))
