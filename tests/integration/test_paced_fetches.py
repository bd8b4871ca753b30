"""aiokafka's next fetch asks for what the pace says, and a real broker gathers."""

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from cli.stack import topics
from cli.stack.topics import TopicSpec
from shared.bus import paced
from shared.bus.paced import PacedConsumer
from tests.stack import Servers


async def test_a_broker_gathers_for_a_busy_consumer_and_for_no_other(
    servers: Servers, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paced, "PACE_MS", 2000)
    lane = TopicPartition(unique, 0)
    await topics.apply(servers.kafka, [TopicSpec(unique, 1, 1, {})])
    consumer = PacedConsumer(bootstrap_servers=servers.kafka, auto_offset_reset="earliest", fetch_max_wait_ms=100)
    async with AIOKafkaProducer(bootstrap_servers=servers.kafka, linger_ms=0) as producer, consumer:
        many = producer.create_batch()
        for number in range(60):
            many.append(key=None, value=b"%d" % number, timestamp=None)
        await (await producer.send_batch(many, unique, partition=0))
        consumer.assign([lane])

        async def polled() -> list[bytes]:
            for _ in range(100):
                if found := await consumer.getmany(timeout_ms=100):
                    return [record.value for record in found[lane]]
            raise AssertionError("nothing came")

        assert len(await polled()) == 60
        await producer.send_and_wait(unique, b"a", partition=0)
        await producer.send_and_wait(unique, b"b", partition=0)
        assert await polled() == [b"a", b"b"]
        await producer.send_and_wait(unique, b"c", partition=0)
        assert await polled() == [b"c"]
