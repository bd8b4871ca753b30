"""The table through a running pipeline: all scenarios side by side, one act of each at a time, read from the topics."""

import contextlib
import json
import time
from bisect import bisect
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from cli.reading import Seen, Topics
from cli.rest import Rest
from shared.events.topics import OUTPUT_TOPICS, dlq_topics
from tests.scenarios.play import SOURCE, Publish, Scenario, Wait
from tests.scenarios.seen import RANK, Claim, Dead
from tests.stack import Message

LIMIT: Final = 60.0
"""Seconds that a turn may take."""
OUTPUTS: Final = tuple(topic for topic in OUTPUT_TOPICS if topic in RANK)


class Running(Protocol):
    """What a running pipeline has to offer."""

    @property
    def kafka(self) -> str: ...

    async def publish(self, messages: Iterable[Message]) -> None: ...


@dataclass(slots=True)
class Heard:
    """What came out, by claim, and the dead letters by scenario."""

    claims: dict[tuple[str, str], Claim] = field(default_factory=dict)
    dead: dict[str, list[Dead]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True)
class LiveRun:
    """One play on a pipeline: `async with LiveRun.on(pipeline, scenarios) as run`. `ends`: when each turn had come to
    rest, in milliseconds."""

    pipeline: Running
    scenarios: list[Scenario]
    topics: Topics
    rest: Rest
    ends: list[int] = field(default_factory=list)
    records: list[Seen] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def on(cls, pipeline: Running, scenarios: list[Scenario]) -> AsyncIterator["LiveRun"]:
        """Listen from now on."""
        async with (
            Topics.open(pipeline.kafka, (*OUTPUTS, *dlq_topics())) as topics,
            Rest.open(pipeline.kafka) as rest,
        ):
            yield cls(pipeline, scenarios, topics, rest)

    async def play(self) -> Heard:
        """Publish the first act of every scenario, wait until the pipeline has come to rest, then the second …"""
        await self.turns({each.id: each.acts for each in self.scenarios})
        return await self.hear()

    async def turns(self, acts: Mapping[str, Sequence[Publish | Wait]]) -> None:
        """Publish acts by scenario, one of each at a time."""
        for turn in range(max((len(several) for several in acts.values()), default=0)):
            now = {name: several[turn] for name, several in acts.items() if turn < len(several)}
            await self.publish((each, now[each.id]) for each in self.scenarios if each.id in now)

    async def publish(self, acts: Iterable[tuple[Scenario, Publish | Wait]]) -> None:
        """Publish acts, and wait until the pipeline has come to rest."""
        messages: list[Message] = []
        heard: Heard | None = None
        for scenario, act in acts:
            assert isinstance(act, Publish), f"{scenario.id} moves the clock"
            if act.settles is not None and heard is None:
                heard = await self.hear()
            messages += [self._message(act, scenario, heard.claims if heard else {})] * act.times
        await self.pipeline.publish(messages)
        await self.rest.until_quiet(LIMIT)
        self.ends.append(round(time.time() * 1000))

    def _message(self, act: Publish, scenario: Scenario, heard: Mapping[tuple[str, str], Claim]) -> Message:
        data = dict(act.data)
        if act.settles is not None:
            label, number = act.settles
            refunds = [each.refund for each in heard[scenario.claims[label]].decided if each.refund]
            data["refund_id"] = refunds[number - 1 if number else -1].refund_id
        headers = {
            "ce_specversion": "1.0",
            "ce_type": act.type,
            "ce_id": act.id,
            "ce_source": SOURCE,
            "content-type": "application/json",
        }
        return Message(
            act.topic,
            json.dumps(data, ensure_ascii=False).encode(),
            act.key.encode(),
            tuple((name, text.encode()) for name, text in headers.items()),
        )

    def _place(self, one: Seen) -> tuple[int, int, int, int]:
        return (bisect(self.ends, one.timestamp_ms), RANK[one.topic], one.timestamp_ms, one.offset)

    async def hear(self) -> Heard:
        """All that the pipeline has said so far about these scenarios.

        Services write side by side, so that within a turn an assessment may get the later time though the decision is
        what ended it (a review that waited for its claim is decided before eligibility has heard of it).
        """
        heard = Heard()
        names = {name for scenario in self.scenarios for name in scenario.claims.values()}
        self.records += [one async for one in self.topics.to_the_end(LIMIT)]
        dead = [one for one in self.records if "dlq_reason" in one.headers]
        for one in sorted((one for one in self.records if one.topic in RANK), key=self._place):
            data = one.data or {}
            name = (str(data.get("merchant")), str(data.get("claim_id")))
            if name in names:
                heard.claims.setdefault(name, Claim()).hear(one.type, one.value or b"")
        by_event = {act.id: each.id for each in self.scenarios for act in each.acts if isinstance(act, Publish)}
        by_order = {order: each.id for each in self.scenarios for order in each.orders}
        for one in dead:
            scenario = by_event.get(one.id) or by_order.get(str((one.data or {}).get("order_id")))
            if scenario is not None:
                heard.dead[scenario].append(_dead(one))
        return heard


def _dead(one: Seen) -> Dead:
    return Dead(one.header("dlq_topic"), one.header("dlq_service"), one.header("dlq_reason"), one.header("dlq_path"))
