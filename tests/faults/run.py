"""`python -m tests.faults.run`: a workload, a nemesis, and the checker, by seed and for a time.

The same seed draws the same faults in the same order; a failing run prints the command that repeats it.
"""

import argparse
import asyncio
import contextlib
import logging
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from cli.stack.plan import SERVICES, ServiceSpec
from tests.e2e.test_many_claims import events_of
from tests.faults.checker import Verdict, as_text, check
from tests.faults.crashing import PROTECTIONS
from tests.faults.nemesis import QUICK, REPLICAS, SESSION_SECONDS, SLOW, Nemesis
from tests.faults.workload import Workload
from tests.stack import Message, Stack, eventually

WAVE = 300
WAVE_SECONDS = 2.0
RECOVERY_LIMIT = 120.0
REST_LIMIT = 240.0
# What shows the lack of each protection, and does so in seconds.
TELLING = {
    "fence": (("pause past the session",), ()),
    "inbox": (("crash at a point",), ("after_send",)),
    "transactional_position": (("crash at a point",), ("after_kafka_transaction",)),
    "row_lock": (("crash at a point",), ("hang_in_commit",)),
}


@dataclass
class Run:
    """One run's settings and what it measures."""

    seed: int
    seconds: float
    faults: Sequence[Sequence[str]] = (QUICK, SLOW)
    points: tuple[str, ...] = ()
    without: str = ""
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    decided: dict[str, float] = field(default_factory=dict)

    async def on(self, stack: Stack) -> tuple[Workload, Verdict]:
        """Break the stack for the time given, let it come to rest, and check it."""
        waves = int(self.seconds / WAVE_SECONDS)
        work = Workload.recorded(self.seed, f"f{uuid.uuid4().hex[:8]}", claims=waves * WAVE // 4)
        consumer = AIOKafkaConsumer("decisions.v1", bootstrap_servers=stack.kafka, auto_offset_reset="earliest")
        await consumer.start()
        watching = asyncio.create_task(self._watch(consumer))
        publishing = asyncio.create_task(self._publish(stack, work))
        until = time.monotonic() + self.seconds
        nemeses = [self._torment(stack, number, kinds, until) for number, kinds in enumerate(self.faults)]
        await asyncio.gather(*nemeses)
        await asyncio.wait_for(publishing, RECOVERY_LIMIT)
        await stack.ready(RECOVERY_LIMIT)
        await stack.quiet(REST_LIMIT)
        watching.cancel()
        return work, await check(stack, work)

    async def _torment(self, stack: Stack, number: int, kinds: Sequence[str], until: float) -> None:
        nemesis = Nemesis(stack, self.seed * 10 + number)
        if self.points:
            nemesis.points = self.points
        order = random.Random(self.seed * 10 + number)
        bag: list[str] = []
        while time.monotonic() < until:
            bag = bag or order.sample(list(kinds), len(kinds))
            name = bag.pop()
            began = time.monotonic()
            await nemesis.strike(name)
            claim = f"probe{uuid.uuid4().hex[:10]}"
            await publish_patiently(stack, list(events_of(0, claim)))
            await self._until_decided(f"{claim}-c0", name)
            self.recoveries[name].append(time.monotonic() - began)
            print(f"  {name:28} recovered after {self.recoveries[name][-1]:5.1f} s", flush=True)

    async def _until_decided(self, claim: str, fault: str) -> None:
        await eventually(lambda: claim in self.decided, RECOVERY_LIMIT, why=f"a claim went through after: {fault}")

    async def _publish(self, stack: Stack, work: Workload) -> None:
        for wave in work.waves(WAVE):
            began = time.monotonic()
            await publish_patiently(stack, wave)
            await asyncio.sleep(max(0.0, WAVE_SECONDS - (time.monotonic() - began)))

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        """Note when each claim's decision was there to be read."""
        try:
            while True:
                with contextlib.suppress(KafkaError):
                    for batch in (await consumer.getmany(timeout_ms=100)).values():
                        for record in batch:
                            subject = dict(record.headers).get("ce_subject", b"").decode()
                            self.decided.setdefault(subject, time.monotonic())
        finally:
            await consumer.stop()


async def publish_patiently(stack: Stack, messages: Sequence[Message]) -> None:
    """Publish, again from the start when the broker was away: repeats are what the inbox is for."""
    until = time.monotonic() + RECOVERY_LIMIT
    while True:
        try:
            await stack.publish(messages)
        except (KafkaError, OSError, TimeoutError):
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.5)
        else:
            return


def crashing_services() -> tuple[ServiceSpec, ...]:
    """The services, run with crash points."""
    return tuple(
        ServiceSpec(s.name, s.database, (sys.executable, "-m", "tests.faults.crashing", f"services.{s.database}"))
        for s in SERVICES
        if s.name != "console"
    )


def fault_stack(folder: Path, without: str = "") -> Stack:
    """A stack with two copies of every service, which notices a lost process after the shortest session."""
    folder.mkdir(parents=True, exist_ok=True)
    env = {
        "MAKEGOOD_SESSION_TIMEOUT_MS": str(SESSION_SECONDS * 1000),
        "MAKEGOOD_TEST_CRASHES": str(folder),
        "MAKEGOOD_TEST_WITHOUT": without,
    }
    return Stack(folder, replicas=REPLICAS, services=crashing_services(), env=env, kind="embedded")


def one(run: Run, folder: Path) -> Verdict:
    """Do one run on a stack of its own, print its figures, return the verdict."""
    stack = fault_stack(folder, run.without)
    try:
        work, verdict = asyncio.run(run.on(stack))
    finally:
        stack.close()
    faults = sum(len(times) for times in run.recoveries.values())
    print(f"seed {run.seed}: {faults} faults, {work.claims} claims, {len(work.messages)} records published")
    for name, times in sorted(run.recoveries.items()):
        print(
            f"  {name:28} {len(times):3} ×  recovery median {statistics.median(times):5.1f} s, most {max(times):5.1f} s"
        )
    print(as_text(verdict))
    return verdict


def main() -> int:
    """0 when all held (with --without: when the lack was noticed)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--without", choices=[*PROTECTIONS, "each"], help="take a protection away: it must be noticed")
    options = parser.parse_args()
    for noisy in ("aiokafka", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)  # that the broker goes away is the point here
    with tempfile.TemporaryDirectory(prefix="makegood-faults-") as folder:
        if options.without:
            missing = PROTECTIONS if options.without == "each" else (options.without,)
            unnoticed = [name for name in missing if not _noticed(name, options.seed, options.seconds, Path(folder))]
            print(f"not noticed: {', '.join(unnoticed)}" if unnoticed else "each lack was noticed")
            return 1 if unnoticed else 0
        verdict = one(Run(options.seed, options.seconds), Path(folder) / "stack")
    if verdict.wrong:
        print(f"repeat with: python -m tests.faults.run --seed {options.seed} --seconds {options.seconds:g}")
    return 1 if verdict.wrong else 0


def _noticed(name: str, seed: int, seconds: float, folder: Path) -> bool:
    kinds, points = TELLING[name]
    print(f"without the {name.replace('_', ' ')}:")
    try:
        return bool(one(Run(seed, seconds, (kinds, kinds), points, name), folder / name).wrong)
    except AssertionError as stuck:
        print(f"  noticed: {stuck}")
        return True


if __name__ == "__main__":
    sys.exit(main())
