"""How long a service takes from the start of its process until it is ready: lanes claimed, consuming, publishing."""

import asyncio
import time
from typing import Final

from bench.stack import BenchStack
from bench.topics import TookTooLong
from cli.stack.readiness import condition
from cli.stack.replica import Replica

LIMIT: Final = 120.0
POLL: Final = 0.02


async def start_seconds(stack: BenchStack) -> dict[str, float]:
    """Seconds of each service by itself, then of all at once, which is when a machine of two cores is short. All run
    before and after. Raises TookTooLong."""
    replicas = stack.supervisor.replicas
    await stack.hold()
    found: dict[str, float] = {}
    for replica in replicas:
        found[replica.source] = await _started(replica)
    await stack.hold()
    found["all at once"] = max(await asyncio.gather(*(_started(replica) for replica in replicas)))
    await stack.supervisor.until_ready(LIMIT)
    return found


async def _started(replica: Replica) -> float:
    began = time.monotonic()
    replica.release()
    while replica.child is None or await condition(replica.state.health) != "ready":
        if time.monotonic() - began > LIMIT:
            raise TookTooLong(f"{replica.source} is not ready after {LIMIT:.0f} s")
        await asyncio.sleep(POLL)
    return round(time.monotonic() - began, 2)
