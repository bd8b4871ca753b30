"""The table through a running pipeline: all scenarios side by side, one act of each at a time, read from the topics."""

import json
import time
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from cli.reading import Seen, all_of
from cli.rest import Rest
from shared.events.topics import OUTPUT_TOPICS, dlq_topics
from tests.scenarios.play import SOURCE, Publish, Scenario
from tests.scenarios.seen import RANK, Claim, Dead
from tests.stack import Message

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
    """One play of the table. `run` sets its ids apart from those of other runs on the same topics."""

    pipeline: Running
    scenarios: list[Scenario]
    ends: list[int] = field(default_factory=list)
    """When each turn had come to rest, in milliseconds."""

    async def play(self, limit: float = 60.0) -> Heard:
        """Publish the first act of every scenario, wait until the pipeline has come to rest, then the second …"""
        longest = max(len(scenario.acts) for scenario in self.scenarios)
        async with Rest.open(self.pipeline.kafka) as rest:
            for turn in range(longest):
                await self._turn(turn)
                await rest.until_quiet(limit)
                self.ends.append(round(time.time() * 1000))
        return await self.hear()

    async def _turn(self, turn: int) -> None:
        acts = [(each, each.acts[turn]) for each in self.scenarios if turn < len(each.acts)]
        settling = any(isinstance(act, Publish) and act.settles is not None for _, act in acts)
        heard = await self.hear() if settling else Heard()
        messages = []
        for scenario, act in acts:
            assert isinstance(act, Publish), f"{scenario.id} moves the clock"
            messages += [self._message(act, scenario, heard.claims)] * act.times
        await self.pipeline.publish(messages)

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
        records = await all_of(self.pipeline.kafka, OUTPUTS)
        for one in sorted(records, key=self._place):
            data = one.data or {}
            name = (str(data.get("merchant")), str(data.get("claim_id")))
            if name in names:
                heard.claims.setdefault(name, Claim()).hear(one.type, one.value or b"")
        by_event = {act.id: each.id for each in self.scenarios for act in each.acts if isinstance(act, Publish)}
        by_order = {order: each.id for each in self.scenarios for order in each.orders}
        for one in await all_of(self.pipeline.kafka, dlq_topics()):
            scenario = by_event.get(one.id) or by_order.get(str((one.data or {}).get("order_id")))
            if scenario is not None:
                heard.dead[scenario].append(_dead(one))
        return heard


def _dead(one: Seen) -> Dead:
    return Dead(one.header("dlq_topic"), one.header("dlq_service"), one.header("dlq_reason"), one.header("dlq_path"))
