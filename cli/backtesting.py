"""What `claims policy backtest` finds: recorded claims under another policy, compared with what was decided. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cli.outcomes import ClaimKey, End
from cli.recalling import Recalled
from cli.trying import Trial
from shared.events import ClaimAdmitted


@dataclass(frozen=True, slots=True)
class Compared:
    """A claim as it ended, and as it would have ended. Amounts are minor units of the order's currency."""

    claim_id: str
    order_id: str
    reason: str
    before: End
    after: End

    @property
    def difference(self) -> int:
        """What it would have been given more."""
        return self.after.total - self.before.total

    @property
    def changed(self) -> bool:
        return (self.before.what, self.before.total) != (self.after.what, self.after.total)

    @property
    def change(self) -> tuple[str, str]:
        """From what to what; where only the amount differs, the second says which way."""
        after = self.after.what
        if after == self.before.what and self.difference:
            after = f"{after}, {'more' if self.difference > 0 else 'less'}"
        return self.before.what, after


@dataclass(frozen=True, slots=True)
class Sum:
    """Claims of one kind taken together, in minor units."""

    claims: int
    changed: int
    before: int
    after: int

    @property
    def difference(self) -> int:
        return self.after - self.before


def compare(
    orders: Iterable[Recalled], trial: Trial, real: Mapping[ClaimKey, End], since: datetime | None
) -> list[Compared]:
    """Every claim reported at `since` or later (all, without it), by order. Claims of the same orders that were
    reported before are tried with them, for the money that they leave, and not counted."""
    found: list[Compared] = []
    for order in orders:
        counted = [claim for claim in order.claims if since is None or claim.claim.reported_at >= since]
        if counted:
            tried = trial.of(order)
            found += [_compared(claim, tried, real) for claim in counted]
    return found


def _compared(claim: ClaimAdmitted, tried: Mapping[ClaimKey, End], real: Mapping[ClaimKey, End]) -> Compared:
    key = (claim.merchant, claim.order_id, claim.claim_id)
    nowhere = End("undecided")
    before, after = real.get(key, nowhere), tried.get(key, nowhere)
    return Compared(claim.claim_id, claim.order_id, claim.claim.reason, before, after)


def by_change(compared: Iterable[Compared]) -> dict[tuple[str, str], Sum]:
    """The changed claims by what they change from and to, those that move most money first."""
    groups: dict[tuple[str, str], list[Compared]] = {}
    for one in compared:
        if one.changed:
            groups.setdefault(one.change, []).append(one)
    sums = {change: add(group) for change, group in groups.items()}
    return dict(sorted(sums.items(), key=lambda each: (-abs(each[1].difference), -each[1].claims, each[0])))


def by_reason(compared: Iterable[Compared]) -> dict[str, Sum]:
    """All claims by their reason, in the order of the names."""
    groups: dict[str, list[Compared]] = {}
    for one in compared:
        groups.setdefault(one.reason, []).append(one)
    return {reason: add(groups[reason]) for reason in sorted(groups)}


def add(compared: Sequence[Compared]) -> Sum:
    """All of them together."""
    return Sum(
        len(compared),
        sum(one.changed for one in compared),
        sum(one.before.total for one in compared),
        sum(one.after.total for one in compared),
    )
