"""`claims publish`."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from cli.place import Kafka, kafka_of
from cli.sending import Outgoing, of_line, send
from cli.stack.errors import StackError
from cli.terminal import DATA, Data, refusals
from cli.words import clean
from shared.events import BadEvent

MOST_BAD, MOST_FLAWS = 50, 5


def publish(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="Files with one event a line; - reads standard input.")
    ],
    kafka: Kafka = None,
    data: Data = DATA,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Publish the good lines even where others are bad (status 1 all the same)."),
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the lines only; publish nothing.")] = False,
) -> None:
    """Publish events from JSON lines, checked against the contract first.

    A line is {"type": "claim.submitted.v1", "data": {…}}; id, source, time, subject, key and topic may be added.
    Without an id it is made from type and data, so that publishing a file twice has no effect. When any line is bad,
    nothing is published: each error names file, line and JSON path.
    """
    with refusals():
        good, bad = [], 0
        for name, number, text in _lines(files):
            try:
                good.append(of_line(text))
            except BadEvent as error:
                bad += 1
                for path, message in error.flaws[:MOST_FLAWS] if bad <= MOST_BAD else ():
                    typer.secho(f"{name}:{number}: {clean(path)}: {clean(message)}", fg="red", err=True)
        if bad > MOST_BAD:
            typer.secho(f"… and {bad - MOST_BAD} bad lines more", fg="red", err=True)
        if bad and not skip_bad:
            typer.secho(f"{bad} bad of {bad + len(good)} lines: nothing was published", fg="red", err=True)
            raise typer.Exit(1)
        if check:
            typer.echo(f"{len(good)} events are good")
        else:
            _publish(kafka_of(kafka, data), good)
    if bad:
        typer.secho(f"{bad} bad lines were left out", fg="red", err=True)
        raise typer.Exit(1)


def _publish(kafka: str, records: list[Outgoing]) -> None:
    asyncio.run(send(kafka, records))
    for topic, count in sorted(Counter(record.topic for record in records).items()):
        typer.echo(f"{count:>7} to {topic}")
    typer.echo(f"{len(records)} events published to Kafka at {kafka}")


def _lines(files: list[str]) -> Iterator[tuple[str, int, str]]:
    """File, line number from 1, and text of every line that is not blank. Raises StackError for what cannot be read."""
    for name in files:
        try:
            content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            raise StackError(f"cannot read {name}: {error.strerror}") from None
        shown = "<stdin>" if name == "-" else name
        for number, raw in enumerate(content.split(b"\n"), 1):
            if not raw.strip():
                continue
            try:
                yield shown, number, raw.decode("utf-8-sig")
            except UnicodeDecodeError:
                raise StackError(f"{shown}:{number}: is not UTF-8") from None
