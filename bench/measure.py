"""One measured run: load poured in, decisions counted as they come out, CPU and memory by process."""

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.load import Loader, Slice
from bench.machine import Meter, machine_seconds
from bench.topics import TookTooLong, Topics

POLL = 0.1
SETTLED = 0.5
"""Seconds without a new decision after which the last one has come."""
SLACK = 16
"""Decisions that may be missing where a way counts its outputs by lane."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What goes in where, and what is expected to come out."""

    decisions: str
    inputs: Sequence[str]
    claims: int
    expected: int
    slices: Sequence[Slice]
    window: int


@dataclass(slots=True)
class Run:
    """What a run came to. CPU is in µs per claim, by process; `others`: the cores that the rest of the machine took."""

    way: str
    claims: int
    seconds: float
    per_second: float
    cpu_us: dict[str, float]
    peak_mb: dict[str, float]
    others: float
    left: dict[str, float] = field(default_factory=dict)

    @property
    def cpu_us_in_all(self) -> float:
        return round(sum(us for name, us in self.cpu_us.items() if name not in NOT_COUNTED), 1)


NOT_COUNTED = ("load generator", "mail sink")
"""Processes that are the measurement's own or stand for somebody else's."""


async def timed(
    way: str, flow: Flow, topics: Topics, loader: Loader, pids: Mapping[str, int], own: int, limit: float
) -> Run:
    """Pour the load in and wait for the last decision. Raises TookTooLong after `limit` seconds.

    The seconds run from the first input to the last decision, both by the broker's clock.
    """
    since = {name: await topics.ends(name) for name in (*flow.inputs, flow.decisions)}
    base = sum(since[flow.decisions].values())
    meter = Meter({**pids, "load generator": own})
    busy_before = machine_seconds()
    meter.start()
    started = time.monotonic()

    async def done() -> float:
        return (await topics.count(flow.decisions) - base) * flow.claims / flow.expected

    pouring = asyncio.create_task(loader.pour(flow.slices, done, flow.window))
    try:
        spent, seconds_here = await _until_last(flow, topics, base, meter, started, limit)
        busy = machine_seconds() - busy_before
    finally:
        meter.stop()
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)
    first = [span.first_ms for name in flow.inputs if (span := await topics.span(name, since[name])).records]
    last = (await topics.span(flow.decisions, since[flow.decisions])).last_ms
    seconds = (last - min(first)) / 1000
    return Run(
        way,
        flow.claims,
        round(seconds, 3),
        round(flow.claims / seconds, 1),
        {name: round(cpu / flow.claims * 1e6, 1) for name, cpu in spent.items()},
        meter.peak_mb,
        round(max(0.0, busy - sum(spent.values())) / seconds_here, 2),
    )


async def _until_last(
    flow: Flow, topics: Topics, base: int, meter: Meter, started: float, limit: float
) -> tuple[dict[str, float], float]:
    """CPU seconds by process and wall seconds at the last decision."""
    seen, changed = -1, time.monotonic()
    spent: dict[str, float] = {}
    while True:
        count = await topics.count(flow.decisions) - base
        now = time.monotonic()
        if count != seen:
            seen, changed = count, now
            # Looking at every process costs too much to be done at each step.
            spent = meter.spent() if count >= flow.expected - SLACK else spent
        if count >= flow.expected - SLACK and now - changed > SETTLED:
            return spent, changed - started
        if now - started > limit:
            raise TookTooLong(f"{count} of {flow.expected} decisions after {limit:.0f} s")
        await asyncio.sleep(POLL)


def middle(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {"median": round(statistics.median(values), 3), "min": min(values), "max": max(values)}
