"""`claims status`."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import typer

from cli.stack import readiness, state
from cli.stack.folders import DataFolder
from cli.stack.state import Condition, ServiceState, StackState
from cli.terminal import DATA, Data

COLOURS = {
    "ready": "green",
    "unready": "red",
    "starting": "yellow",
    "draining": "yellow",
    "backoff": "red",
    "dead": "red",
}


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    data: Data = DATA,
) -> None:
    """Show addresses, and each service's state and lag.

    Ends with 0 when all services are ready, 1 when no stack is running, 2 when one is not ready (yet).
    """
    folder = DataFolder.at(data)
    told = state.read(folder.state) if folder.is_held() else None
    report = asyncio.run(look(told)) if told is not None else nothing()
    if as_json:
        typer.echo(json.dumps(report, indent=1))
    elif told is None:
        typer.echo(f"no stack is running in {folder.root}; `claims up` starts one")
    else:
        _show(report)
    if told is None:
        raise typer.Exit(1)
    if any(service["state"] != "ready" for service in report["services"]):
        raise typer.Exit(2)


def nothing() -> dict[str, Any]:
    """The report on a folder in which nothing runs."""
    return {"kafka": None, "services": [], "console": None, "smtp": None, "mail": None, "postgres": None}


async def look(told: StackState) -> dict[str, Any]:
    """The report: what the supervisor wrote down, with states asked of the services and lags of Kafka just now."""
    lag = await _lags(told)
    conditions = await asyncio.gather(*(_condition(service) for service in told.services))
    services = [
        {
            "name": service.name,
            "replica": service.replica,
            "pid": service.pid,
            "state": condition,
            "restarts": service.restarts,
            "database": service.database,
            "health": f"http://127.0.0.1:{service.health}",
            "lag": lag.get(service.name),
        }
        for service, condition in zip(told.services, conditions, strict=True)
    ]
    return {
        "kafka": told.kafka or None,
        "services": services,
        "console": told.console,
        "smtp": told.smtp or None,
        "mail": told.mail,
        "postgres": told.postgres or None,
    }


async def _condition(service: ServiceState) -> Condition:
    if service.pid is None:
        return service.state
    return readiness.later(
        await readiness.condition(service.health), ready_before=service.state in ("ready", "unready")
    )


async def _lags(told: StackState) -> dict[str, int]:
    from cli.lag import lags
    from shared.events.topics import READERS, TOPICS, dlq_topics

    if not told.kafka or not told.services:
        return {}
    try:
        readers = {**READERS, "console": (*TOPICS, *dlq_topics())}
        return await lags(told.kafka, {service.name: readers[service.name] for service in told.services})
    except (OSError, TimeoutError):
        return {}


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("service", "replica", "pid", "state", "restarts", "lag", box=None, pad_edge=False)
    for service in report["services"]:
        colour = COLOURS[service["state"]]
        table.add_row(
            service["name"],
            str(service["replica"]),
            str(service["pid"] or "-"),
            f"[{colour}]{service['state']}[/{colour}]",
            str(service["restarts"]),
            "?" if service["lag"] is None else str(service["lag"]),
        )
    console = Console()
    console.print(table)
    databases = {service["name"]: service["database"] for service in report["services"]}
    mails = f", mails in {report['mail']}" if report["mail"] else ""
    lines = [f"Kafka     {report['kafka']}", f"SMTP      {report['smtp']}{mails}"]
    lines += [f"Database  {name:<18} {dsn}" for name, dsn in databases.items()]
    lines += [f"Console   {report['console']}"] if report["console"] else []
    console.print("", *lines, sep="\n", soft_wrap=True, highlight=False, markup=False)
