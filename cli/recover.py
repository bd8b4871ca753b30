"""`claims recover`: brings a service's database forward that is older than Kafka."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.databases import Databases, database_of
from cli.place import Kafka, kafka_of
from cli.stack.errors import StackError
from cli.terminal import DATA, Data, refusals
from cli.words import clean

if TYPE_CHECKING:
    from cli.recovery.recovering import Report

SHOWN = 8


def recover(
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="intake, eligibility, refund-calculation or notification.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do it all, say what came of it, and take it back.")
    ] = False,
    database: Databases = None,
    kafka: Kafka = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    data: Data = DATA,
) -> None:
    """Bring a service's database forward that was restored from a backup, or lost: docs/recovery.md.

    The service takes what it had read since again, so that what it has said since comes out again, to the byte; then
    its numbers and positions are set to where Kafka knows it was. Kafka is only read.
    The service may be starting again and again meanwhile: it refuses to work until this is done, and then works.
    """
    from asyncpg import InterfaceError, PostgresError

    from cli.recovery.finding import Irreproducible
    from cli.recovery.recovering import recover as bring_forward
    from cli.recovery.services import NAMES, service_named
    from shared.policy.problem import PolicyError

    with refusals():
        if service == "console":
            raise StackError("the console is rebuilt by `claims rebuild`: docs/console.md")
        if service not in NAMES:
            raise StackError(f"{service} is none of {', '.join(NAMES)}")
        dsn, address = database_of(service, database, data), kafka_of(kafka, data)
        try:
            report = asyncio.run(bring_forward(service_named(service), dsn, address, dry_run=dry_run))
        except Irreproducible as error:
            raise StackError(
                f"what {service} has said does not come out again; nothing was changed.\n  {clean(error)}\n  "
                "Run this with the program and the policies that were running then, then the new ones."
            ) from error
        except (OSError, PostgresError, InterfaceError, PolicyError) as error:
            raise StackError(f"nothing was changed: {clean(error or type(error).__name__)}") from error
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=1))
        return
    _show(report, dry_run=dry_run)


def _show(report: Report, *, dry_run: bool) -> None:
    if not report.behind:
        typer.echo(f"{report.service}'s database is not behind Kafka: nothing to do")
        return
    typer.echo(f"{report.service}'s database was behind Kafka:")
    for line in report.behind[:SHOWN]:
        typer.echo(f"  {line}")
    if len(report.behind) > SHOWN:
        typer.echo(f"  and {len(report.behind) - SHOWN} more")
    would = "would be" if dry_run else "were"
    typer.echo(f"{report.inputs} inputs {would} taken again, {report.outputs} events recognised")
    if report.groups:
        typer.echo(
            f"  {report.groups} groups of orders, {report.reordered} of them with inputs in another order than by time"
        )
    if report.mails_closed:
        typer.echo(f"  {report.mails_closed} messages closed as told, {report.mails_let_go} let go of as old news")
    if report.dead_letters:
        typer.echo(f"  {report.dead_letters} dead letters written again")
    for place, (before, after, end) in report.positions.items():
        if before != after or after != end:
            rest = f", {end - after} left to read" if end > after else ""
            typer.echo(f"  {place}: {before} → {after}{rest}")
    for lane, (before, after) in report.numbers.items():
        typer.echo(f"  lane {lane}: events are numbered from {after + 1} on (was: {before + 1})")
    typer.echo("taken back: this was a dry run" if dry_run else "done: the service can start")
