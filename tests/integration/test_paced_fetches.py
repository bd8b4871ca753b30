"""aiokafka's next fetch asks for what the pace says, and a real broker gathers."""

from itertools import pairwise

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


async def test_of_a_backlog_the_oldest_records_of_all_topics_come_first(servers: Servers, unique: str) -> None:
    claims, sellers = f"{unique}-claims", f"{unique}-sellers"
    stamps = {"message.timestamp.type": "LogAppendTime"}
    await topics.apply(servers.kafka, [TopicSpec(name, 2, 1, stamps) for name in (claims, sellers)])
    consumer = PacedConsumer(bootstrap_servers=servers.kafka, auto_offset_reset="earliest", fetch_max_wait_ms=100)
    async with AIOKafkaProducer(bootstrap_servers=servers.kafka, linger_ms=0) as producer, consumer:
        for number in range(40):
            many = producer.create_batch()
            for _ in range(50):
                many.append(key=None, value=b"%d" % number, timestamp=None)
            await (await producer.send_batch(many, claims, partition=number % 2))
            await producer.send_and_wait(sellers, b"%d" % number, partition=number % 2)
        consumer.assign([TopicPartition(name, lane) for name in (claims, sellers) for lane in (0, 1)])

        given: list[list[int]] = []
        for _ in range(200):
            found = await consumer.getmany(timeout_ms=100, max_records=300)
            assert all(lane.topic in (claims, sellers) for lane in found)
            if found:
                given.append([record.timestamp for records in found.values() for record in records])
            if sum(map(len, given)) == 40 * 51:
                break
        assert sum(map(len, given)) == 40 * 51
        assert all(len(stamps) <= 300 for stamps in given)
        # No poll has anything older than what an earlier one gave.
        assert all(max(before) <= min(after) for before, after in pairwise(given))
