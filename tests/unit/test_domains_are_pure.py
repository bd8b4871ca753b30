"""What the import rules cannot see: no domain asks for the time, for chance, or for the environment."""

import ast
from pathlib import Path

import pytest

SERVICES = Path(__file__).resolve().parents[2] / "services"
DOMAINS = sorted(SERVICES.glob("*/domain.py"))
CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "perf_counter", "uuid1", "uuid4"}
MODULES = {"time", "random", "secrets", "os", "socket", "subprocess"}


def impurities(source: str) -> list[str]:
    """Calls and imports by which a function's result could depend on more than its arguments, as `line: what`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            # `instant.time()` of an argument is no clock; a clock is asked on a module or a class.
            on_class = not isinstance(function, ast.Attribute) or (
                isinstance(function.value, ast.Name)
                and function.value.id in {"datetime", "date", "time", "uuid", "clock", "dt"}
            )
            if (name in CLOCKS and on_class) or name in {"open", "input", "print"}:
                found.append(f"{node.lineno}: {name}()")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [f"{node.lineno}: import {name}" for name in names if name.partition(".")[0] in MODULES]
    return found


def test_there_are_domains_to_look_at() -> None:
    assert {path.parent.name for path in DOMAINS} >= {"intake", "eligibility", "refund_calculation", "notification"}


@pytest.mark.parametrize("path", DOMAINS, ids=lambda path: path.parent.name)
def test_a_domain_asks_nothing_but_its_arguments(path: Path) -> None:
    assert impurities(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "datetime.now(UTC)",
        "date.today()",
        "time.monotonic()",
        "import time",
        "from random import choice",
        "uuid.uuid4()",
        "print(1)",
    ],
)
def test_the_look_finds_what_it_is_for(line: str) -> None:
    assert impurities(line) != []
