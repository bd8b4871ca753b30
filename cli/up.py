"""`claims up` and `claims down`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from cli.stack import state
from cli.stack.errors import StackError
from cli.stack.folders import DataFolder
from cli.stack.leftovers import stop_leftovers
from cli.stack.output import Terminal
from cli.stack.plan import CONSOLE, SERVICES, Plan
from cli.stack.prepare import prepare
from cli.stack.process import end, is_alive
from cli.stack.replica import Tell
from cli.stack.state import StackState
from cli.stack.supervisor import Supervisor
from cli.terminal import DATA, Data, refusals

READY_LIMIT = 180.0
DOWN_LIMIT = 90.0
HOPELESS_RESTARTS = 3
Port = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port; kept from the last start or chosen when left out.")
]


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when all services are ready; `claims down` stops them.")
    ] = False,
    data: Data = DATA,
    replicas: Annotated[int, typer.Option(min=1, max=16, help="Processes of each service; they share the work.")] = 1,
    kafka_port: Port = None,
    postgres_port: Port = None,
    smtp_port: Port = None,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Show the supervisor's own lines alone; the services' are in the log files."
        ),
    ] = False,
) -> None:
    """Start Kafka, PostgreSQL, SMTP and all services.

    Without --detach the logs are shown and Ctrl-C stops everything. MAKEGOOD_KAFKA=HOST:PORT, MAKEGOOD_POSTGRES=DSN
    (of an administrator) and MAKEGOOD_SMTP=HOST:PORT name servers to be used in place of the embedded ones.
    """
    folder = DataFolder.at(data)
    plan = Plan.from_environment(
        folder,
        replicas=replicas,
        kafka_port=kafka_port,
        postgres_port=postgres_port,
        smtp_port=smtp_port,
        services=(*SERVICES, CONSOLE),
    )
    with refusals():
        folder.create()
        with folder.held():
            pass  # refuse before anything is downloaded
        prepare(plan)
        if detach:
            ports = {"--kafka-port": kafka_port, "--postgres-port": postgres_port, "--smtp-port": smtp_port}
            options = [part for name, port in ports.items() if port is not None for part in (name, str(port))]
            _detached(folder, [f"--replicas={replicas}", *options])
            return
        status = asyncio.run(foreground(plan, quiet=quiet))
    raise typer.Exit(status)


def down(data: Data = DATA) -> None:
    """Stop the stack of a data folder, or what one that was killed left running."""
    folder = DataFolder.at(data)
    with refusals():
        stopped = stop(folder)
    typer.echo("stopped" if stopped else f"nothing is running in {folder.root}")


async def foreground(plan: Plan, *, quiet: bool = False) -> int:
    """Run a stack until SIGINT or SIGTERM, showing its logs; a second signal cuts the stop short. The exit status."""
    terminal = Terminal()
    show: Tell = (
        (lambda source, line: terminal.show(source, line) if source == "supervisor" else None)
        if quiet
        else terminal.show
    )
    supervisor = Supervisor(plan, show)
    asked = asyncio.Event()

    def on_signal() -> None:
        if asked.is_set():
            supervisor.kill()
        else:
            terminal.show("supervisor", "stopping; once more to kill")
        asked.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    started = asyncio.create_task(_start(supervisor, terminal))
    waiting = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait({started, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if started.done() and started.exception() is None:
            await waiting
        else:
            started.cancel()
        result = (await asyncio.gather(started, return_exceptions=True))[0]
        if isinstance(result, StackError):
            terminal.show("supervisor", f"✗ {result}")
            return 1
        if isinstance(result, Exception):
            raise result
    finally:
        waiting.cancel()
        await supervisor.stop()
        terminal.show("supervisor", "stopped")
        terminal.close()
    return 0


async def _start(supervisor: Supervisor, terminal: Terminal) -> None:
    began = time.monotonic()
    await supervisor.start()
    try:
        await supervisor.until_ready(READY_LIMIT)
    except StackError as error:
        # Whoever watches sees the services' own words above; they go on being started.
        terminal.show("supervisor", f"✗ {error}")
        return
    for line in where_everything_is(supervisor.state):
        supervisor.tell("supervisor", line)
    supervisor.tell("supervisor", f"ready after {time.monotonic() - began:.1f} s")


def where_everything_is(told: StackState) -> list[str]:
    """Addresses for people."""
    lines = [f"Kafka      {told.kafka}"]
    lines += [f"Database   {name:<18} {dsn}" for name, dsn in {s.name: s.database for s in told.services}.items()]
    lines.append(f"SMTP       {told.smtp}" + (f", mails in {told.mail}" if told.mail else ""))
    lines += [f"Health     {s.name}-{s.replica:<3} http://127.0.0.1:{s.health}/ready" for s in told.services]
    if told.console:
        lines.append(f"Console    {told.console} (user admin{_first_password(told.console_password)})")
    return lines


def _first_password(file: str | None) -> str:
    """The one that was made when there was no user, as long as nobody has set another."""
    if file is None or "MAKEGOOD_CONSOLE_ADMIN_PASSWORD" in os.environ:
        return ""
    with contextlib.suppress(OSError):
        return f", password {Path(file).read_text('utf-8').strip()}"
    return ""


def stop(folder: DataFolder) -> bool:
    """Stop whatever runs in the folder; False if nothing did. Raises StackError when it does not stop."""
    if folder.is_held():
        told = state.read(folder.state)
        if told is None:
            raise StackError(f"a stack is just starting or stopping in {folder.root}; try again")
        if end([told.supervisor], signal.SIGTERM, DOWN_LIMIT):
            end([told.supervisor], signal.SIGKILL, 10)
        with folder.held():
            stop_leftovers(folder)
        return True
    if not folder.root.exists():
        return False
    with folder.held():
        return bool(stop_leftovers(folder))


def _detached(folder: DataFolder, options: list[str]) -> None:
    log = folder.logs / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "up", "--quiet", f"--data={folder.root}", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "NO_COLOR": "1"},
        )
    try:
        told = _until_ready(folder, process, log)
    except BaseException:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(DOWN_LIMIT)
        raise
    for line in where_everything_is(told):
        typer.echo(line)
    typer.echo(f"Logs       {folder.logs}")
    typer.echo(f"\nready; `claims status` looks at it, `claims down` stops it{_data_option(folder)}")


def _until_ready(folder: DataFolder, process: subprocess.Popen[bytes], log: Path) -> StackState:
    until = time.monotonic() + READY_LIMIT
    while time.monotonic() < until:
        if process.poll() is not None:
            raise StackError(f"the stack did not start:\n{_tail(log)}")
        told = state.read(folder.state)
        if told is not None and told.supervisor.pid == process.pid and is_alive(told.supervisor):
            if told.phase == "ready":
                return told
            for service in told.services:
                if service.restarts >= HOPELESS_RESTARTS:
                    name = f"{service.name}-{service.replica}"
                    raise StackError(
                        f"{name} ends again and again; its last lines:\n{_tail(folder.logs / f'{name}.log')}"
                    )
        time.sleep(0.05)
    raise StackError(f"not ready within {READY_LIMIT:.0f} s; the logs are in {folder.logs}\n{_tail(log)}")


def _tail(file: Path, lines: int = 15) -> str:
    try:
        return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _data_option(folder: DataFolder) -> str:
    return "" if folder == DataFolder.at(DATA) else f" (with --data {folder.root})"
