"""Empties the read model, so that the next start folds it from the topics again. What people did stays."""

import asyncio

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError

from services.console.handlers import Console
from services.console.store import READ_MODEL

_LIMIT = 30.0


class Running(Exception):  # noqa: N818 - read as a sentence
    """A console works on the database: it would go on from where it stands, on an empty read model."""


async def rebuild(database: str, kafka: str) -> tuple[str, ...]:
    """Empty the read model's tables and the positions in the topics; returns the tables. Sessions, audit, resolutions
    and the numbers of emitted events stay. Run again after a failure, it finishes.

    Raises:
        Running: a console is connected.
        OSError, TimeoutError, KafkaError: a server does not answer, or Kafka keeps counting a member.
    """
    conn: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        database, timeout=30, server_settings={"application_name": "rebuild"}
    )
    try:
        await _check_alone(conn)
        # Kafka first: a service refuses to start on a database that is behind what Kafka was told.
        await _tell_kafka(kafka, Console.name)
        async with conn.transaction():
            # One that starts now waits here, and then finds itself at the beginning.
            await conn.execute("LOCK TABLE lane, position IN ACCESS EXCLUSIVE MODE")
            await _check_alone(conn)
            await conn.execute(f"TRUNCATE {', '.join(READ_MODEL)}")
            await conn.execute("DELETE FROM position")
            await conn.execute("DELETE FROM inbox_mark")
    finally:
        await conn.close()
    return READ_MODEL


async def _check_alone(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    n = await conn.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'console-%'"
    )
    if n:
        raise Running("a console is running on this database: stop it first")


async def _tell_kafka(kafka: str, group: str) -> None:
    """Set the group's positions to the beginning: one that stayed would keep the console from starting."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    try:
        async with asyncio.timeout(_LIMIT):
            await admin.start()
            await consumer.start()
            while told := await _told(admin, group):
                consumer.assign(told)
                try:
                    await consumer.commit(dict.fromkeys(told, 0))
                except CommitFailedError:
                    # A console that was killed counts as a member until its session has ended.
                    await asyncio.sleep(0.5)
    finally:
        await consumer.stop()
        await admin.close()


async def _told(admin: AIOKafkaAdminClient, group: str) -> list[TopicPartition]:
    return [tp for tp, at in (await admin.list_consumer_group_offsets(group)).items() if at.offset > 0]
