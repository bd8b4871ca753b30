"""The guide's merchant works: its blocks, put together, are the file in the tests, and its claims end as it says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from shared.policy.load import POLICIES, load_book, load_files
from shared.policy.model import Policy
from shared.policy.words import left_out, load_words, sheet

ROOT = POLICIES.parent.parent
GUIDE = (ROOT / "docs" / "policy-guide.md").read_text(encoding="utf-8")
FILE = ROOT / "tests" / "policies" / "leselaube" / "v1.yaml"


@pytest.fixture(scope="module")
def policy() -> Policy:
    (found,) = load_files([FILE])
    return found


def test_the_blocks_of_the_guide_are_the_file() -> None:
    assert "".join(re.findall(r"```yaml\n(.*?)```\n", GUIDE, re.DOTALL)) == FILE.read_text(encoding="utf-8")


def test_the_sheet_of_the_guide_is_one(policy: Policy) -> None:
    (block,) = re.findall(r"```yml\n(.*?)```\n", GUIDE, re.DOTALL)
    path = sheet(FILE.parents[1], "leselaube", 1, "vi")
    assert block == path.read_text(encoding="utf-8")
    assert "L1" not in left_out(load_words(path, policy), policy, "vi")


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


def the_case() -> dict[str, Any]:
    """The case of chapter 8."""
    (block,) = re.findall(r"```json\n(.*?)```\n", GUIDE, re.DOTALL)
    case: dict[str, Any] = json.loads(block)
    return case


def policy_command(command: str, case: object, folder: Path, *more: str) -> str:
    path = folder / "case.json"
    path.write_text(json.dumps(case), encoding="utf-8")
    arguments = ["policy", command, str(path), "--policies", str(FILE.parents[1]), *more]
    ran = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_the_case_of_the_guide_is_explained_as_it_says(tmp_path: Path) -> None:
    said = policy_command("explain", the_case(), tmp_path)
    told = GUIDE.partition("It would have gone on")[2].partition("$")[0]
    assert told.strip().splitlines()[0] in said
    for line in re.findall(r"· .*", told):
        assert line in said


BACK = [{"lines": [{"line_id": "1", "quantity": 1}], "inspection": {"seal": "unopened", "fault_confirmed": True}}]


@pytest.mark.parametrize(
    ("reason", "quantity", "wants", "back", "outcome", "breakdown"),
    [
        # Two books at 10.00, 3.50 shipping: one of them has cost 10.00 and 1.75. 3 % of 11.75 is 0.3525.
        pytest.param("withdrawal", 1, None, BACK, "refund", {"goods": "10.00", "withdrawal_fee": "-0.35"}, id="L1 L7"),
        pytest.param(
            "physical_damage", 1, None, BACK, "refund", {"goods": "10.00", "shipping": "1.75"}, id="L5, money"
        ),
        pytest.param("physical_damage", 1, "replacement", BACK, "replacement", None, id="L5, a new copy"),
        pytest.param("out_of_stock", 2, None, [], "refund", {"goods": "20.00", "shipping": "3.50"}, id="L6"),
        pytest.param("late", 1, None, [], None, None, id="a reason that is not listed"),
        pytest.param("withdrawal", 1, None, [], None, None, id="the book is not back"),
    ],
)
def test_its_claims_go_through_the_services_to_their_ends(
    tmp_path: Path,
    reason: str,
    quantity: int,
    wants: str | None,
    back: list[object],
    outcome: str | None,
    breakdown: dict[str, str] | None,
) -> None:
    case = the_case()
    case["claim"] |= {"reason": reason, "wants": wants, "facts": {"seal": "unopened"}}
    case["claim"] |= {"reported_at": "2026-03-18T14:05:00+01:00", "lines": [{"line_id": "1", "quantity": quantity}]}
    case["returns"] = back
    (found,) = json.loads(policy_command("quote", case, tmp_path, "--json"))
    assert [one["outcome"] for one in found["decisions"]] == ([] if outcome is None else [outcome])
    if breakdown is not None:
        (decision,) = found["decisions"]
        assert {item["item"]: item["amount"] for item in decision["refund"]["breakdown"]} == breakdown
        assert decision["refund"]["currency"] == "EUR"


def test_every_rule_kind_is_in_the_table() -> None:
    kinds = re.findall(r"^\| `(\w+)` \| .* \|", GUIDE.partition("## The rule kinds")[2], re.MULTILINE)
    assert kinds == ["window", "condition", "exclusion", "wait", "remedy", "share", "fee", "cap", "cost"]
