"""`claims schema`: the published schemas, written from the models and compared with them."""

from pathlib import Path
from typing import Annotated, Final

import typer

from shared.events.published import drift, export

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
    """Fail when what is committed differs from the models."""
    drifted = drift(docs)
    for path in drifted:
        what = "differs from the models" if (docs / path).is_file() else "is missing"
        typer.echo(f"{docs / path} {what}: run `claims schema export` and commit the result", err=True)
    if drifted:
        raise typer.Exit(1)
    typer.echo("the published schemas are those of the models")
