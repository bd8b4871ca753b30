"""`claims rebuild`: the console's read model, from the topics again."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import typer

from cli.stack import state
from cli.stack.errors import StackError
from cli.stack.folders import DataFolder
from cli.stack.plan import CONSOLE
from cli.stack.process import end
from cli.terminal import DATA, Data, refusals
from cli.words import clean

TRIES = 8
STOP_LIMIT = 40.0


def rebuild(data: Data = DATA) -> None:
    """Empty the running stack's read model of the console and let it read all topics again.

    What people did stays: sessions, audit, dropped and redriven dead letters. The page is away for some seconds; the
    Now page says how far the reading has come.
    """
    with refusals():
        tables = _rebuilt(data)
    typer.echo(f"emptied {', '.join(tables)}; the console is starting again and reads every topic from its beginning")


def _rebuilt(data: Path) -> tuple[str, ...]:
    from aiokafka.errors import KafkaError
    from asyncpg import PostgresError

    from services.console.rebuild import Running
    from services.console.rebuild import rebuild as empty

    folder = DataFolder.at(data)
    # The supervisor starts the console again within a second; whoever comes too late ends it once more.
    for _ in range(TRIES):
        told = state.read(folder.state) if folder.is_held() else None
        service = next((one for one in told.services if one.name == CONSOLE.name), None) if told is not None else None
        if told is None or service is None:
            raise StackError(f"no stack with a console is running in {folder.root}")
        running = [one for name, one in told.processes.items() if name.startswith(f"{CONSOLE.name}-")]
        if end(running, signal.SIGTERM, STOP_LIMIT):
            raise StackError(f"the console does not end within {STOP_LIMIT:.0f} s; nothing was changed")
        try:
            return asyncio.run(empty(service.database, told.kafka))
        except Running:
            continue
        except (OSError, KafkaError, PostgresError) as error:
            raise StackError(f"not done, run it again: {clean(error or type(error).__name__)}") from error
    raise StackError("the console was back each time before its read model was emptied; run it again")
