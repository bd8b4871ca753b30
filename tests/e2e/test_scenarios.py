"""The table of scenarios through the running pipeline: real Kafka, real Postgres, all services."""

import pytest

from tests.scenarios.check import differences
from tests.scenarios.live import LiveRun
from tests.scenarios.play import scenarios
from tests.stack import Stack


@pytest.mark.timeout(300)
async def test_every_scenario_ends_as_its_row_says(stack: Stack, unique: str) -> None:
    table = [scenario for scenario in scenarios(f"{unique}-") if scenario.live]
    run = LiveRun(stack, table)
    heard = await run.play()
    wrong = {
        f"{each.id} ({each.says}) {list(each.clauses)}": found
        for each in table
        if (found := differences(each, heard.claims, heard.dead[each.id]))
    }
    told = "\n".join(f"{name}\n    " + "\n    ".join(found) for name, found in wrong.items())
    assert not wrong, f"{len(wrong)} of {len(table)} scenarios differ:\n{told}"
