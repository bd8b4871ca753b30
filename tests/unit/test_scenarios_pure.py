"""The table of scenarios through the services' pure functions; and the table itself."""

import re
from collections import Counter
from dataclasses import replace

import pytest
import yaml

from shared.policy.book import PolicyBook
from shared.policy.load import load_book
from tests.scenarios.check import ORDER, differences
from tests.scenarios.play import Scenario, scenarios
from tests.scenarios.pure import Pipeline
from tests.scenarios.table import FOLDER, rows

TABLE = scenarios()
CLAUSES = frozenset(
    """
    G0.1 G0.2 G1.1 G1.2 G1.3 G1.4 G1.5 G2.1 G2.2 G2.3 G3.1 G4.1 GA.1 GA.2 GN1 GN2 GN3 GN4 GN4b GN5
    HW.1 HW.2 HW.3 HQ.1 HQ.2 HQ.3 HP.1 HP.2 HP.3 HP.4 HE.1 HX
    """.split()  # noqa: SIM905 - thirty-two names read better as text
)
ENTRIES = frozenset(
    """
    mismatch-window fault-window withdrawal-window carton-scope gift-scope variant sealed-digital-fault
    withdrawal-fee-base withdrawal-fee-once fee-rounding fee-above-goods discount-share shipping-on-fault always-return
    share-key shares-on-partial shares-on-wrong-item postage-on-quantity exchange-rate part-value seller-deadline
    """.split()  # noqa: SIM905 - as above
)


@pytest.fixture(scope="module")
def book() -> PolicyBook:
    return load_book()


@pytest.mark.parametrize("scenario", TABLE, ids=lambda scenario: scenario.id)
def test_scenario(scenario: Scenario, book: PolicyBook) -> None:
    pipeline = Pipeline(book)
    pipeline.play(scenario)
    found = differences(scenario, pipeline.heard, pipeline.dead)
    assert not found, f"{scenario.says} [{', '.join(scenario.clauses)}]\n  " + "\n  ".join(found)


def test_every_scenario_has_an_id_of_its_own() -> None:
    assert [name for name, count in Counter(row.id for row in rows()).items() if count > 1] == []


def test_every_clause_and_every_register_entry_is_tried() -> None:
    named = {clause for row in rows() for clause in row.clauses}
    assert sorted((CLAUSES | ENTRIES) - named) == []


def test_every_clause_named_is_one_or_a_topic_of_the_readme() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    topics = set(re.findall(r"`([a-z-]+)`", readme.rpartition("## Topics")[2]))
    named = {clause for row in rows() for clause in row.clauses}
    assert sorted(named - CLAUSES - ENTRIES - topics) == []


def test_both_merchants_have_their_scenarios() -> None:
    merchants = Counter(row.merchant for row in rows())
    assert merchants["gejet-mall"] >= 100
    assert merchants["hakago"] >= 70


@pytest.mark.parametrize("scenario", TABLE, ids=lambda scenario: scenario.id)
def test_expected_money_adds_up(scenario: Scenario) -> None:
    for claim in scenario.expected.claims.values():
        for decision in claim.decisions():
            if decision.breakdown is not None:
                assert sum(decision.breakdown.values()) == decision.amount
                assert list(decision.breakdown) == sorted(decision.breakdown, key=ORDER.index)
        if claim.payments is not None:
            assert sum(claim.payments.values()) == sum(each.amount or 0 for each in claim.decisions())


def test_the_files_say_what_they_are_about() -> None:
    for path in FOLDER.glob("*.yaml"):
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["about"]


def test_a_wrong_expectation_is_noticed(book: PolicyBook) -> None:
    """The check of the check: every expectation, made wrong in one point, has to be found wrong."""
    unnoticed: list[str] = []
    for scenario in TABLE[::5]:
        pipeline = Pipeline(book)
        pipeline.play(scenario)
        for label, claim in scenario.expected.claims.items():
            wrong = [claim.model_copy(update={"end": "decided" if claim.end == "parked" else "parked"})]
            if claim.outcome is not None:
                other = "refund" if claim.outcome == "rejected" else "rejected"
                wrong.append(claim.model_copy(update={"outcome": other}))
            if claim.amount is not None:
                wrong.append(claim.model_copy(update={"amount": claim.amount + 1}))
            wrong.append(claim.model_copy(update={"refused": [*claim.refused, "unknown_line"]}))
            wrong.append(claim.model_copy(update={"review_refused": claim.review_refused + 1}))
            for number, each in enumerate(wrong):
                spoilt = replace(
                    scenario,
                    expected=scenario.expected.model_copy(update={"claims": {**scenario.expected.claims, label: each}}),
                )
                if not differences(spoilt, pipeline.heard, pipeline.dead):
                    unnoticed.append(f"{scenario.id}/{label}/{number}")
    assert unnoticed == []
