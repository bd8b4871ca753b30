"""Scenarios that move the clock, through a running pipeline whose clock can be set forward.

All share the one clock: each act has its place on a time line that starts at 0, and the line is gone along once.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tests.scenarios.check import differences
from tests.scenarios.live import Heard, LiveRun
from tests.scenarios.play import Publish, Scenario, Wait, scenario
from tests.scenarios.seen import Claim
from tests.stack import eventually

CANARY: Final = "gejet-wrong-item"


@dataclass(slots=True)
class Moment:
    """One place of the time line: what has to have come about, what is published then, and which scenarios end."""

    until: list[tuple[Scenario, str]] = field(default_factory=list)
    acts: dict[str, list[Publish | Wait]] = field(default_factory=lambda: defaultdict(list))
    ending: list[Scenario] = field(default_factory=list)


def time_line(scenarios: list[Scenario]) -> dict[timedelta, Moment]:
    """The moments of all scenarios by the time since the start, ascending."""
    moments: dict[timedelta, Moment] = defaultdict(Moment)
    for each in scenarios:
        at = timedelta()
        for act in each.acts:
            if isinstance(act, Publish):
                moments[at].acts[each.id].append(act)
                continue
            at += act.by
            if act.until is not None:
                moments[at].until.append((each, act.until))
        moments[at].ending.append(each)
    return dict(sorted(moments.items()))


@dataclass(slots=True)
class TimedRun:
    """One play. `clock`: the file that sets the pipeline's time forward."""

    run: LiveRun
    clock: Path
    limit: float = 30.0
    canaries: int = 0

    async def play(self) -> dict[str, list[str]]:
        """What differs, by scenario: each is looked at when its own time line ends, until all holds or time is up."""
        wrong: dict[str, list[str]] = {}
        for at, moment in time_line(list(self.run.scenarios)).items():
            self.clock.write_text(str(int(at.total_seconds())), "ascii")
            await self._clock_seen(at)
            await self._until(list(_awaited(moment)))
            await self.run.turns(moment.acts)
            wrong |= await self._ended(moment.ending)
        return wrong

    async def _clock_seen(self, at: timedelta) -> None:
        """Services look at the clock now and then: wait until a claim of no importance is admitted and assessed so."""
        started = datetime.now(UTC) + at - timedelta(minutes=1)

        async def seen() -> bool:
            self.canaries += 1
            canary = scenario(CANARY, f"{self.run.scenarios[0].run}canary-{self.canaries}-")
            self.run.scenarios.append(canary)
            await self.run.publish((canary, act) for act in canary.acts)
            claim = (await self.run.hear()).claims.get(canary.claims["a"], Claim())
            told = [claim.admitted_at, *(assessed.since for assessed in claim.assessed)]
            return len(told) > 1 and all(instant is not None and instant >= started for instant in told)

        await eventually(seen, self.limit, why="the services see the clock")

    async def _until(self, awaited: list[tuple[tuple[str, str], str]]) -> None:
        async def there() -> bool:
            heard = await self.run.hear()
            return all(what in heard.claims.get(name, Claim()).where for name, what in awaited)

        if awaited:
            await eventually(there, self.limit, why=f"{awaited}")

    async def _ended(self, ending: list[Scenario]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}

        async def as_expected() -> bool:
            nonlocal found
            heard: Heard = await self.run.hear()
            judged = {each.id: differences(each, heard.claims, heard.dead[each.id]) for each in ending}
            found = {name: several for name, several in judged.items() if several}
            return not found

        if ending:
            try:
                await eventually(as_expected, self.limit)
            except AssertionError:
                return found
        return {}


def _awaited(moment: Moment) -> Iterator[tuple[tuple[str, str], str]]:
    for waiting, what in moment.until:
        yield waiting.claims["a"], what
