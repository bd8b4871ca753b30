"""`claims policy` as a person uses it, and what explaining, quoting and comparing rest on."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.policy import app
from shared.policy.load import POLICIES

ROOT = POLICIES.parent.parent
GUIDE = (ROOT / "docs" / "policy-guide.md").read_text(encoding="utf-8")
OURS = str(ROOT / "tests" / "policies")
NOW = "2026-12-01T00:00:00Z"

ORDER: dict[str, Any] = {
    "merchant": "gejet-mall",
    "order_id": "GM-1001",
    "placed_at": "2026-11-01T09:00:00+03:30",
    "currency": "IRR",
    "customer": {"customer_id": "c-77"},
    "lines": [{"line_id": "1", "sku": "s", "title": "t", "quantity": 2, "unit_price": "6000000",
               "category": "digital", "sealed": True}],
    "shipping": {"amount": "500000", "carrier": "tipax", "collect": True},
    "payments": [{"payment_id": "p-1", "provider": "bank", "amount": "12000000"}],
}  # fmt: skip
CLAIM: dict[str, Any] = {
    "reason": "withdrawal",
    "reported_at": "2026-11-05T10:00:00+03:30",
    "lines": [{"line_id": "1", "quantity": 2}],
    "facts": {"packaging_opened": False, "seal": "unopened"},
}
CASE: dict[str, Any] = {"order": ORDER, "received_at": "2026-11-04T14:05:00+03:30", "claim": CLAIM}
HAKAGO: dict[str, Any] = {
    "order": ORDER
    | {
        "merchant": "hakago",
        "currency": "VND",
        "transaction_fee": "10000",
        "shipping": {"amount": "90000", "carrier": "air", "collect": False},
        "payments": [{"payment_id": "p-1", "provider": "bank", "amount": "12100000"}],
    },
    "claim": CLAIM | {"reason": "missing_quantity", "lines": [{"line_id": "1", "quantity": 1}]},
}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "200"})


def put(folder: Path, case: object, **claim: object) -> Path:
    path = folder / "case.json"
    if isinstance(case, dict) and claim:
        case = case | {"claim": case["claim"] | claim}
    path.write_text(case if isinstance(case, str) else json.dumps(case), encoding="utf-8")
    return path


def as_json(*arguments: str | Path) -> Any:
    ran = run(*arguments, "--json", "--now", NOW)
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


# --- check ---


def test_check_says_what_is_in_a_file() -> None:
    ran = run("check")
    assert ran.exit_code == 0
    lines = ran.stdout.splitlines()
    assert [re.findall(r": ([\w-]+) version 1", line) for line in lines] == [["gejet-mall"], ["hakago"]]
    assert "worked examples pass" in lines[0]
    assert run("check", OURS).stdout.startswith("✓ ")


def test_check_says_everything_that_is_wrong(tmp_path: Path) -> None:
    text = (ROOT / "tests" / "policies" / "leselaube" / "v1.yaml").read_text(encoding="utf-8")
    path = tmp_path / "leselaube" / "v1.yaml"
    path.parent.mkdir()
    path.write_text(text.replace("    clause: L8\n", "    clause: L9\n", 1).replace("hours: 336", "hours: 337"))
    ran = run("check", path)
    assert ran.exit_code == 1
    line = text[: text.index("    clause: L8\n")].count("\n") + 1
    assert f"{path}:{line}: cites the clause L9" in ran.output
    assert "no policy was loaded" in ran.output
    assert run("check", tmp_path / "none.yaml").exit_code == 1
    (tmp_path / "empty").mkdir()
    assert run("check", tmp_path / "empty").exit_code == 1


# --- explain ---


def test_explain_shows_every_rule_and_what_would_have_made_it_eligible(tmp_path: Path) -> None:
    case = put(tmp_path, CASE, reported_at="2026-11-05T15:00:00+03:30", facts={"packaging_opened": True})
    (found,) = as_json("explain", case)
    assert (found["ends"], found["policy"]["version"]) == ("rejected", 1)
    (line,) = found["lines"]
    said = {one["rule"]: (one["clause"], one["verdict"]) for one in line["rules"]}
    assert said == {
        "gift": ("G0.1", "does not apply"),
        "withdrawal-window": ("G0.2", "denies"),
        "packaging-unopened": ("G4.1", "denies"),
        "seal-unopened": ("GN3", "notes"),
        "await-return": ("GN1", "notes"),
        "withdrawal-remedy": ("G4.1", "allows"),
    }
    assert [(one["clause"], one["text"]) for one in line["eligible_if"]] == [
        ("G0.2", "reported until 2026-11-05 14:05:00+03:30"),
        ("G4.1", "with the packaging unopened"),
    ]
    assert line["then"] == "awaits the return"
    text = run("explain", case, "--now", NOW).output
    assert "until 2026-11-05 14:05:00+03:30" in text
    assert "packaging_opened stated: true" in text


def test_a_rule_of_an_open_point_is_shown_under_its_own_reading(tmp_path: Path) -> None:
    case = put(tmp_path, CASE, reason="physical_damage", reported_at="2026-11-05T20:00:00+03:30")
    (found,) = as_json("explain", case)
    windows = [one for one in found["lines"][0]["rules"] if one["kind"] == "window"]
    assert [(one["rule"], one["verdict"], one["reading"]) for one in windows] == [
        ("mismatch-window-24", "denies", "mismatch-window: 24h"),
        ("mismatch-window-48", "allows", "mismatch-window: 48h"),
    ]


@pytest.mark.parametrize(
    ("claim", "wanted"),
    [
        ({"reason": "technical_fault", "facts": {"carton": "torn"}}, ["with the carton intact"]),
        ({"reason": "technical_fault", "facts": {"carton": "missing", "misuse": True}},
         ["with the carton intact", "without misuse"]),
        ({"reason": "technical_fault", "reported_at": "2026-11-04T14:04:59+03:30"},
         ["reported from 2026-11-04 14:05:00+03:30 on"]),
        ({"reason": "not_as_described", "reported_at": "2026-11-05T20:00:00+03:30"},
         ["reported until 2026-11-05 14:05:00+03:30"]),
        ({"reason": "not_as_described", "facts": {"regional_variant": True}}, ["with more than a regional difference"]),
        ({"reason": "withdrawal", "facts": {"packaging_opened": False, "seal": "opened"}}, ["with the seal unopened"]),
        ({"reason": "refused_damaged"}, ["wanting a replacement"]),
        ({"reason": "late"}, []),
        ({"reason": "out_of_stock"}, []),
    ],
)  # fmt: skip
def test_what_would_have_made_it_eligible(claim: dict[str, object], wanted: list[str], tmp_path: Path) -> None:
    (found,) = as_json("explain", put(tmp_path, CASE, **claim))
    assert [one["text"] for one in found["lines"][0]["eligible_if"]] == wanted


def test_another_carrier_would_have_done(tmp_path: Path) -> None:
    order = ORDER | {"shipping": {"amount": "500000", "carrier": "post", "collect": True}}
    case = put(tmp_path, CASE | {"order": order}, reason="undelivered_absent", wants="replacement")
    (found,) = as_json("explain", case)
    assert [one["text"] for one in found["lines"][0]["eligible_if"]] == ["with tipax as the carrier"]
    assert found["lines"][0]["then"] == "eligible"


def test_after_the_inspection_the_finding_would_have_had_to_be_another(tmp_path: Path) -> None:
    returns = [{"lines": [{"line_id": "1", "quantity": 2}], "inspection": {"carton": "torn", "fault_confirmed": False}}]
    facts = {"carton": "intact", "misuse": False, "seal": "unopened"}
    case = put(tmp_path, CASE | {"returns": returns}, reason="technical_fault", facts=facts)
    (found,) = as_json("explain", case)
    assert [one["text"] for one in found["lines"][0]["eligible_if"]] == [
        "with the carton intact",
        "with the fault confirmed by the inspection",
    ]
    assert found["lines"][0]["then"] == "eligible"
    contradiction = [one["clause"] for one in found["lines"][0]["rules"] if one["rule"] == "contradiction"]
    assert contradiction == ["G1.3"]


def test_a_gift_could_not_have_been_otherwise(tmp_path: Path) -> None:
    gift = {"line_id": "1", "sku": "s", "title": "t", "quantity": 1, "unit_price": "0", "gift": True}
    free = {"amount": "0", "carrier": "post", "collect": True}
    order = ORDER | {"lines": [gift], "shipping": free, "payments": []}
    case = put(tmp_path, CASE | {"order": order}, lines=[{"line_id": "1", "quantity": 1}])
    ran = run("explain", case, "--now", NOW)
    assert "Nothing that could have been otherwise changes that." in ran.output


def test_an_order_older_than_the_policy(tmp_path: Path) -> None:
    case = put(tmp_path, CASE | {"order": ORDER | {"placed_at": "2019-01-01T00:00:00Z"}})
    (found,) = as_json("explain", case)
    assert (found["policy"], found["lines"], found["ends"]) == (None, [], "awaiting review")
    assert "a person decides" in run("explain", case, "--now", NOW).output


# --- quote ---


def test_quote_of_what_still_waits_is_what_it_would_give(tmp_path: Path) -> None:
    (found,) = as_json("quote", put(tmp_path, CASE))
    assert (found["stands"], found["decisions"]) == ("awaiting return", [])
    (prospect,) = found["would_give"]
    assert (prospect["remedy"], prospect["amount"], prospect["currency"]) == ("refund", "11700000", "IRR")
    assert prospect["breakdown"] == {"goods": "12000000", "withdrawal_fee": "-300000"}
    assert "a refund of 11700000 IRR" in run("quote", put(tmp_path, CASE), "--now", NOW).output


def test_quote_shows_every_reading_where_a_person_must_decide(tmp_path: Path) -> None:
    case = put(tmp_path, CASE, lines=[{"line_id": "1", "quantity": 1}])
    (found,) = as_json("quote", case)
    (prospect,) = found["would_give"]
    assert prospect["refers"] == "withdrawal-fee-base"
    assert prospect["readings"] == {
        "withdrawal-fee-base: whole-deposit": "5700000",
        "withdrawal-fee-base: units-share": "5850000",
    }
    returned = {"returns": [{"lines": [{"line_id": "1", "quantity": 1}]}]}
    claim = CLAIM | {"lines": [{"line_id": "1", "quantity": 1}]}
    back = put(tmp_path, CASE | returned | {"claim": claim})
    (found,) = as_json("quote", back)
    assert (found["stands"], found["referred"][0]["entry"]) == ("awaiting review", "withdrawal-fee-base")
    assert "units-share → 5850000" in run("quote", back, "--now", NOW).output


def test_quote_of_a_decided_claim_is_its_decision(tmp_path: Path) -> None:
    returned = {"returns": [{"lines": [{"line_id": "1", "quantity": 2}]}]}
    (found,) = as_json("quote", put(tmp_path, CASE | returned))
    assert found["stands"] == "decided: refund"
    assert [one["refund"]["amount"] for one in found["decisions"]] == ["11700000"]
    text = run("quote", put(tmp_path, CASE | returned), "--now", NOW).output
    assert "GN4" in text
    assert "-300000" in text


def test_quote_of_a_sellers_claim_goes_by_the_answer(tmp_path: Path) -> None:
    (found,) = as_json("quote", put(tmp_path, HAKAGO))
    assert [(one["on"], one["remedy"], one["amount"]) for one in found["would_give"]] == [
        ("the seller answers refund_full", "refund", "6050000"),
        ("the seller answers resend", "replacement", None),
    ]
    (found,) = as_json("quote", put(tmp_path, HAKAGO | {"answers": [{"answer": "resend"}]}))
    assert found["stands"] == "decided: replacement"
    assert "shipping paid by the merchant" in run("quote", tmp_path / "case.json", "--now", NOW).output


def test_quote_of_all_that_is_out_of_stock(tmp_path: Path) -> None:
    order = ORDER | {
        "shipping": {"amount": "500000", "carrier": "post", "collect": False},
        "payments": [{"payment_id": "p-1", "provider": "bank", "amount": "12500000"}],
    }
    (found,) = as_json("quote", put(tmp_path, CASE | {"order": order}, reason="out_of_stock"))
    assert found["decisions"][0]["refund"]["amount"] == "12500000"


# --- files ---


def test_the_case_of_the_guide_comes_out_as_the_guide_says(tmp_path: Path) -> None:
    (case,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    said = run("explain", put(tmp_path, case), "--policies", OURS, "--now", NOW).output
    shown = GUIDE.partition("It would have gone on")[2].partition("$ claims")[0]
    assert len(shown.splitlines()) == 3
    assert "It would have gone on" + shown.rstrip() in said


def test_lines_of_events_do_as_well(tmp_path: Path) -> None:
    ids = {"merchant": "gejet-mall", "order_id": "GM-1001"}
    events = [
        ("order.placed.v1", ORDER),
        ("order.delivered.v1", ids | {"received_at": "2026-11-04T14:05:00+03:30"}),
        ("claim.submitted.v1", ids | CLAIM | {"claim_id": "c-9", "channel": "web"}),
    ]
    text = "\n".join(json.dumps({"type": type_, "data": data}) for type_, data in events)
    (found,) = as_json("quote", put(tmp_path, text + "\n"))
    assert (found["claim_id"], found["stands"]) == ("c-9", "awaiting return")


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("nothing", "not JSON"),
        (CASE | {"ordr": {}}, "$.ordr"),
        ({"order": ORDER}, "$.claim"),
        (CASE | {"returns": [7]}, "$.returns[0]"),
        (CASE | {"returns": [{"lines": []}]}, "$.returns[0].lines"),
        (CASE | {"order": ORDER | {"payments": []}}, "$.order"),
        (CASE | {"received_at": "yesterday"}, "$.received_at"),
        (CASE | {"claim": CLAIM | {"lines": [{"line_id": "7", "quantity": 1}]}}, "unknown_line"),
        (CASE | {"claim": CLAIM | {"lines": [{"line_id": "1", "quantity": 9}]}}, "quantity_exceeds_purchase"),
        (json.dumps({"type": "order.placed.v1", "data": ORDER}), "no claim"),
    ],
)
@pytest.mark.parametrize("command", ["explain", "quote"])
def test_a_case_that_is_none(case: object, message: str, command: str, tmp_path: Path) -> None:
    ran = run(command, put(tmp_path, case), "--now", NOW)
    assert ran.exit_code == 1
    assert message in ran.output
    assert "Traceback" not in ran.output


def test_a_file_or_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot read" in run("quote", tmp_path / "none.json").output
    ran = run("quote", put(tmp_path, CASE), "--policies", tmp_path / "none")
    assert (ran.exit_code, "holds no policy" in ran.output) == (1, True)


# --- diff ---


def test_diff_shows_what_a_version_changes(tmp_path: Path) -> None:
    before = ROOT / "tests" / "policies" / "leselaube" / "v1.yaml"
    text = before.read_text(encoding="utf-8")
    newer = (
        text.replace("version: 1", "version: 2")
        .replace("2026-01-01", "2027-01-01")
        .replace('percent: "3"', 'percent: "0"')
        .replace(', withdrawal_fee: "-0.71"', "")
        .replace(', withdrawal_fee: "-3.00"', "")
        .replace("  L8: {en: A free", "  L9: {en: New, local: Neü}\n  L8: {en: A free")
    )
    after = tmp_path / "leselaube" / "v2.yaml"
    after.parent.mkdir()
    after.write_text(newer, encoding="utf-8")
    found = as_diff(before, after)
    assert {(one["where"], one["change"]) for one in found} == {
        ("version", "changed"),
        ("in_force_from", "changed"),
        ("clauses.L9", "added"),
        ("rules.handling-charge.percent", "changed"),
        ("rules.handling-charge.examples", "changed"),
        ("rules.charge-once.examples", "changed"),
    }
    percent = next(one for one in found if one["where"].endswith("percent"))
    assert (percent["before"], percent["after"]) == ("3", "0")
    assert [one["change"] for one in as_diff(after, before) if one["where"] == "clauses.L9"] == ["removed"]
    assert "rules.handling-charge.percent" in run("diff", before, after).output
    assert "nothing differs" in run("diff", before, before).output


def as_diff(before: Path, after: Path) -> list[dict[str, Any]]:
    ran = run("diff", before, after, "--json")
    assert ran.exit_code == 0, ran.output
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return found


def test_diff_of_what_does_not_load(tmp_path: Path) -> None:
    ran = run("diff", ROOT / "tests" / "policies" / "leselaube" / "v1.yaml", tmp_path / "v2.yaml")
    assert ran.exit_code == 1
    assert "does not load" in ran.output
