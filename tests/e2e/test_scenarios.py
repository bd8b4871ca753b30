"""The table of scenarios through the running pipeline: real Kafka, real Postgres, all services."""

import pytest

from tests.conftest import MakeStack
from tests.scenarios.check import differences
from tests.scenarios.deadlines import TimedRun
from tests.scenarios.live import LiveRun
from tests.scenarios.play import scenarios
from tests.stack import Stack


@pytest.mark.timeout(300)
async def test_every_scenario_ends_as_its_row_says(stack: Stack, unique: str) -> None:
    table = [scenario for scenario in scenarios(f"{unique}-") if not scenario.moves_the_clock]
    async with LiveRun.on(stack, table) as run:
        heard = await run.play()
    wrong = {
        f"{each.id} ({each.says}) {list(each.clauses)}": found
        for each in table
        if (found := differences(each, heard.claims, heard.dead[each.id]))
    }
    told = "\n".join(f"{name}\n    " + "\n    ".join(found) for name, found in wrong.items())
    assert not wrong, f"{len(wrong)} of {len(table)} scenarios differ:\n{told}"


@pytest.mark.timeout(300)
async def test_every_scenario_that_takes_days_ends_as_its_row_says(make_stack: MakeStack, unique: str) -> None:
    """On a stack of its own, since its clock is set forward."""
    stack = make_stack()
    table = [scenario for scenario in scenarios(f"{unique}-") if scenario.moves_the_clock]
    assert len(table) >= 15
    async with LiveRun.on(stack, table) as run:
        wrong = await TimedRun(run, stack.plan.data.clock).play()
    assert wrong == {}
