"""`claims policy backtest`: one pass over the facts ends where the events one by one end; the figures by hand."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.backtesting import add, by_change, by_reason, compare
from cli.main import app
from cli.outcomes import ClaimKey, End, ends
from cli.recalling import Recalled, recall
from cli.recording import Recorded, readable
from cli.trying import Trial, play
from shared.policy.book import PolicyBook
from shared.policy.load import POLICIES, load_book
from shared.policy.model import Policy
from shared.policy.rules import Fee, Share, Wait, Window
from tests.recorded import exported, recordings, together
from tests.scenarios.play import scenarios
from tests.versions import gejet_at_5_percent

GEJET, HAKAGO = "gejet-mall", "hakago"
MERCHANTS = (GEJET, HAKAGO)
OLDER = ("version-one-second-before.o", "version-by-instant.o", "version-of-hakago.o")
"""Orders placed before any version was in force."""


@pytest.fixture(scope="module")
def book() -> PolicyBook:
    return load_book()


@pytest.fixture(scope="module")
def runs(book: PolicyBook) -> list[list[Recorded]]:
    """Each scenario's records."""
    return [records for _, records in recordings(book, scenarios())]


@pytest.fixture(scope="module")
def every(runs: list[list[Recorded]]) -> list[Recorded]:
    """All scenarios, one after the other on the same topics."""
    return together(runs)


@pytest.fixture(scope="module")
def orders(every: list[Recorded]) -> dict[str, list[Recalled]]:
    return {merchant: list(recall(every, merchant)) for merchant in MERCHANTS}


def latest(records: list[Recorded]) -> datetime:
    return max(one.at for one in records)


def real(records: list[Recorded]) -> dict[ClaimKey, End]:
    return ends(event for one, event in readable(records) if one.topic != "admissions.v1")


def policy_of(book: PolicyBook, merchant: str) -> Policy:
    (policy,) = (one for one in book.all() if one.merchant == merchant)
    return policy


def changed_rules(policy: Policy, kind: type[object], **members: object) -> Policy:
    rules = {
        name: rule.model_copy(update=members) if isinstance(rule, kind) else rule for name, rule in policy.rules.items()
    }
    return policy.model_copy(update={"rules": rules})


def other_versions(policy: Policy) -> Iterator[tuple[str, Policy]]:
    """The policy, and versions of it that end claims elsewhere."""
    yield "the same", policy
    yield "another fee", changed_rules(policy, Fee, percent="5")
    yield "a fee above all", changed_rules(policy, Fee, percent="99")
    yield "short windows", changed_rules(policy, Window, hours=6)
    yield "long windows", changed_rules(policy, Window, hours=10_000)
    yield "shares by units", changed_rules(policy, Share, by="units")
    decided = {
        name: entry.model_copy(
            update={"on_difference": "decide", "chosen": entry.chosen or list(entry.readings)[-1], "when": None}
        )
        for name, entry in policy.register_.items()
    }
    yield "nothing open", policy.model_copy(update={"register_": decided})
    kept = dict(list(policy.reasons.items())[::2])
    yield "fewer reasons", policy.model_copy(update={"reasons": kept})
    waits = {name for name, rule in policy.rules.items() if isinstance(rule, Wait)}
    at_once = {reason: tuple(name for name in names if name not in waits) for reason, names in policy.reasons.items()}
    yield "nothing waits", policy.model_copy(update={"reasons": at_once})


@pytest.mark.parametrize("merchant", MERCHANTS)
def test_one_pass_ends_where_the_events_end(
    book: PolicyBook, orders: dict[str, list[Recalled]], every: list[Recorded], merchant: str
) -> None:
    until = latest(every)
    ways: Counter[str] = Counter()
    for number, (name, policy) in enumerate(other_versions(policy_of(book, merchant))):
        trial = Trial(policy, until)
        # All of the table for the first two versions, a third of it, another each time, for each of the others.
        for order in orders[merchant] if number < 2 else orders[merchant][number % 3 :: 3]:
            assert trial.of(order) == play(order, policy, until), f"{name}: {order.key}"
        ways["one pass"] += trial.one_pass
        ways["event by event"] += trial.long_way
    assert ways["one pass"] > 3 * ways["event by event"], ways


@pytest.mark.parametrize("merchant", MERCHANTS)
def test_a_version_tried_on_its_own_claims_changes_nothing(
    book: PolicyBook, runs: list[list[Recorded]], merchant: str
) -> None:
    """Every scenario ended under version 1 as version 1 says; but for orders older than it: it is tried on them now."""
    policy, claims = policy_of(book, merchant), 0
    for records in runs:
        compared = compare(recall(records, merchant), Trial(policy, latest(records)), real(records), None)
        claims += len(compared)
        for one in compared:
            assert not one.changed or one.order_id in OLDER, one
    assert claims > 120


