"""`python -m cli`: the `claims` command without its entry point."""

from cli.main import app

app(prog_name="claims")
