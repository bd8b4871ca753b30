"""`claims replay`."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.place import Kafka, kafka_of
from cli.stack.errors import StackError
from cli.terminal import DATA, Data, refusals
from cli.words import clean

if TYPE_CHECKING:
    from cli.verifying import Verified

SHOWN = 10
"""Differences shown in full; `--json` has them all."""


def replay(
    verify: Annotated[bool, typer.Option("--verify", help="Compare what comes out with what was recorded.")] = False,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", metavar="FILE", help="Files that `claims listen --json --from-start` wrote; left out: the topics."
        ),
    ] = None,
    kafka: Kafka = None,
    data: Data = DATA,
    policies: Annotated[
        Path | None, typer.Option("--policies", help="Folder of policies in force then; left out: the package's.")
    ] = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="The pipeline was at rest: an input without its answer is a difference.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Put all recorded inputs of eligibility and refund-calculation through their pure functions again.

    Every assessment, decision and instruction has to come out the same to the byte; status 1 where one does not.
    Nothing is published, and no service is disturbed.
    """
    from cli.explaining import book_of
    from cli.recording import record
    from cli.verifying import REPLAYED
    from cli.verifying import verify as verify_records

    with refusals():
        if not verify:
            raise StackError("say what to do with what comes out: `claims replay --verify` compares it")
        book = book_of(policies)
        read = time.monotonic()
        records = record(None if files else kafka_of(kafka, data), files or [], REPLAYED)
        begun = time.monotonic()
        found = verify_records(records, book, complete=complete)
        seconds = {"reading": round(begun - read, 2), "replaying": round(time.monotonic() - begun, 2)}
    if as_json:
        typer.echo(json.dumps(asdict(found) | {"seconds": seconds}, default=str, ensure_ascii=False, indent=2))
    else:
        _show(found, seconds)
    if found.differences:
        raise typer.Exit(1)


def _show(found: Verified, seconds: dict[str, float]) -> None:
    console = Console()
    table = Table(title="Replayed", title_justify="left")
    for column in ("topic", "reproduced", "digest of all of them"):
        table.add_column(column, justify="right" if column == "reproduced" else "left", overflow="fold")
    for topic, count in found.outputs.items():
        table.add_row(topic, f"{count}", found.digests[topic][:32])
    console.print(table)
    console.print(
        f"{found.claims} claims of {found.orders} orders, {found.inputs} recorded inputs; read in "
        f"{seconds['reading']} s, replayed in {seconds['replaying']} s. {found.reordered} needed their inputs in "
        f"another order than that of their times.",
        highlight=False,
    )
    if found.unanswered:
        console.print(
            f"{len(found.unanswered)} inputs at the end of their lanes have no answer in the recording yet, such as:",
            highlight=False,
        )
    for one in found.unanswered[:3]:
        console.print(f"  {one.type} ({one.place}, {_safe(one.about)})", highlight=False)
    if not found.differences:
        console.print("[green]✓ every assessment, decision and instruction came out the same, to the byte[/]")
        return
    for difference in found.differences[:SHOWN]:
        limit = " (the search for an order of the inputs was given up)" if difference.given_up else ""
        more = f", and {difference.more} more fields" if difference.more else ""
        console.print(
            f"[red]✗ {difference.service}, {_safe(difference.about)}[/] ({difference.place}){limit}\n"
            f"  {_safe(difference.field)}{more}\n"
            f"    recorded: {_safe(difference.recorded)}\n    replayed: {_safe(difference.replayed)}",
            highlight=False,
        )
    console.print(f"[red]{len(found.differences)} difference(s), the first in time shown first[/]")


def _safe(text: str) -> str:
    return escape(clean(text))
