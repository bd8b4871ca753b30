"""`claims topics apply` and `claims topics diff`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.stack import state, topics
from cli.stack.errors import StackError
from cli.stack.folders import DataFolder
from cli.terminal import DATA, Data, refusals

app = typer.Typer(
    no_args_is_help=True, help="Create the topics, or show where a broker's differ from deploy/topics.yaml."
)

Kafka = Annotated[
    str | None,
    typer.Option("--kafka", envvar="MAKEGOOD_KAFKA", help="HOST:PORT of the broker; otherwise the running stack's."),
]
Partitions = Annotated[int | None, typer.Option(min=1, help="Of each topic; otherwise the file's.")]
Replicas = Annotated[
    int | None, typer.Option("--replication-factor", min=1, help="Of each topic; otherwise the file's.")
]


@app.command()
def apply(
    kafka: Kafka = None, data: Data = DATA, partitions: Partitions = None, replication_factor: Replicas = None
) -> None:
    """Create the topics that are missing, and set configs that differ. Doing it again changes nothing."""
    with refusals():
        specs = topics.load(partitions=partitions, replication_factor=replication_factor)
        mended = asyncio.run(topics.apply(address(kafka, data), specs))
    for one in mended:
        typer.echo(
            f"created {one.topic}"
            if one.member == "topic"
            else f"set     {one.topic}: {one.member} = {one.wanted} (was {one.found})"
        )
    typer.echo(f"{len(specs)} topics are as deploy/topics.yaml says" + ("" if mended else "; nothing to do"))


@app.command()
def diff(
    kafka: Kafka = None, data: Data = DATA, partitions: Partitions = None, replication_factor: Replicas = None
) -> None:
    """Show where the broker's topics differ. Ends with 1 if they do."""
    with refusals():
        specs = topics.load(partitions=partitions, replication_factor=replication_factor)
        found = asyncio.run(topics.diff(address(kafka, data), specs))
    for one in found:
        typer.echo(str(one))
    if found:
        raise typer.Exit(1)
    typer.echo(f"{len(specs)} topics are as deploy/topics.yaml says")


def address(kafka: str | None, data: Path) -> str:
    """The broker that is meant. Raises StackError when none is named and no stack is running."""
    if kafka:
        return kafka
    folder = DataFolder.at(data)
    told = state.read(folder.state) if folder.is_held() else None
    if told is None or not told.kafka:
        raise StackError(
            f"no stack is running in {folder.root}; start one with `claims up`, or name a broker with --kafka HOST:PORT"
        )
    return told.kafka
