"""`claims policy`: check policy files, explain a claim, say what it would give, compare two versions."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.backtest import backtest
from cli.stack.errors import StackError
from cli.terminal import refusals

app = typer.Typer(no_args_is_help=True, help="Check, explain, compare and try the merchants' policies.")
app.command()(backtest)

CaseFile = Annotated[
    Path, typer.Argument(metavar="CLAIM.json", help="A claim with its order; see docs/policy-guide.md.")
]
Policies = Annotated[
    Path | None,
    typer.Option("--policies", help="Folder of policies, <merchant>/v<n>.yaml; left out: those of the package."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Now = Annotated[
    datetime | None,
    typer.Option(
        "--now", help="When to look at the claim (UTC); left out: the time now.", formats=["%Y-%m-%dT%H:%M:%SZ"]
    ),
]


@app.command()
def check(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE…", help="Policy files, or folders of them.")
    ] = None,
) -> None:
    """Load policy files as a service does: every problem with file, line and what to do; status 1 when there is one."""
    from shared.policy.load import POLICIES, load_files
    from shared.policy.problem import PolicyError
    from shared.policy.words import FOLDER, left_out, load_words, sheets

    paths: list[Path] = []
    for path in files or [POLICIES]:
        found = sorted(path.glob("**/v*.yaml")) if path.is_dir() else [path]
        paths += [file for file in found if file.parent.name != FOLDER]
    try:
        policies = load_files(paths)
        words = [
            {language: load_words(file, policy) for language, file in sheets(path)}
            for path, policy in zip(paths, policies, strict=True)
        ]
    except PolicyError as error:
        for problem in error.problems:
            typer.secho(f"✗ {problem}", fg="red", err=True)
        typer.secho(f"{len(error.problems)} problem(s): no policy was loaded", fg="red", err=True)
        raise typer.Exit(1) from None
    for path, policy, said in zip(paths, policies, words, strict=True):
        examples = sum(len(rule.examples) for rule in policy.rules.values())
        typer.echo(
            f"✓ {path}: {policy.merchant} version {policy.version}, in force from {policy.in_force_from.isoformat()}, "
            f"{len(policy.reasons)} reasons, {len(policy.rules)} rules, {examples} worked examples pass, "
            f"digest {policy.digest[:12]}{', in words: ' if said else ''}{', '.join(said)}"
        )
        for language, sheet in said.items():
            if missing := left_out(sheet, policy, language):
                few = "; ".join(missing[:5]) + ("; …" if missing[5:] else "")
                typer.echo(f"  {language}: {len(missing)} left in English: {few}")
    if not policies:
        typer.secho("no policy file there", fg="red", err=True)
        raise typer.Exit(1)


@app.command()
def explain(case: CaseFile, policies: Policies = None, now: Now = None, as_json: Json = False) -> None:
    """Show every rule with what it saw, its verdict and its clause, and what would have made the claim eligible."""
    from cli.explaining import explain_case, show_explanations

    with refusals():
        found = explain_case(case, policies, now)
    if as_json:
        _print_json([one.as_json() for one in found])
    else:
        show_explanations(found)


@app.command()
def quote(case: CaseFile, policies: Policies = None, now: Now = None, as_json: Json = False) -> None:
    """Say what a claim would give now; nothing is published and nothing changes."""
    from cli.quoting import quote_case, show_quotes

    with refusals():
        found = quote_case(case, policies, now)
    if as_json:
        _print_json([one.as_json() for one in found])
    else:
        show_quotes(found)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="V1", help="A policy file.")],
    after: Annotated[Path, typer.Argument(metavar="V2", help="Another version of it.")],
    as_json: Json = False,
) -> None:
    """Show what a version changes: rules, reasons, open points, clauses, deadlines."""
    from cli.comparing import differences, show_differences
    from shared.policy.load import load_files
    from shared.policy.problem import PolicyError

    with refusals():
        try:
            ((first,), (second,)) = (load_files([before]), load_files([after]))
        except PolicyError as error:
            raise StackError(f"a policy does not load:\n{error}") from None
        found = differences(first, second)
    if as_json:
        _print_json([one.as_json() for one in found])
    else:
        show_differences(first, second, found)


def _print_json(found: Any) -> None:
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
