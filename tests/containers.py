"""The same servers as containers, on a machine with a Docker engine and the images."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict
from urllib.parse import quote

from cli.stack.kafka import MESSAGE_BYTES, SETTINGS

KAFKA_IMAGE = "apache/kafka:4.3.1"
POSTGRES_IMAGE = "postgres:18"
RYUK_IMAGE = "testcontainers/ryuk"
START_LIMIT = 90.0


class Outside(TypedDict, total=False):
    """What a plan is told of servers that run already."""

    kafka: str
    postgres: str


def containers_at_hand() -> bool:
    """Does an engine answer, and has it the images? Nothing is pulled."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=10)
        client.ping()
        for image in (KAFKA_IMAGE, POSTGRES_IMAGE):
            client.images.get(image)
    except (DockerException, OSError):
        return False
    return True


class Containers:
    """Kafka and Postgres for one set of servers."""

    def __init__(self) -> None:
        self._running: list[Any] = []

    def start(self) -> Outside:
        """Start both; what has started is stopped again when the other does not."""
        self._without_reaper_where_there_is_none()
        try:
            return {"kafka": self._kafka(), "postgres": self._postgres()}
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Remove both."""
        while self._running:
            self._running.pop().stop()

    def _kafka(self) -> str:
        # apache/kafka takes its settings from the environment; testcontainers' KafkaContainer is for Confluent's image.
        from testcontainers.core.container import DockerContainer

        host, port = "127.0.0.1", _free_port()
        names = {name: value for name, value in SETTINGS.items() if name != "message.max.bytes"}
        settings = {
            **names,
            "message.max.bytes": str(MESSAGE_BYTES),
            "controller.quorum.voters": "1@localhost:9093",
            # The broker talks to itself too (transaction markers), and cannot reach the port that is published outside.
            "inter.broker.listener.name": "INSIDE",
            "listener.security.protocol.map": "INSIDE:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listeners": "INSIDE://:19092,PLAINTEXT://:9092,CONTROLLER://:9093",
            "advertised.listeners": f"INSIDE://localhost:19092,PLAINTEXT://{host}:{port}",
        }
        container = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, port)
        for name, value in settings.items():
            container = container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
        container = container.with_env("KAFKA_HEAP_OPTS", "-Xms128m -Xmx512m")
        self._running.append(container)
        container.start()
        _until(lambda: _broker_answers(f"{host}:{port}"), "Kafka", container)
        return f"{host}:{port}"

    def _postgres(self) -> str:
        from testcontainers.core.container import DockerContainer

        port = _free_port()
        password = "test"
        container = (
            DockerContainer(POSTGRES_IMAGE)
            .with_bind_ports(5432, port)
            .with_env("POSTGRES_PASSWORD", password)
            .with_command("postgres -c max_connections=300")
        )
        self._running.append(container)
        container.start()
        dsn = f"postgresql://postgres:{quote(password)}@127.0.0.1:{port}/postgres"
        _until(lambda: _answers(dsn), "PostgreSQL", container)
        return dsn

    def _without_reaper_where_there_is_none(self) -> None:
        import docker
        from testcontainers.core.config import testcontainers_config

        if not any(RYUK_IMAGE in tag for image in docker.from_env().images.list() for tag in image.tags):
            testcontainers_config.ryuk_disabled = True


def _free_port() -> int:
    import random

    from cli.stack.ports import CHOICE, is_free

    return next(port for port in random.sample(CHOICE, 200) if is_free(port))


def _broker_answers(address: str) -> bool:
    """Docker's proxy takes connections before the broker does: only an answer counts."""
    import logging

    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    async def ask() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=5000)
        try:
            await admin.start()
        finally:
            await admin.close()

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        _beside(ask())
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        logging.getLogger("aiokafka").setLevel(logging.NOTSET)
    return True


def _answers(dsn: str) -> bool:

    import asyncpg

    async def connect() -> None:
        await (await asyncpg.connect(dsn, timeout=5)).close()

    try:
        _beside(connect())
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    return True


def _until(condition: Any, what: str, container: Any) -> None:
    import time

    until = time.monotonic() + START_LIMIT
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not answer within {START_LIMIT:.0f} s: {container.get_logs()}")
        time.sleep(0.1)


def _beside(asking: Coroutine[None, None, None]) -> None:
    """Run it in a loop of its own, also where the caller is inside a running one (a test that makes its own stack)."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, asking).result()
