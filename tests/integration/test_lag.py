"""How far a group is behind, where the topic is written in transactions."""

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from cli.lag import lags
from cli.stack import topics
from cli.stack.topics import TopicSpec
from services.console.watch import Watch
from shared.bus.markers import without_records
from tests.stack import Servers


@pytest.fixture
async def lane(servers: Servers, unique: str) -> TopicPartition:
    await topics.apply(servers.kafka, [TopicSpec(f"{unique}-t", 2, 1, {})])
    return TopicPartition(f"{unique}-t", 0)


@pytest.fixture
async def producer(servers: Servers, unique: str) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(bootstrap_servers=servers.kafka, transactional_id=unique)
    await made.start()
    yield made
    await made.stop()


async def write(producer: AIOKafkaProducer, lane: TopicPartition, records: int, *, keep: bool = True) -> None:
    await producer.begin_transaction()
    for _ in range(records):
        await producer.send_and_wait(lane.topic, b"value", partition=lane.partition)
    await (producer.commit_transaction() if keep else producer.abort_transaction())


async def commit(servers: Servers, group: str, lane: TopicPartition, offset: int) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=servers.kafka, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([lane])
        await consumer.commit({lane: offset})
    finally:
        await consumer.stop()


async def test_markers_and_what_was_aborted_are_no_lag(
    servers: Servers, producer: AIOKafkaProducer, lane: TopicPartition, unique: str
) -> None:
    async def lag() -> int:
        return (await lags(servers.kafka, {unique: [lane.topic]}))[unique]

    await write(producer, lane, 2)  # offsets 0 and 1, a marker at 2
    assert await lag() == 3
    await commit(servers, unique, lane, 1)
    assert await lag() == 2, "one record, and the marker behind it"
    await commit(servers, unique, lane, 2)
    assert await lag() == 0, "the marker alone"
    await write(producer, lane, 3, keep=False)
    assert await lag() == 0, "and an aborted transaction"
    await write(producer, lane, 1)
    assert await lag() > 0
    await commit(servers, unique, lane, 8)
    assert await lag() == 0


async def test_the_page_looks_once_at_what_it_has_found_to_be_markers(
    servers: Servers, producer: AIOKafkaProducer, lane: TopicPartition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.console.watch.EXACTLY_ONCE_TOPIC", lane.topic)
    watch = Watch(None, servers.kafka, {}, 60.0)  # type: ignore[arg-type]  # asks the broker alone
    consumer = AIOKafkaConsumer(bootstrap_servers=servers.kafka, isolation_level="read_committed")
    await consumer.start()
    asked: list[dict[TopicPartition, tuple[int, int]]] = []

    async def counted(c: AIOKafkaConsumer, rests: dict[TopicPartition, tuple[int, int]]) -> set[TopicPartition]:
        asked.append(dict(rests))
        return await without_records(c, rests)

    monkeypatch.setattr("services.console.watch.without_records", counted)
    other = TopicPartition("elsewhere", 0)
    try:
        await write(producer, lane, 1)
        for rest, found in (((0, 2), set()), ((1, 2), {lane}), ((1, 2), {lane})):
            assert await watch._without_records(consumer, {lane: rest, other: (0, 5)}) == found
    finally:
        await consumer.stop()
    assert asked == [{lane: (0, 2)}, {lane: (1, 2)}]
