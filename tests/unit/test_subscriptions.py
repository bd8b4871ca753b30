"""Every service's subscriber has its delivery settings stated: FastStream's defaults would lose messages."""

import importlib
from typing import Any, cast

import pytest
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faststream import AckPolicy

from shared.bus.host import Host
from shared.bus.pipeline import Pipeline, Service
from shared.events.topics import INPUT_TOPICS, READERS
from shared.settings import Settings

SERVICES = ("intake", "eligibility", "refund_calculation", "notification")


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Service:
    app = importlib.import_module(f"services.{request.param}.app")
    return cast(Service, app.build())


async def test_subscriber_settings_are_the_safe_ones(service: Service) -> None:
    host = Host(service, cast(Pipeline, None), Settings())
    subscriber: Any = host.subscriber
    assert subscriber.ack_policy is AckPolicy.MANUAL, "ack first would lose a batch in a crash"
    assert subscriber.group_id == service.name
    assert subscriber.batch_timeout_ms == Settings().poll_ms
    assert subscriber.max_records == Settings().batch_records
    consumer = subscriber._connection_args
    assert consumer["auto_offset_reset"] == "earliest", "latest would skip what came before the first start"
    assert consumer["isolation_level"] == "read_committed"
    assert consumer["partition_assignment_strategy"] == [RangePartitionAssignor], "lanes need co-assignment"
    assert consumer.get("enable_auto_commit") is False
    assert {getattr(t, "name", t) for t in subscriber.topics} == set(READERS[service.name])
    assert len(host.broker.subscribers) == 1


def test_foreign_are_the_inputs_alone(service: Service) -> None:
    foreign = set(service.topics) & set(INPUT_TOPICS)
    assert service.foreign >= foreign
    assert not (service.foreign - set(INPUT_TOPICS)), "numbers replace the inbox on all topics of our own"
