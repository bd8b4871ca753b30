"""`claims dlq`: look at what died, send it back, or drop it with a reason."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.databases import Databases, databases_of
from cli.letters import Filter, Letter, State, drop, find, redrive, tell_of_drops
from cli.place import Kafka, kafka_of
from cli.stack.errors import StackError
from cli.terminal import DATA, Data, refusals

app = typer.Typer(no_args_is_help=True, help="Dead letters: look at them, send them back, drop them.")

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]…", help="SERVICE/TOPIC/LANE/OFFSET, as `ls` shows them.")
]
Service = Annotated[str | None, typer.Option(help="Only those of this service.")]
Topic = Annotated[str | None, typer.Option(help="Only those of this topic.")]
Fingerprint = Annotated[str | None, typer.Option(help="Only those with this kind of fault.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count; change nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command()
def ls(
    service: Service = None,
    topic: Topic = None,
    fingerprint: Fingerprint = None,
    state: Annotated[str, typer.Option(help="dead, redriven, dropped or all.")] = "dead",
    database: Databases = None,
    as_json: AsJson = False,
    data: Data = DATA,
) -> None:
    """List dead letters, grouped by kind of fault."""
    with refusals():
        found = asyncio.run(find(databases_of(database, data), Filter((), service, topic, fingerprint, _state(state))))
    if as_json:
        typer.echo(json.dumps([_as_json(letter) for letter in found], ensure_ascii=False, indent=1))
        return
    groups: dict[str, list[Letter]] = {}
    for letter in found:
        groups.setdefault(letter.fingerprint, []).append(letter)
    for kind, letters in groups.items():
        one = letters[-1]
        typer.echo(f"{kind}  {len(letters)} × {one.service} could not take {one.type or 'a record'} of {one.topic}")
        typer.echo(f"    {_printable(one.path)}: {_printable(one.reason)}")
        typer.echo(f"    first {_instant(min(x.first_at for x in letters))}, last {_instant(one.last_at)}")
        typer.echo(f"    {', '.join(x.id for x in letters[-3:])}{' …' if len(letters) > len(letters[-3:]) else ''}")
    typer.echo(f"{len(found)} dead letters of {len(groups)} kinds" if found else "no dead letters")


@app.command()
def show(
    letter: Annotated[str, typer.Argument(metavar="ID")],
    database: Databases = None,
    as_json: AsJson = False,
    data: Data = DATA,
) -> None:
    """Show one dead letter whole: why, where from, its headers and its bytes."""
    with refusals():
        found = asyncio.run(find(databases_of(database, data), Filter((letter,), state=None)))
        if not found:
            raise StackError(f"there is no dead letter {letter}")
    told = _as_json(found[0])
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    for name, value in told.items():
        if name == "headers":
            typer.echo("headers")
            for header, content in value:
                typer.echo(f"    {header}: {content}")
        elif value is not None:
            typer.echo(f"{name:<13} {value}")


@app.command(name="redrive")
def redrive_(
    ids: Ids = None,
    service: Service = None,
    topic: Topic = None,
    fingerprint: Fingerprint = None,
    dry_run: DryRun = False,
    database: Databases = None,
    kafka: Kafka = None,
    data: Data = DATA,
) -> None:
    """Put dead letters back on their topics; the service that refused them takes each up once."""
    with refusals():
        databases = databases_of(database, data)
        found = asyncio.run(find(databases, _chosen(ids, service, topic, fingerprint)))
        if not dry_run and found:
            asyncio.run(redrive(kafka_of(kafka, data), found))
    _count(found, "would be redriven" if dry_run else "redriven", dry_run=dry_run)


@app.command(name="drop")
def drop_(
    reason: Annotated[str, typer.Option(help="Why; kept with the letter.")],
    ids: Ids = None,
    service: Service = None,
    topic: Topic = None,
    fingerprint: Fingerprint = None,
    by: Annotated[str, typer.Option(help="Who drops them.")] = "",
    dry_run: DryRun = False,
    database: Databases = None,
    kafka: Kafka = None,
    data: Data = DATA,
) -> None:
    """Close dead letters for good. They stay in the database and on their topic, with who dropped them and why."""
    if not reason.strip():
        raise typer.BadParameter("a drop needs a reason", param_hint="--reason")
    with refusals():
        databases = databases_of(database, data)
        found = asyncio.run(find(databases, _chosen(ids, service, topic, fingerprint)))
        if not dry_run and found:
            address, who = kafka_of(kafka, data), by or getpass.getuser()
            asyncio.run(drop(databases, found, who, reason.strip()))
            asyncio.run(tell_of_drops(address, found, who, reason.strip()))
    _count(found, "would be dropped" if dry_run else "dropped", dry_run=dry_run)


def _chosen(ids: Sequence[str] | None, service: str | None, topic: str | None, fingerprint: str | None) -> Filter:
    if not (ids or service or topic or fingerprint):
        raise StackError("say which: ids, --fingerprint, --service or --topic")
    return Filter(tuple(ids or ()), service, topic, fingerprint)


def _count(found: Sequence[Letter], what: str, *, dry_run: bool) -> None:
    typer.echo(f"{len(found)} {'dead letter' if len(found) == 1 else 'dead letters'} {what}")
    if not found and not dry_run:
        raise typer.Exit(1)


def _state(text: str) -> State | None:
    states: dict[str, State | None] = {"dead": "dead", "redriven": "redriven", "dropped": "dropped", "all": None}
    if text not in states:
        raise StackError(f"--state is dead, redriven, dropped or all, not {text!r}")
    return states[text]


def _as_json(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "state": letter.state,
        "type": letter.type,
        "reason": _printable(letter.reason),
        "path": _printable(letter.path),
        "fingerprint": letter.fingerprint,
        "attempts": letter.attempts,
        "first_at": _instant(letter.first_at),
        "last_at": _instant(letter.last_at),
        "closed_at": _instant(letter.closed_at) if letter.closed_at else None,
        "closed_by": letter.closed_by,
        "closed_reason": letter.closed_reason,
        "key": _bytes(letter.key),
        "headers": [[_printable(name), _bytes(value)] for name, value in letter.headers],
        "value": _bytes(letter.value),
    }


def _bytes(value: bytes | None) -> str | None:
    return None if value is None else _printable(value.decode("utf-8", "backslashreplace"))


def _printable(text: str) -> str:
    """Without what would move a terminal's cursor: these bytes come from outside."""
    return "".join(c if c.isprintable() or c in "\u200c\u200d" else c.encode("unicode_escape").decode() for c in text)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
