"""The figures of the Now page as metrics: gathered once a second anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import metrics

if TYPE_CHECKING:
    from services.console.watch import Now

_UNKNOWN = float("nan")


def show(now: Now) -> None:
    """Set the console's metrics."""
    metrics.CLAIMS_REACHED.show({(stage.stage,): stage.total for stage in now.stages})
    for stage in now.stages:
        for quantile, age_ms in (("0.5", stage.p50_ms), ("0.95", stage.p95_ms)):
            age = _UNKNOWN if age_ms is None else age_ms / 1000
            metrics.CLAIM_AGE_SECONDS.labels(stage.stage, quantile).set(age)
    for state, n in now.states.items():
        metrics.CLAIMS.labels(state).set(n)
    metrics.CLAIMS_OVERDUE.set(now.overdue)
    metrics.CLAIMS_STUCK.set(now.stuck_n)
    since_ms = now.stuck.stuck_ms if now.stuck is not None else None
    age = 0.0 if since_ms is None else max(0.0, now.at.timestamp() - since_ms / 1000)
    metrics.CLAIM_STUCK_SECONDS.set(age)
    metrics.UNFOLDED_RECORDS.set(now.unfolded)
