"""The command line as a whole: everything in the list is there, and the list itself is quick."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cli.main import COMMANDS, app

HEAVY = ("aiokafka", "asyncpg", "pydantic", "faststream", "structlog", "yaml", "jinja2")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_is_there_and_explains_itself(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output


def test_the_list_shows_every_command_and_imports_none_of_their_libraries() -> None:
    program = (
        "import sys\nfrom cli.main import app\n"
        "try: app(['--help'])\nfinally: print(*[m for m in sys.argv[1:] if m in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, *HEAVY], capture_output=True, text=True, timeout=60, check=True
    )
    assert all(name in ran.stdout for name in COMMANDS)
    assert ran.stderr.split() == []


def test_an_unknown_command_is_refused_with_a_hint() -> None:
    result = CliRunner().invoke(app, ["statsu"])
    assert result.exit_code == 2
    assert "status" in result.output


def test_nothing_running_is_said_and_tells_by_exit_status(tmp_path: object) -> None:
    result = CliRunner().invoke(app, ["status", "--data", f"{tmp_path}/nowhere"])
    assert result.exit_code == 1
    assert "claims up" in result.output
    result = CliRunner().invoke(app, ["down", "--data", f"{tmp_path}/nowhere"])
    assert result.exit_code == 0
    assert "nothing is running" in result.output
