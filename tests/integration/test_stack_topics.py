"""Topics on a real broker: created, altered, left alone, and never re-partitioned."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from typer.testing import CliRunner

from cli.main import app
from cli.stack import topics
from cli.stack.errors import StackError
from cli.stack.topics import TopicSpec
from tests.stack import Servers

DAY = "86400000"


@pytest.fixture
def specs(unique: str) -> list[TopicSpec]:
    configs = {"cleanup.policy": "delete", "retention.ms": DAY}
    return [TopicSpec(f"{unique}-{name}", 2, 1, configs) for name in ("a", "b")]


def changed(specs: Sequence[TopicSpec], **configs: str) -> list[TopicSpec]:
    named = {name.replace("_", "."): value for name, value in configs.items()}
    return [replace(spec, configs={**spec.configs, **named}) for spec in specs]


async def test_missing_ones_are_created_and_doing_it_again_changes_nothing(
    servers: Servers, specs: list[TopicSpec]
) -> None:
    assert [str(one) for one in await topics.diff(servers.kafka, specs)] == [
        f"{spec.name} is missing" for spec in specs
    ]
    assert [one.topic for one in await topics.apply(servers.kafka, specs)] == [spec.name for spec in specs]
    assert await topics.apply(servers.kafka, specs) == []
    assert await topics.diff(servers.kafka, specs) == []


async def test_two_that_create_at_once_do_not_disturb_each_other(servers: Servers, specs: list[TopicSpec]) -> None:
    await asyncio.gather(*(topics.apply(servers.kafka, specs) for _ in range(3)))
    assert await topics.diff(servers.kafka, specs) == []


async def test_configs_that_differ_are_set_and_what_an_operator_set_beside_them_stays(
    servers: Servers, specs: list[TopicSpec]
) -> None:
    await topics.apply(servers.kafka, specs)
    own = specs[0].name
    await set_config(servers.kafka, own, {**specs[0].configs, "segment.ms": "3600000"})
    wanted = changed(specs, retention_ms="172800000")
    assert [(one.member, one.found, one.wanted) for one in await topics.diff(servers.kafka, wanted)] == [
        ("retention.ms", DAY, "172800000")
    ] * 2
    await topics.apply(servers.kafka, wanted)
    assert await topics.diff(servers.kafka, wanted) == []
    beside = [replace(specs[0], configs={"segment.ms": "3600000"})]
    assert await topics.diff(servers.kafka, beside) == []


@pytest.mark.parametrize(
    ("member", "other"), [("partitions", {"partitions": 3}), ("replication factor", {"replication_factor": 2})]
)
async def test_other_partitions_or_replicas_are_refused_before_anything_is_changed(
    servers: Servers, specs: list[TopicSpec], member: str, other: dict[str, int]
) -> None:
    await topics.apply(servers.kafka, specs[:1])
    wanted = [replace(spec, **other) for spec in changed(specs, retention_ms="1")]  # type: ignore[arg-type]  # members by name
    with pytest.raises(StackError, match=rf"{specs[0].name}: {member} is \d, should be \d"):
        await topics.apply(servers.kafka, wanted)
    assert [str(one) for one in await topics.diff(servers.kafka, specs)] == [f"{specs[1].name} is missing"]


def test_the_command_shows_differences_by_exit_status_and_mends_them(
    servers: Servers, tmp_path: Path, unique: str
) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text(
        "partitions: 3\nreplication_factor: 1\ndefaults: {max.message.bytes: 1000}\ninputs: {}\ndead_letter_factor: 2\n"
        f"topics: [{{name: {unique}, read_by: [intake]}}]\n"
    )
    run = CliRunner()
    environment = {"MAKEGOOD_TOPICS": str(file)}
    differ = run.invoke(app, ["topics", "diff", "--kafka", servers.kafka], env=environment)
    assert (differ.exit_code, differ.output.splitlines()) == (
        1,
        [f"{unique} is missing", f"{unique}.intake.dlq is missing"],
    )
    applied = run.invoke(app, ["topics", "apply", "--kafka", servers.kafka], env=environment)
    assert (applied.exit_code, applied.output.splitlines()[:2]) == (
        0,
        [f"created {unique}", f"created {unique}.intake.dlq"],
    )
    assert run.invoke(app, ["topics", "diff", "--kafka", servers.kafka], env=environment).exit_code == 0


async def test_nobody_at_the_address_is_said(servers: Servers, specs: list[TopicSpec]) -> None:
    with pytest.raises(StackError, match=r"no Kafka answers at 127\.0\.0\.1:9"):
        await topics.diff("127.0.0.1:9", specs, limit=0.5)


async def set_config(kafka: str, topic: str, configs: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])
    finally:
        await admin.close()
