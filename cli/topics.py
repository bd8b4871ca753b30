"""`claims topics apply` and `claims topics diff`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from cli.place import Kafka, kafka_of
from cli.stack import topics
from cli.terminal import DATA, Data, refusals

app = typer.Typer(
    no_args_is_help=True, help="Create the topics, or show where a broker's differ from deploy/topics.yaml."
)

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
        mended = asyncio.run(topics.apply(kafka_of(kafka, data), specs))
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
        found = asyncio.run(topics.diff(kafka_of(kafka, data), specs))
    for one in found:
        typer.echo(str(one))
    if found:
        raise typer.Exit(1)
    typer.echo(f"{len(specs)} topics are as deploy/topics.yaml says")
