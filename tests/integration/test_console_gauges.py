"""What the console tells outside of its own pages: its metrics, and the way to a claim's traces."""

import json
import re
from collections import Counter
from pathlib import Path

from prometheus_client import REGISTRY

from services.console.handlers import Console
from shared import clock
from tests.conftest import MakeDatabase
from tests.console_desk import console
from tests.console_samples import day

PACKAGES = ["shared.bus", "services.console"]


def shown(name: str, **labels: str) -> float | None:
    """A sample of this process's metrics."""
    found: float | None = REGISTRY.get_sample_value(name, labels)
    return found


async def test_its_metrics_are_those_of_the_claims(make_database: MakeDatabase, tmp_path: Path) -> None:
    async with console(await make_database(PACKAGES), tmp_path) as desk:
        await desk.read(day(14).records)
        async with desk.pool.acquire() as conn:
            assert await Console().read_out(conn, [0], clock.now()) == 0.0
            states = Counter(row["state"] for row in await conn.fetch("SELECT state FROM claim"))
            stuck = await conn.fetchval("SELECT count(*) FROM claim WHERE stuck_ms IS NOT NULL")
            overdue = await conn.fetchval("SELECT count(*) FROM claim WHERE due_ms < extract(epoch FROM now()) * 1000")
            received = await conn.fetchval("SELECT n FROM counter WHERE name = 'reached:received'")
    assert {state: shown("makegood_claims", state=state) for state in states} == dict(states)
    assert shown("makegood_claims_reached_total", stage="received") == received
    assert shown("makegood_claims_stuck") == stuck
    assert (shown("makegood_claim_stuck_seconds") or 0) > 60 if stuck else shown("makegood_claim_stuck_seconds") == 0
    assert shown("makegood_claims_overdue") == overdue
    assert shown("makegood_unfolded_records") == 0


async def test_each_trace_of_a_claim_has_a_link(make_database: MakeDatabase, tmp_path: Path) -> None:
    where = "https://traces.example/trace/{trace_id}"
    async with console(await make_database(PACKAGES), tmp_path, console_trace_url=where) as desk:
        await desk.read(day(7).records)
        async with desk.browser("viewer") as viewer:
            case = json.loads((await viewer.get("/claims/gejet-mall/C-5", as_json=True)).text)["case"]
            page = (await viewer.get("/claims/gejet-mall/C-5")).text
    traces = list(dict.fromkeys(m["trace_id"] for m in case["timeline"] if m["mine"] and m["trace_id"]))
    assert traces
    assert case["trace_ids"] == traces
    assert re.findall(r'href="https://traces\.example/trace/([0-9a-f]{32})"', page) == traces


async def test_without_an_address_a_trace_is_no_link(make_database: MakeDatabase, tmp_path: Path) -> None:
    async with console(await make_database(PACKAGES), tmp_path) as desk:
        await desk.read(day(7).records)
        async with desk.browser("viewer") as viewer:
            case = json.loads((await viewer.get("/claims/gejet-mall/C-5", as_json=True)).text)["case"]
            page = (await viewer.get("/claims/gejet-mall/C-5")).text
    assert f"<code>{case['trace_ids'][0]}</code>" in page
    assert "{trace_id}" not in page
