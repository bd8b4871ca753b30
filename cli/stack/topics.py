"""The topics as deploy/topics.yaml wants them, and a broker made to match."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from cli.stack.errors import StackError

FILE: Final = Path(__file__).resolve().parents[2] / "deploy" / "topics.yaml"
REQUEST_MS: Final = 30_000
ALREADY_EXISTS: Final = 36
SET_ON_TOPIC: Final = 1


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as it should be."""

    name: str
    partitions: int
    replication_factor: int
    configs: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a broker departs from a spec.

    `member` is "topic" (missing), "partitions", "replication factor" or a config's name.
    """

    topic: str
    member: str
    wanted: str
    found: str | None

    @property
    def repairable(self) -> bool:
        """Can `apply` mend it? Partitions and replicas of a topic that is there stay as they are."""
        return self.member not in ("partitions", "replication factor")

    def __str__(self) -> str:
        if self.member == "topic":
            return f"{self.topic} is missing"
        return f"{self.topic}: {self.member} is {self.found}, should be {self.wanted}"


def load(
    file: Path | None = None, *, partitions: int | None = None, replication_factor: int | None = None
) -> list[TopicSpec]:
    """All topics of the file (default: MAKEGOOD_TOPICS, otherwise deploy/topics.yaml), dead letters included.

    `partitions` and `replication_factor` win over MAKEGOOD_TOPICS_PARTITIONS and MAKEGOOD_TOPICS_REPLICATION, and those
    over the file.
    Raises StackError when the file does not say what it should.
    """
    import yaml

    path = file or Path(os.environ.get("MAKEGOOD_TOPICS") or FILE)
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
        lanes = partitions or int(os.environ.get("MAKEGOOD_TOPICS_PARTITIONS") or content["partitions"])
        replicas = replication_factor or int(
            os.environ.get("MAKEGOOD_TOPICS_REPLICATION") or content["replication_factor"]
        )
        specs = []
        for entry in content["topics"]:
            configs = {**content["defaults"], **(content["inputs"] if entry.get("input") else {})}
            size = int(configs["max.message.bytes"]) * int(content["dead_letter_factor"])
            names = {entry["name"]: configs}
            names |= {
                f"{entry['name']}.{service}.dlq": {**configs, "max.message.bytes": size} for service in entry["read_by"]
            }
            kept = str(max(1, replicas - 1))
            specs += [
                TopicSpec(
                    name,
                    lanes,
                    replicas,
                    {"min.insync.replicas": kept, **{key: _text(value) for key, value in wanted.items()}},
                )
                for name, wanted in names.items()
            ]
    except OSError as error:
        raise StackError(f"cannot read the topics' file: {error}; name one with MAKEGOOD_TOPICS") from error
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise StackError(f"{path} is not a topics' file: {error!r}") from error
    return specs


async def diff(bootstrap: str, specs: Sequence[TopicSpec], limit: float = 30.0) -> list[Difference]:
    """Compare; raises StackError when the broker cannot be reached within `limit` seconds."""
    async with _Admin(bootstrap, limit) as admin:
        return await admin.differences(specs)


async def apply(bootstrap: str, specs: Sequence[TopicSpec], limit: float = 30.0) -> list[Difference]:
    """Create what is missing, alter what differs, and return what was mended.

    Raises StackError when the broker cannot be reached, refuses, or a topic has other partitions than the file says.
    """
    by_name = {spec.name: spec for spec in specs}
    async with _Admin(bootstrap, limit) as admin:
        found = await admin.differences(specs)
        fixed = [one for one in found if not one.repairable]
        if fixed:
            raise StackError(
                "; ".join(map(str, fixed))
                + ". The partitions of a topic that is in use cannot be changed: a claim's state lives in its lane. "
                "Use the number that the topics have, or new topics"
            )
        await admin.create([by_name[one.topic] for one in found if one.member == "topic"])
        await admin.alter(
            [by_name[name] for name in dict.fromkeys(one.topic for one in found if one.member != "topic")]
        )
        left = await admin.differences(specs)
        until = time.monotonic() + limit
        while left and time.monotonic() < until:
            await asyncio.sleep(0.05)
            left = await admin.differences(specs)
        if left:
            raise StackError("the broker took the changes but does not show them: " + "; ".join(map(str, left)))
        return found


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def warm_up(bootstrap: str, limit: float = 30.0) -> None:
    """Have the broker make its own topics for groups and transactions now, not under the first service that asks."""
    from aiokafka.errors import KafkaError

    async with _Admin(bootstrap, limit) as admin:
        until = time.monotonic() + limit
        for kind in (0, 1):
            while True:
                try:
                    await admin.coordinator(kind)
                    break
                except KafkaError as error:
                    if time.monotonic() > until:
                        raise StackError(f"Kafka at {bootstrap} finds no coordinator: {error}") from error
                    await asyncio.sleep(0.05)


class _Entry(NamedTuple):
    value: str
    of_topic: bool


class _Admin:
    def __init__(self, bootstrap: str, limit: float) -> None:
        from aiokafka.admin import AIOKafkaAdminClient

        self._bootstrap = bootstrap
        self._limit = limit
        self._client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=REQUEST_MS)

    async def __aenter__(self) -> _Admin:
        from aiokafka.errors import KafkaError

        until = time.monotonic() + self._limit
        while True:
            try:
                await self._client.start()
            except (KafkaError, OSError) as error:
                if time.monotonic() > until:
                    await self._client.close()
                    raise StackError(f"no Kafka answers at {self._bootstrap}: {error}") from error
                await asyncio.sleep(0.1)
            else:
                return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def differences(self, specs: Sequence[TopicSpec]) -> list[Difference]:
        described = await self._client.describe_topics(None)
        there = {topic["topic"]: topic["partitions"] for topic in described if topic["error_code"] == 0}
        configs = await self._configs([spec.name for spec in specs if spec.name in there])
        found: list[Difference] = []
        for spec in specs:
            if spec.name not in there:
                found.append(Difference(spec.name, "topic", "there", None))
                continue
            partitions = there[spec.name]
            replicas = min((len(partition["replicas"]) for partition in partitions), default=0)
            for member, wanted, has in (
                ("partitions", spec.partitions, len(partitions)),
                ("replication factor", spec.replication_factor, replicas),
            ):
                if wanted != has:
                    found.append(Difference(spec.name, member, str(wanted), str(has)))
            shown = {key: entry.value for key, entry in configs.get(spec.name, {}).items()}
            found += [
                Difference(spec.name, key, value, shown.get(key))
                for key, value in spec.configs.items()
                if shown.get(key) != value
            ]
        return found

    async def _configs(self, topics: Sequence[str]) -> dict[str, dict[str, _Entry]]:
        from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

        if not topics:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
        return {
            topic: {key: _Entry(value, source == SET_ON_TOPIC) for key, value, _, source, *_ in entries}
            for answer in await self._client.describe_configs(resources)
            for _, _, _, topic, entries in answer.resources
        }

    async def coordinator(self, kind: int) -> None:
        await self._client.find_coordinator("warm-up", kind)

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        from aiokafka.admin import NewTopic

        if not specs:
            return
        new = [
            NewTopic(spec.name, spec.partitions, spec.replication_factor, topic_configs=dict(spec.configs))
            for spec in specs
        ]
        answer = await self._client.create_topics(new)
        for name, code, *message in answer.topic_errors:
            # Somebody else making it at the same time is as good.
            if code not in (0, ALREADY_EXISTS):
                raise StackError(f"the broker does not create {name}: {message[0] if message else f'error {code}'}")

    async def alter(self, specs: Sequence[TopicSpec]) -> None:
        from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

        if not specs:
            return
        # The request replaces all that is set on a topic: what an operator set beside our configs stays.
        present = await self._configs([spec.name for spec in specs])
        resources = []
        for spec in specs:
            others = {key: entry.value for key, entry in present.get(spec.name, {}).items() if entry.of_topic}
            resources.append(ConfigResource(ConfigResourceType.TOPIC, spec.name, {**others, **spec.configs}))
        for answer in await self._client.alter_configs(resources):
            for code, message, _, name in answer.resources:
                if code != 0:
                    raise StackError(f"the broker does not alter {name}: {message or f'error {code}'}")
