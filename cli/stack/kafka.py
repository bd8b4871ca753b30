"""One Kafka broker (KRaft, broker and controller in one process) on the loopback, from the jars of Maven Central."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from cli.stack import jars
from cli.stack.errors import StackError
from cli.stack.java import AOT_CACHE_SINCE, UNSAFE_FLAG_SINCE, Java
from cli.stack.ports import HOST, is_open
from cli.stack.process import Child, Identity, run_once

FORMAT_LIMIT = 120.0
START_LIMIT = 180.0
STOP_LIMIT = 45.0
HEAP_MB = 512
MESSAGE_BYTES = 4 * 1024 * 1024

LOG4J = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {file}
appender.file.filePattern = {file}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{ISO8601}} %p %c{{1}}: %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    # One node: nothing to replicate to.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "default.replication.factor": "1",
    # Few partitions for the broker's own topics: each costs files and start-up time.
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.num.partitions": "8",
    # Groups form at once, and a test may detect a dead member sooner than the usual 6 s.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # A broker that was killed is let in again when its former session has ended: sooner than the usual 9 s.
    "broker.session.timeout.ms": "5000",
    "broker.heartbeat.interval.ms": "500",
    "message.max.bytes": str(MESSAGE_BYTES),
    "replica.fetch.max.bytes": str(MESSAGE_BYTES),
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "4",
    "num.recovery.threads.per.data.dir": "2",
    # The default reserves 128 MB of heap for compacting the two topics of the broker's own.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    "controlled.shutdown.enable": "true",
    "transaction.max.timeout.ms": "900000",
}


class Kafka:
    """The embedded broker of one stack.

    Its records survive the broker's death, not the machine's: Kafka's usual settings leave the flushing to the system.
    """

    def __init__(self, *, folder: Path, logs: Path, cache: Path, java: Java, port: int, controller_port: int) -> None:
        self._folder = folder
        self._logs = logs
        self._cache = cache
        self._java = java
        self._port = port
        self._controller_port = controller_port
        self._child: Child | None = None
        self._last_lines: list[str] = []

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self._port}"

    @property
    def identity(self) -> Identity | None:
        return self._child.identity if self._child else None

    @property
    def child(self) -> Child | None:
        return self._child

    async def start(self, started: Callable[[Identity], None]) -> None:
        """Format the folder on first use, start, and return once the port answers.

        `started` is told the process at once.
        Raises StackError with the broker's last words.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        properties = self._write_settings()
        if not (self._folder / "data" / "meta.properties").exists():
            await self._format(properties)
        self._child = await Child.start(
            self._command("kafka.Kafka", properties, training=True),
            on_line=self._keep_line,
            env=self._env(),
            # Kafka is made to be killed; waiting for an orderly end could outlast whoever looks for leftovers.
            death_signal=signal.SIGKILL,
        )
        started(self._child.identity)
        await self._until_open(self._child)

    async def stop(self) -> None:
        """Stop in order, kill after the limit. The first run on a machine takes seconds longer, to write a cache."""
        if self._child is None:
            return
        await self._child.stop(signal.SIGTERM, STOP_LIMIT)
        self._child = None
        fresh = self._aot_cache(training=True)
        if fresh is not None and fresh.exists():
            fresh.replace(self._aot_cache_kept())

    async def _format(self, properties: Path) -> None:
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = self._command("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", properties)
        try:
            status, output = await run_once(command, limit=FORMAT_LIMIT, env=self._env())
        except TimeoutError:
            raise StackError(f"formatting Kafka's folder took more than {FORMAT_LIMIT:.0f} s") from None
        if status != 0:
            raise StackError(f"Kafka's folder {self._folder} could not be formatted:\n{output}")

    async def _until_open(self, child: Child) -> None:
        until = time.monotonic() + START_LIMIT
        while time.monotonic() < until:
            if child.returncode is not None:
                words = "\n".join(self._last_lines[-15:])
                raise StackError(
                    f"Kafka ended at once (status {child.returncode}); its log is {self._logs / 'kafka.log'}\n{words}"
                )
            if is_open(self._port):
                return
            await asyncio.sleep(0.05)
        raise StackError(
            f"Kafka did not open {self.address} within {START_LIMIT:.0f} s; its log is {self._logs / 'kafka.log'}"
        )

    def _write_settings(self) -> Path:
        settings = {
            **SETTINGS,
            "controller.quorum.voters": f"1@{HOST}:{self._controller_port}",
            "listeners": f"PLAINTEXT://{HOST}:{self._port},CONTROLLER://{HOST}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": str(self._folder / "data"),
        }
        file = self._folder / "server.properties"
        file.write_text("".join(f"{name}={_escaped(value)}\n" for name, value in settings.items()))
        log4j = LOG4J.format(file=_escaped(str(self._logs / "kafka.log")))
        (self._folder / "log4j2.properties").write_text(log4j)
        return file

    def _command(self, main: str, *arguments: str | Path, training: bool = False) -> list[str | Path]:
        options: list[str | Path] = ["-server", "-Xms128m", f"-Xmx{HEAP_MB}m", "-Djava.awt.headless=true"]
        if self._java.major >= UNSAFE_FLAG_SINCE:
            options += ["--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED"]
        options += ["-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:+ExitOnOutOfMemoryError"]
        if self._java.major >= AOT_CACHE_SINCE:
            fresh = self._aot_cache(training=training)
            if fresh is not None:
                options += [f"-XX:AOTCacheOutput={fresh}"]
            elif self._aot_cache_kept().exists():
                options += [f"-XX:AOTCache={self._aot_cache_kept()}"]
            options += ["-Xlog:aot=off", "-Xlog:aot+resolve=off", "-Xlog:cds=off"]
        options += [f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}"]
        return [self._java.program, *options, "-cp", jars.class_path(self._cache), main, *arguments]

    def _aot_cache(self, *, training: bool) -> Path | None:
        """Where this run writes the JVM's start-up cache (classes linked ahead: the port opens in 1.5 s, not in 4).

        None when there is one already, or when this is not the broker's own run.
        """
        if not training or self._java.major < AOT_CACHE_SINCE or self._aot_cache_kept().exists():
            return None
        return self._cache / f"kafka-{os.getpid()}.aot"

    def _aot_cache_kept(self) -> Path:
        key = hashlib.sha256(
            f"{self._java.program}{self._java.version}{jars.class_path(self._cache)}".encode()
        ).hexdigest()
        return self._cache / f"kafka-{jars.KAFKA_VERSION}-{key[:12]}.aot"

    def _env(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("JAVA_TOOL", "_JAVA", "JDK_JAVA"))
        }
        return {**inherited, "LC_ALL": "C"}

    def _keep_line(self, line: str) -> None:
        self._last_lines = [*self._last_lines[-40:], line]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")
