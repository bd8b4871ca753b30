"""How far each service is behind: end of its topics minus what its group has committed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence


async def lags(bootstrap: str, readers: Mapping[str, Sequence[str]], limit: float = 10.0) -> dict[str, int]:
    """Records not read yet, by consumer group, for the groups and topics of `readers`; raises OSError or TimeoutError when Kafka does not answer."""
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, request_timeout_ms=int(limit * 1000))
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=int(limit * 1000))
    try:
        async with asyncio.timeout(limit):
            await consumer.start()
            await admin.start()
            described = await admin.describe_topics(sorted({topic for topics in readers.values() for topic in topics}))
            lanes = {
                topic["topic"]: [TopicPartition(topic["topic"], partition["partition"]) for partition in topic["partitions"]]
                for topic in described
                if topic["error_code"] == 0
            }
            ends = await consumer.end_offsets([lane for topic in lanes.values() for lane in topic])
            starts = await consumer.beginning_offsets([lane for topic in lanes.values() for lane in topic])
            found = {}
            for group, topics in readers.items():
                committed = await admin.list_consumer_group_offsets(group)
                found[group] = sum(
                    max(0, ends[lane] - (committed[lane].offset if lane in committed else starts[lane]))
                    for topic in topics
                    for lane in lanes.get(topic, ())
                )
            return found
    except KafkaError as error:
        raise OSError(str(error)) from error
    finally:
        await consumer.stop()
        await admin.close()
