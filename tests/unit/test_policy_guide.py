"""The guide's merchant works: its blocks, put together, are the file in the tests, and its claims end as it says."""

import re
from pathlib import Path

import pytest

from shared.policy.load import POLICIES, load_book, load_files
from shared.policy.model import Policy

ROOT = POLICIES.parent.parent
GUIDE = (ROOT / "docs" / "policy-guide.md").read_text(encoding="utf-8")
FILE = ROOT / "tests" / "policies" / "leselaube" / "v1.yaml"


@pytest.fixture(scope="module")
def policy() -> Policy:
    (found,) = load_files([FILE])
    return found


def test_the_blocks_of_the_guide_are_the_file() -> None:
    assert "".join(re.findall(r"```yaml\n(.*?)```\n", GUIDE, re.DOTALL)) == FILE.read_text(encoding="utf-8")


def test_what_the_guide_says_of_it_is_so(policy: Policy) -> None:
    examples = sum(len(rule.examples) for rule in policy.rules.values())
    assert f"{len(policy.reasons)} reasons, {len(policy.rules)} rules, {examples} worked examples pass" in GUIDE
    table = re.findall(r"^\| (L\d) \|", GUIDE, re.MULTILINE)
    assert table == list(policy.clauses)


def test_it_stands_beside_the_others(tmp_path: Path) -> None:
    for path in [*POLICIES.glob("*/v1.yaml"), FILE]:
        (tmp_path / path.parent.name).mkdir()
        (tmp_path / path.parent.name / path.name).write_bytes(path.read_bytes())
    assert load_book(tmp_path).merchants() == ("gejet-mall", "hakago", "leselaube")


def test_every_rule_kind_is_in_the_table() -> None:
    kinds = re.findall(r"^\| `(\w+)` \| .* \|", GUIDE.partition("## The rule kinds")[2], re.MULTILINE)
    assert kinds == ["window", "condition", "exclusion", "wait", "remedy", "share", "fee", "cap", "cost"]
