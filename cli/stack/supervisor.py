"""Starts a whole stack (Kafka, PostgreSQL, SMTP, topics, services), keeps it running, and stops all of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import time
from collections.abc import Callable
from typing import Protocol

from cli.stack import java, topics
from cli.stack.errors import StackError
from cli.stack.folders import cache_folder
from cli.stack.kafka import Kafka
from cli.stack.leftovers import stop_leftovers
from cli.stack.output import LogFile
from cli.stack.plan import CONSOLE, Plan
from cli.stack.ports import Ports
from cli.stack.postgres import Postgres, create_databases
from cli.stack.process import Child, Identity, identify
from cli.stack.replica import STEADY_AFTER, STOP_LIMIT, Replica, Tell, backoff
from cli.stack.smtp import SmtpSink
from cli.stack.state import ServiceState, StackState


class Part(Protocol):
    """An embedded server with a process of its own."""

    @property
    def child(self) -> Child | None:
        """The process that runs now."""

    async def start(self, started: Callable[[Identity], None]) -> None:
        """Start it, and return once it answers."""

    async def stop(self) -> None:
        """Stop it."""


class Supervisor:
    """One stack in the running event loop: `start`, then `stop`, also after a `start` that failed or was cancelled."""

    def __init__(self, plan: Plan, show: Tell | None = None) -> None:
        self._plan = plan
        self._data = plan.data
        self._show = show
        self._files: dict[str, LogFile] = {}
        self._held = contextlib.ExitStack()
        self._parts: dict[str, Part] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._smtp: SmtpSink | None = None
        self._admin_dsn = ""
        self._running = False
        self._stopping = False
        self.replicas: list[Replica] = []
        self.mails_key = secrets.token_urlsafe(32)
        """With it the console asks the notification service for the texts of mails."""
        self.state = StackState(supervisor=identify(os.getpid()) or Identity(os.getpid(), ""))

    async def start(self) -> None:
        """Start everything, up to the services' processes; they become ready by themselves (`until_ready`).

        Raises StackError: the folder is in use, a port is taken, a part does not come up.
        """
        self._data.create()
        self._held.enter_context(self._data.held())
        self._running = True
        loop = asyncio.get_running_loop()
        for name in await loop.run_in_executor(None, stop_leftovers, self._data):
            self.tell("supervisor", f"stopped {name}, left over from a supervisor that was killed")
        ports = Ports(self._data.ports)
        self._report()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._start_kafka(ports))
                group.create_task(self._start_postgres(ports))
                group.create_task(self._start_smtp(ports))
        except ExceptionGroup as several:
            refused, rest = several.split(StackError)
            raise (refused or rest or several).exceptions[0] from None
        self._start_services(ports, await self._databases())

    async def until_ready(self, limit: float) -> None:
        """Return once every replica is ready. Raises StackError, naming those that are not, after `limit` seconds."""
        until = time.monotonic() + limit
        while waiting := [replica for replica in self.replicas if replica.state.state != "ready"]:
            if time.monotonic() > until:
                names = ", ".join(f"{replica.source} ({replica.state.state})" for replica in waiting)
                raise StackError(f"not ready after {limit:.0f} s: {names}; their logs are in {self._data.logs}")
            await asyncio.sleep(0.05)
        self.state.phase = "ready"
        self._report()

    async def stop(self, limit: float = STOP_LIMIT) -> None:
        """Stop the services (SIGTERM, SIGKILL after `limit` seconds), then SMTP, Kafka and PostgreSQL."""
        if not self._running:
            return
        self._stopping = True
        self.state.phase = "stopping"
        self._report()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await asyncio.gather(*(replica.stop(limit) for replica in self.replicas))
        if self._smtp is not None:
            await self._smtp.stop()
        for name in ("kafka", "postgres"):
            if name in self._parts:
                await self._parts[name].stop()
        self._running = False
        self._data.state.unlink(missing_ok=True)
        for file in self._files.values():
            file.close()
        self._held.close()

    def kill(self) -> None:
        """Cut a stop short: everything ends at once."""
        children = [replica.child for replica in self.replicas] + [part.child for part in self._parts.values()]
        for child in children:
            if child is not None:
                child.send(signal.SIGKILL)

    def replica(self, name: str, number: int = 1) -> Replica:
        """One replica. Raises KeyError for what is not there."""
        for replica in self.replicas:
            if (replica.spec.name, replica.state.replica) == (name, number):
                return replica
        raise KeyError(f"{name}-{number}")

    def tell(self, source: str, line: str) -> None:
        """A line of output from one of the parts: to its file, and to whoever watches."""
        if source not in self._files:
            self._files[source] = LogFile(self._data.logs / f"{source}.log")
        self._files[source].write(line)
        if self._show is not None:
            self._show(source, line)

    async def _start_kafka(self, ports: Ports) -> None:
        if self._plan.kafka:
            self.state.kafka = self._plan.kafka
        else:
            kafka = Kafka(
                folder=self._data.kafka,
                logs=self._data.logs,
                cache=cache_folder(),
                java=java.find(),
                port=ports.take("kafka", self._plan.kafka_port),
                controller_port=ports.take("kafka-controller"),
            )
            self.state.kafka = kafka.address
            await self._start_part("kafka", kafka)
        made = await topics.apply(self.state.kafka, topics.load(partitions=self._plan.partitions))
        await topics.warm_up(self.state.kafka)
        if made:
            self.tell("supervisor", f"topics: {len(made)} created or altered")

    async def _start_postgres(self, ports: Ports) -> None:
        if self._plan.postgres:
            self._admin_dsn = self._plan.postgres
        else:
            server = Postgres(
                folder=self._data.postgres,
                logs=self._data.logs,
                password=self._data.secret(),
                port=ports.take("postgres", self._plan.postgres_port),
            )
            self._admin_dsn = server.dsn
            await self._start_part("postgres", server)
        self.state.postgres = self._admin_dsn

    async def _start_smtp(self, ports: Ports) -> None:
        if self._plan.smtp:
            self.state.smtp = self._plan.smtp
            return
        self._smtp = SmtpSink(self._data.mail, ports.take("smtp", self._plan.smtp_port))
        await self._smtp.start()
        self.state.smtp = self._smtp.address
        self.state.mail = str(self._data.mail)

    async def _start_part(self, name: str, part: Part) -> None:
        def started(identity: Identity) -> None:
            self.state.processes[name] = identity
            self._report()

        self._parts[name] = part
        began = time.monotonic()
        await part.start(started)
        self.tell("supervisor", f"{name} answers after {time.monotonic() - began:.1f} s")
        self._watchers.append(asyncio.create_task(self._keep_part(name, part, started), name=name))

    async def _keep_part(self, name: str, part: Part, started: Callable[[Identity], None]) -> None:
        failures = 0
        while not self._stopping:
            began = time.monotonic()
            if part.child is not None:
                status = await part.child.wait()
                self.tell("supervisor", f"{name} ended with status {status}")
            failures = 1 if time.monotonic() - began > STEADY_AFTER else failures + 1
            await asyncio.sleep(backoff(failures))
            try:
                await part.start(started)
                self.tell("supervisor", f"{name} was started again")
            except StackError as error:
                self.tell("supervisor", str(error))

    async def _databases(self) -> dict[str, str]:
        names = [spec.database for spec in self._plan.services]
        return await create_databases(self._admin_dsn, names, self._data.secret(), self._plan.prefix)

    def _start_services(self, ports: Ports, databases: dict[str, str]) -> None:
        for spec in self._plan.services:
            for number in range(1, (1 if spec is CONSOLE else self._plan.replicas) + 1):
                port = ports.take(f"health-{spec.name}-{number}")
                state = ServiceState(spec.name, number, databases[spec.database], port)
                env = {
                    "MAKEGOOD_LOG": os.environ.get("MAKEGOOD_LOG", "console"),
                    "MAKEGOOD_KAFKA": self.state.kafka,
                    "MAKEGOOD_DATABASE": state.database,
                    "MAKEGOOD_SMTP": self.state.smtp,
                    "MAKEGOOD_HEALTH_HOST": "127.0.0.1",
                    "MAKEGOOD_HEALTH_PORT": str(port),
                    "MAKEGOOD_REPLICA": str(number),
                    "MAKEGOOD_CLOCK_FILE": str(self._data.clock),
                    "MAKEGOOD_MAILS_KEY": self.mails_key,
                    "PYTHONUNBUFFERED": "1",
                    **(self._console(ports) if spec is CONSOLE else {}),
                    **self._plan.env,
                }
                self.state.services.append(state)
                replica = Replica(spec, state, env, self.tell, self._report)
                self.replicas.append(replica)
                replica.run()

    def _console(self, ports: Ports) -> dict[str, str]:
        """The console's own settings: where it listens, and whom it watches."""
        port = ports.take("console")
        folder = self._data.root / "console"
        self.state.console = f"http://127.0.0.1:{port}"
        self.state.console_password = str(folder / "admin-password")
        watched = (f"{s.name}=http://127.0.0.1:{s.health}" for s in self.state.services if s.replica == 1)
        return {
            "MAKEGOOD_CONSOLE_HOST": "127.0.0.1",
            "MAKEGOOD_CONSOLE_PORT": str(port),
            "MAKEGOOD_CONSOLE_DATA": str(folder),
            "MAKEGOOD_CONSOLE_SERVICES": ",".join(watched),
        }

    def _report(self) -> None:
        if not self._running:
            return
        for replica in self.replicas:
            child = replica.child
            if child is None:
                self.state.processes.pop(replica.source, None)
            else:
                self.state.processes[replica.source] = child.identity
        self.state.write(self._data.state)
