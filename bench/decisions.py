"""Was every claim decided once? Read from the topics, as a payment system would."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.topics import Topics
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
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="none"
    )
    found: dict[str, Counter[str]] = {DECISIONS: Counter(), REFUNDS: Counter()}
    async with Topics.of(kafka) as topics:
        ends = {lane: end for lane, end in (await topics.ends(*found)).items() if end > since[lane]}
    await consumer.start()
    try:
        consumer.assign(list(ends))
        for lane in ends:
            consumer.seek(lane, since[lane])
        while any([await consumer.position(lane) < end for lane, end in ends.items()]):
            for lane, records in (await consumer.getmany(timeout_ms=200)).items():
                for record in records:
                    _count(found[lane.topic], record.headers, record.value)
    finally:
        await consumer.stop()
    return Decided(found[DECISIONS], found[REFUNDS])


def _count(counter: Counter[str], headers: tuple[tuple[str, bytes], ...], value: bytes) -> None:
    type = next((one.decode() for name, one in headers if name == "ce_type"), "")
    if type in ("claim.decided.v1", "refund.instructed.v1"):
        data = json.loads(value)
        counter[data["refund_id"] if type == "refund.instructed.v1" else data["claim_id"]] += 1
