"""Was every claim decided once? Read from the topics, as a payment system would."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition

from bench.topics import Topics, committed_records
from shared.events.topics import DECISIONS, REFUNDS


@dataclass(frozen=True, slots=True)
class Decided:
    """How often each claim was decided and each refund instructed, repeats of the same event included."""

    decisions: Counter[str]
    instructions: Counter[str]

    def wrong(self, expected: int, refunds: int) -> list[str]:
        """What is not as it should be; nothing where every claim was decided once and every refund instructed once."""
        found = []
        for what, counted, wanted in (
            ("claims decided", self.decisions, expected),
            ("refunds instructed", self.instructions, refunds),
        ):
            if len(counted) != wanted:
                found.append(f"{len(counted)} {what} instead of {wanted}")
            if more := counted.total() - len(counted):
                found.append(f"{more} {what} more than once")
        return found


async def decided(kafka: str, since: Mapping[TopicPartition, int]) -> Decided:
    """Read what was decided and instructed since these ends of both topics."""
    found: dict[str, Counter[str]] = {DECISIONS: Counter(), REFUNDS: Counter()}
    async with Topics.of(kafka) as topics:
        ends = await topics.ends(*found)
    for record in await committed_records(kafka, since, ends):
        _count(found[record.topic], record.headers, record.value)
    return Decided(found[DECISIONS], found[REFUNDS])


def _count(counter: Counter[str], headers: tuple[tuple[str, bytes], ...], value: bytes) -> None:
    type = next((one.decode() for name, one in headers if name == "ce_type"), "")
    if type in ("claim.decided.v1", "refund.instructed.v1"):
        data = json.loads(value)
        counter[data["refund_id"] if type == "refund.instructed.v1" else data["claim_id"]] += 1
