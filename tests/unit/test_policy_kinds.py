"""A rule kind is added in one place, and whoever forgets a case for it does not pass the type check."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.policy import rules

ROOT = Path(rules.__file__).resolve().parent.parent.parent
NEW_KIND = '''

class Voucher(_Rule):
    """A kind that nobody has heard of yet."""

    kind: Literal["voucher"]


EligibilityRule: TypeAlias ='''


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """mypy's words, by file, on a copy in which each side has one kind more and nothing else has changed."""
    folder = tmp_path_factory.mktemp("kinds")
    shutil.copytree(ROOT / "shared", folder / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "shared" / "policy" / "rules.py"
    text = path.read_text(encoding="utf-8")
    text = text.replace("\n\nEligibilityRule: TypeAlias =", NEW_KIND, 1)
    text = text.replace(
        "Window | Condition | Exclusion | Wait | Remedy\n",
        "Window | Condition | Exclusion | Wait | Remedy | Voucher\n",
        1,
    )
    text = text.replace("MoneyRule: TypeAlias = Share", "MoneyRule: TypeAlias = Voucher | Share", 1)
    text = text.replace(
        "Rule: TypeAlias = Annotated[\n    Window", "Rule: TypeAlias = Annotated[\n    Voucher | Window", 1
    )
    assert text.count("Voucher") == 4
    path.write_text(text, encoding="utf-8")
    (folder / "mypy.ini").write_text("[mypy]\nstrict = True\nplugins = pydantic.mypy\nfollow_imports = silent\n")
    files = [f"shared/policy/{name}.py" for name in ("rules", "judge", "ways")] + ["shared/pricing.py"]
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", str(folder / "cache"), *files],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    found: dict[str, list[str]] = {}
    for line in ran.stdout.splitlines():
        if match := re.match(r"(\S+?):\d+: error: (.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


@pytest.mark.parametrize(
    "file", ["shared/policy/rules.py", "shared/policy/judge.py", "shared/policy/ways.py", "shared/pricing.py"]
)
def test_a_forgotten_case_fails_the_type_check(file: str, complaints: dict[str, list[str]]) -> None:
    assert any("assert_never" in text and "Voucher" in text for text in complaints.get(file, [])), complaints


def test_every_kind_is_documented_with_an_example_that_is_one() -> None:
    module = ast.parse(Path(rules.__file__).read_text(encoding="utf-8"))
    kinds = {node.name: ast.get_docstring(node) or "" for node in module.body if isinstance(node, ast.ClassDef)}
    for kind in (rules.Window, rules.Condition, rules.Exclusion, rules.Wait, rules.Remedy, rules.Share, rules.Fee,
                 rules.Cap, rules.Cost):  # fmt: skip
        doc = kinds[kind.__name__]
        assert "Example: `" in doc, kind
        name = kind.__name__.lower()
        assert f"kind: {name}" in doc
        assert f"| `{name}` |" in (rules.__doc__ or "")
