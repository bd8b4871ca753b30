"""Everything that is pruned in time is pruned at once, and then every event comes again: it acts no second time."""

import asyncpg
import pytest

from tests.conftest import MakeStack
from tests.e2e.test_recover import HASTY, SERVICES, Pipeline
from tests.faults.evidence import gather
from tests.stack import Received, eventually

AT_ONCE = {
    "MAKEGOOD_KEEP_SEEN_DAYS": "0",
    "MAKEGOOD_KEEP_HISTORY_DAYS": "0",
    "MAKEGOOD_KEEP_LETTERS_DAYS": "0",
    "MAKEGOOD_SWEEP_SECONDS": "0.2",
}
SAID_ONCE = ("assessments.v1", "decisions.v1", "refunds.v1", "notifications.v1")
DOOR = ("claim.admitted.v1", "claim.refused.v1", "claim.parked.v1")


@pytest.mark.timeout(400)
async def test_what_comes_after_it_was_forgotten_has_no_effect(make_stack: MakeStack) -> None:
    pipeline = Pipeline(make_stack(env=HASTY | AT_ONCE), seed=11)
    await pipeline.wave()
    await pipeline.wave()
    await pipeline.rest()
    await eventually(lambda: forgotten(pipeline), 60, every=0.3, why="all that can be pruned is pruned")
    before = await said(pipeline)
    assert before["refunds.v1"]
    assert {one[0] for one in before["admissions.v1"]} >= set(DOOR)
    mails = sorted(file.name for file in pipeline.stack.mail.glob("*.eml"))

    for wave in pipeline.waves:
        await pipeline.stack.publish(wave)
    await pipeline.settle_again()
    await pipeline.rest()
    after = await said(pipeline)
    assert after == before
    assert sorted(file.name for file in pipeline.stack.mail.glob("*.eml")) == mails


async def forgotten(pipeline: Pipeline) -> bool:
    left = 0
    for service in SERVICES:
        conn = await asyncpg.connect(pipeline.stack.dsn(service), timeout=15)
        try:
            left += int(await conn.fetchval("SELECT count(*) FROM history"))
            if service == "intake":
                left += int(await conn.fetchval("SELECT count(*) FROM seen"))
        finally:
            await conn.close()
    return left == 0


async def said(pipeline: Pipeline) -> dict[str, list[tuple[str, str, bytes]]]:
    """What was said on each topic: type, id and data. Of what intake passes on, only what it says itself: its readers
    know an answer that is passed on again."""
    found = await gather(pipeline.stack)
    topics: dict[str, list[Received]] = {topic: found.topics[topic] for topic in SAID_ONCE}
    topics["admissions.v1"] = [one for one in found.topics["admissions.v1"] if one.type in DOOR]
    return {topic: sorted((r.type, r.id, r.value or b"") for r in records) for topic, records in topics.items()}
