"""How commands speak: refusals on stderr with an exit status, tables by rich."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from cli.stack.errors import StackError
from cli.stack.folders import DEFAULT_DATA

Data = Annotated[
    Path,
    typer.Option("--data", envvar="MAKEGOOD_DATA", help="Folder that holds all of the stack's data.", file_okay=False),
]
DATA = DEFAULT_DATA


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Print a StackError as one line for a person, and end with status 1."""
    try:
        yield
    except StackError as error:
        typer.secho(f"✗ {error}", fg="red", err=True)
        raise typer.Exit(1) from None
