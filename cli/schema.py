"""`claims schema`: the published schemas, written from the models and compared with them."""

from pathlib import Path
from typing import Annotated, Final

import typer

from shared.events.breaking import Break
from shared.events.published import RELEASED, broken, drift, export, release

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"

app = typer.Typer(no_args_is_help=True, help="The contract's JSON Schemas and AsyncAPI document.")

Docs = Annotated[Path, typer.Option(help="The folder that holds asyncapi.yaml and schemas/.", file_okay=False)]


@app.command("export")
def export_schemas(docs: Docs = DOCS) -> None:
    """Write the JSON Schemas and the AsyncAPI document from the models."""
    changed = export(docs)
    for path in changed:
        typer.echo(docs / path)
    typer.echo(f"{len(changed)} file(s) changed")


@app.command("check")
def check_schemas(docs: Docs = DOCS) -> None:
    """Fail when what is committed differs from the models, or the models break what the last release published."""
    drifted = drift(docs)
    for path in drifted:
        what = "differs from the models" if (docs / path).is_file() else "is missing"
        typer.echo(f"{docs / path} {what}: run `claims schema export` and commit the result", err=True)
    broken_ = _broken(docs)
    for one in broken_:
        typer.echo(f"breaking: {one}", err=True)
    if broken_:
        typer.echo("a change that breaks somebody is a new version of the type (….v2) beside the old one", err=True)
    if drifted or broken_:
        raise typer.Exit(1)
    typer.echo("the published schemas are those of the models, and break nothing of the last release")


@app.command("release")
def release_schemas(docs: Docs = DOCS) -> None:
    """Make the contract as it is now the one that later changes are compared with. Part of making a release."""
    broken_ = _broken(docs) if (docs / RELEASED).is_dir() else []
    for one in broken_:
        typer.echo(f"breaking: {one}", err=True)
    if broken_:
        raise typer.Exit(1)
    typer.echo(f"{release(docs)} types are the last release's")


def _broken(docs: Path) -> list[Break]:
    try:
        return broken(docs)
    except FileNotFoundError as missing:
        typer.echo(f"{missing.filename} is missing: the last release's schemas belong there", err=True)
        raise typer.Exit(1) from missing
