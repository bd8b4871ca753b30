"""`claims clock`: set the running stack's time forward, so that deadlines fall due (never in production)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from cli.stack.folders import DataFolder
from shared.clock import ahead, in_production

app = typer.Typer(help="Set the running stack's clock forward, so that deadlines fall due.", no_args_is_help=True)

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_LONGEST = timedelta(days=3650)

Data = Annotated[
    Path, typer.Option(help="Folder that holds all of the stack's data.", envvar="MAKEGOOD_DATA", metavar="DIR")
]


@app.command()
def advance(
    by: Annotated[str, typer.Argument(help="How far, such as 7d, 36h or 1d12h.")], data: Data = Path(".makegood")
) -> None:
    """Set the clock forward; services see it within a second. It is never set back. Not in production."""
    if in_production():
        raise typer.BadParameter("MAKEGOOD_PRODUCTION is set: time is not set forward there")
    try:
        step = parse(by)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    file = DataFolder.at(data).clock
    if not file.parent.is_dir():
        raise typer.BadParameter(f"there is no stack in {data}")
    total = ahead(file) + step
    if total > _LONGEST:
        raise typer.BadParameter(f"that would be {total} ahead; {_LONGEST.days} days is the limit")
    written = file.with_suffix(".new")
    written.write_text(str(int(total.total_seconds())), "ascii")
    written.replace(file)
    typer.echo(f"the stack's clock says {datetime.now(UTC) + total:%Y-%m-%d %H:%M:%S} UTC, {total} ahead")


@app.command()
def show(data: Data = Path(".makegood")) -> None:
    """Say what the stack's clock says."""
    set_forward = ahead(DataFolder.at(data).clock)
    typer.echo(f"{datetime.now(UTC) + set_forward:%Y-%m-%d %H:%M:%S} UTC, {set_forward} ahead")


def parse(text: str) -> timedelta:
    """Read a duration such as `7d`, `36h`, `1d12h30m`.

    Raises:
        ValueError: it is not one, or it is nothing.
    """
    if not re.fullmatch(r"(\d{1,6}d)?(\d{1,6}h)?(\d{1,6}m)?(\d{1,9}s)?", text) or not text:
        raise ValueError(f"{text!r} is not a duration such as 7d, 36h or 1d12h")
    found = {_UNITS[unit]: int(number) for number, unit in re.findall(r"(\d+)([dhms])", text)}
    return timedelta(**found)
