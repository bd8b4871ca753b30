"""`claims demo`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated

import typer

from cli.board import Board, Day, day_of, report
from cli.place import kafka_of
from cli.reading import Seen, Topics
from cli.rest import Rest
from cli.sending import send
from cli.stack.errors import StackError
from cli.stack.folders import DataFolder
from cli.stack.plan import Plan
from cli.stack.prepare import prepare
from cli.stack.supervisor import Supervisor
from cli.terminal import DATA, Data, refusals
from shared.events.topics import OUTPUT_TOPICS, dlq_topics

READY_LIMIT = 120.0
ROUND_LIMIT = 120.0
"""Seconds that the pipeline may take for a round of the day."""


def demo(
    against: Annotated[
        str | None, typer.Option("--against", metavar="HOST:PORT", help="Kafka of a pipeline that runs already.")
    ] = None,
    data: Data = DATA,
) -> None:
    """Run a sample day of both merchants, and check every claim's end.

    Without --against the whole stack is started for it, and stopped again. Each run has ids of its own, so that a
    pipeline can be asked again and again. Ends with 1 where a claim did not end as the sample says.
    """
    with refusals():
        if against is None:
            plan = Plan.from_environment(DataFolder.at(data))
            plan.data.create()
            if plan.data.is_held():  # refuse before anything is downloaded
                raise StackError(
                    f"a stack is running in {plan.data.root}: give it the day with `claims demo --against HOST:PORT` "
                    "(`claims status` shows its Kafka), or stop it with `claims down`"
                )
            prepare(plan)
        else:
            plan = None
        status = asyncio.run(_main(plan, against and kafka_of(against, data)))
    raise typer.Exit(status)


async def _main(plan: Plan | None, kafka: str | None) -> int:
    """The day, cut short by SIGINT or SIGTERM with everything stopped."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: task.cancel() if task is not None else None)
    try:
        if plan is None:
            return await _Demo(str(kafka)).run()
        async with _stack(plan) as own:
            return await _Demo(own).run()
    except asyncio.CancelledError:
        typer.secho("stopped before the end", fg="yellow", err=True)
        return 130


@contextlib.asynccontextmanager
async def _stack(plan: Plan) -> AsyncIterator[str]:
    """A stack of our own, ready; stopped at the end however it comes."""
    supervisor = Supervisor(plan, lambda source, line: typer.echo(f"  {line}") if source == "supervisor" else None)
    began = time.monotonic()
    typer.echo(f"Starting Kafka, PostgreSQL, mail and the services in {plan.data.root} …")
    try:
        await supervisor.start()
        await supervisor.until_ready(READY_LIMIT)
        typer.echo(f"ready after {time.monotonic() - began:.1f} s, Kafka at {supervisor.state.kafka}\n")
        yield supervisor.state.kafka
    finally:
        stopping = asyncio.ensure_future(supervisor.stop())
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError:
            await stopping
            raise
        typer.echo("everything is stopped")


@dataclass(slots=True)
class _Demo:
    kafka: str
    day: Day = field(default_factory=day_of)
    board: Board = field(init=False)

    async def run(self) -> int:
        """Feed the day round by round, listen meanwhile, and compare; the exit status."""
        self.board = Board(self.day)
        names = [*OUTPUT_TOPICS, *dlq_topics()]
        async with Topics.open(self.kafka, names) as topics, Rest.open(self.kafka) as rest:
            missing = sorted(set(names) - {lane.topic for lane in topics.lanes})
            if missing:
                raise StackError(
                    f"Kafka at {self.kafka} has no topics {', '.join(missing)}: `claims topics apply` makes them"
                )
            await topics.ends()
            await rest.until_quiet(ROUND_LIMIT)
            for number, name in enumerate(self.day.names, 1):
                await self._round(topics, rest, number, name)
            for one in await self._left(topics):
                self._hear(one)
        for line in report(self.board):
            typer.echo(line)
        return 1 if self.board.differences() else 0

    async def _round(self, topics: Topics, rest: Rest, number: int, name: str) -> None:
        began = time.monotonic()
        records = self.day.rounds[number]
        await send(self.kafka, records)
        quiet = asyncio.ensure_future(rest.until_quiet(ROUND_LIMIT))
        try:
            while not quiet.done():
                for one in await topics.poll(100):
                    self._hear(one)
            await quiet
        finally:
            quiet.cancel()
        for one in await self._left(topics):
            self._hear(one)
        decided, claims = len(self.board.decided_claims), len(self.day.expected)
        typer.secho(
            f"── {number} of {len(self.day.names)}, {name}: {len(records)} events in {time.monotonic() - began:.1f} s; "
            f"{decided} of {claims} claims decided",
            fg="cyan",
        )

    async def _left(self, topics: Topics) -> list[Seen]:
        return [one async for one in topics.to_the_end(ROUND_LIMIT)]

    def _hear(self, one: Seen) -> None:
        for line in self.board.hear(one):
            typer.echo(line)