def test_only_claims_since_are_counted_and_the_others_leave_their_money(
    book: PolicyBook, orders: dict[str, list[Recalled]], every: list[Recorded]
) -> None:
    """Two claims of one order: the first bears the order's fee, whether it is counted or not."""
    both = [order for order in orders[GEJET] if len({claim.claim.reported_at for claim in order.claims}) > 1]
    policy, until, recorded = policy_of(book, GEJET), latest(every), real(every)
    assert both
    for order in both:
        last = max(claim.claim.reported_at for claim in order.claims)
        whole = {one.claim_id: one for one in compare([order], Trial(policy, until), recorded, None)}
        some = compare([order], Trial(policy, until), recorded, last)
        assert 0 < len(some) < len(whole)
        assert all(whole[one.claim_id] == one for one in some)
        assert compare([order], Trial(policy, until), recorded, last + timedelta(seconds=1)) == []


def test_the_sums_are_those_of_the_claims(
    book: PolicyBook, orders: dict[str, list[Recalled]], every: list[Recorded]
) -> None:
    policy = changed_rules(policy_of(book, GEJET), Fee, percent="5")
    still = {f"{scenario.id}.o" for scenario in scenarios() if not scenario.moves_the_clock}
    tried = [order for order in orders[GEJET] if order.key[1] in still]
    compared = compare(tried, Trial(policy, every[0].at), real(every), None)
    whole, reasons, changes = add(compared), by_reason(compared), by_change(compared)
    assert whole.difference == sum(one.difference for one in compared) < 0
    assert sum(one.difference for one in reasons.values()) == whole.difference
    assert sum(one.difference for one in changes.values()) == whole.difference
    assert sum(one.claims for one in changes.values()) == whole.changed
    # A fee changes withdrawals alone; the others that change are those of orders older than the policy.
    assert {one.reason for one in compared if one.changed and one.order_id not in OLDER} == {"withdrawal"}
    assert changes["refund", "refund, less"].difference < 0


# --- the command ---


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["policy", "backtest", *map(str, arguments)], env={"COLUMNS": "200"})


def as_json(*arguments: object) -> Any:
    ran = run(*arguments, "--json")
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


@pytest.fixture
def export(book: PolicyBook, tmp_path: Path) -> Path:
    """Three withdrawals of 10,000,000 with 500,000 shipping paid, all refunded less 262,500, and one rejected."""
    table = {scenario.id: scenario for scenario in scenarios()}
    chosen = [table[name] for name in ("withdrawal-refund", "withdrawal-contract-example", "withdrawal-24-00-01")]
    path = tmp_path / "topics.jsonl"
    path.write_text(exported(together(records for _, records in recordings(book, chosen))), encoding="utf-8")
    return path


def test_the_command_with_another_fee(export: Path, tmp_path: Path) -> None:
    version_2 = gejet_at_5_percent(tmp_path)
    found = as_json(version_2, "--from", export)
    # 5 % of 10,500,000 is 525,000, that is 262,500 more; 5 % of 12,000,000 is 600,000, that is 300,000 more.
    assert found["total"] == {
        "claims": 3,
        "changed": 2,
        "before": "21437500",
        "after": "20875000",
        "difference": "-562500",
    }
    assert found["changes"] == [
        {"from": "refund", "to": "refund, less", "claims": 2, "changed": 2, "before": "21437500", "after": "20875000",
         "difference": "-562500"}
    ]  # fmt: skip
    assert [(one["reason"], one["claims"], one["difference"]) for one in found["by_reason"]] == [
        ("withdrawal", 3, "-562500")
    ]
    assert {one["claim_id"]: (one["from"]["amount"], one["to"]["amount"]) for one in found["changed"]} == {
        "withdrawal-refund.a": ("9737500", "9475000"),
        "withdrawal-contract-example.a": ("11700000", "11400000"),
    }
    assert found["speed"]["claims_a_second"] > 0
    assert found["policy"]["version"] == 2


def test_the_command_shows_tables(export: Path, tmp_path: Path) -> None:
    shown = run(gejet_at_5_percent(tmp_path), "--from", export).stdout
    assert "gejet-mall version 2 on 3 recorded claims: 2 would have ended otherwise, -562,500 IRR in all." in shown
    assert "refund, less" in shown
    assert "9,475,000 IRR" in shown
    assert "claims/s on one core" in shown
    assert "Nothing was published." in shown


def test_since_in_the_future_leaves_nothing(export: Path, tmp_path: Path) -> None:
    assert as_json(gejet_at_5_percent(tmp_path), "--from", export, "--since", "2100-01-01")["total"]["claims"] == 0


def test_refusals(export: Path, tmp_path: Path) -> None:
    nobody = run(POLICIES / HAKAGO / "v1.yaml", "--from", export)
    assert (nobody.exit_code, "no claim of hakago is recorded there" in nobody.output) == (1, True)
    broken = tmp_path / "v2.yaml"
    broken.write_text("merchant: x\n", encoding="utf-8")
    assert "the policy does not load" in run(broken, "--from", export).output
    assert run(POLICIES / GEJET / "v1.yaml", "--from", tmp_path / "none").exit_code == 1
