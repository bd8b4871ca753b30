"""The two merchants' files against POLICIES: clauses, register, in force from, and the way every reason goes."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic_core import to_json

from shared.policy.book import PolicyBook
from shared.policy.check import check
from shared.policy.load import load_book
from shared.policy.model import Policy

CLAUSES = {
    "gejet-mall": "G0.1 G0.2 G1.1 G1.2 G1.3 G1.4 G1.5 G2.1 G2.2 G2.3 G3.1 G4.1 GA.1 GA.2 GN1 GN2 GN3 GN4 GN4b GN5",
    "hakago": "HW.1 HW.2 HW.3 HQ.1 HQ.2 HQ.3 HP.1 HP.2 HP.3 HP.4 HE.1 HX Lines",
}
REGISTER = {
    "gejet-mall": {
        "mismatch-window": ("at_once", None, 2),
        "fault-window": (None, "clause-48h", 2),
        "withdrawal-window": (None, "guarantee-24h", 1),
        "carton-scope": ("after_inspection", None, 2),
        "gift-scope": (None, "no-guarantee", 1),
        "variant": (None, "no-mismatch", 1),
        "sealed-digital-fault": ("after_inspection", None, 2),
        "withdrawal-fee-base": ("after_inspection", None, 2),
        "withdrawal-fee-once": (None, "once-per-order", 1),
        "fee-above-goods": ("after_inspection", None, 1),
        "fee-rounding": (None, "half-up", 1),
        "discount-share": (None, "by-amount", 1),
        "shipping-on-fault": (None, "not-refunded", 1),
        "always-return": (None, "every-case", 1),
    },
    "hakago": {
        "share-key": (None, "by-value", 2),
        "shares-on-partial": (None, "no-shares", 1),
        "shares-on-wrong-item": (None, "value-only", 1),
        "postage-on-quantity": (None, "as-for-parts", 1),
        "exchange-rate": (None, "rate-on-order", 1),
        "part-value": (None, "sellers-amount", 1),
        "seller-deadline": (None, "seven-days", 1),
    },
}
REASONS = {
    "gejet-mall": "technical_fault not_as_described physical_damage refused_damaged withdrawal out_of_stock "
    "undelivered_wrong_address undelivered_absent",
    "hakago": "wrong_item missing_quantity missing_part",
}
FORCE = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", params=["gejet-mall", "hakago"])
def policy(request: pytest.FixtureRequest) -> Policy:
    found = load_book().version(request.param, 1)
    assert found is not None
    return found


def test_every_clause_is_there_in_both_languages(policy: Policy) -> None:
    assert list(policy.clauses) == CLAUSES[policy.merchant].split()
    for wording in policy.clauses.values():
        assert wording.en.isascii()
        assert not wording.local.isascii()


def test_the_register_is_that_of_the_pages(policy: Policy) -> None:
    found = {name: (one.when, one.chosen, len(one.readings)) for name, one in policy.register_.items()}
    assert found == REGISTER[policy.merchant]


def test_the_reasons_are_those_of_the_table(policy: Policy) -> None:
    assert list(policy.reasons) == REASONS[policy.merchant].split()


def test_deadlines_currency_rounding(policy: Policy) -> None:
    assert (policy.deadlines.seller_days, policy.deadlines.return_days) == (7, 14)
    assert (policy.currency, policy.locale) == {"gejet-mall": ("IRR", "fa-IR"), "hakago": ("VND", "vi-VN")}[
        policy.merchant
    ]
    assert policy.rounding == "half_up"


def test_in_force_from_the_first_second_of_2020() -> None:
    book = load_book()
    for merchant in book.merchants():
        assert book.in_force(merchant, FORCE - timedelta(microseconds=1)) is None
        first = book.in_force(merchant, FORCE)
        assert first is not None
        assert first.version == 1
    assert book.in_force("nobody", FORCE) is None
    assert book.version("hakago", 2) is None
    assert (book.currency("hakago"), book.currency("nobody")) == ("VND", None)


def test_versions_given_in_any_order_govern_in_the_order_of_time() -> None:
    first = load_book().version("hakago", 1)
    assert first is not None
    later = first.in_force_from + timedelta(days=400)
    second = first.model_copy(update={"version": 2, "in_force_from": later})
    for given in ([first, second], [second, first]):
        book = PolicyBook(given)
        assert [one.version for one in book.all()] == [1, 2]
        assert [getattr(book.in_force("hakago", at), "version", None) for at in (FORCE, later)] == [1, 2]


def test_a_rule_that_holds_for_other_reasons_only_is_named_well_enough(policy: Policy) -> None:
    reasons = {reason: tuple(name for name in names if name != "gift") for reason, names in policy.reasons.items()}
    said = [message for where, message in check(policy.model_copy(update={"reasons": reasons})) if "gift" in where]
    assert not [message for message in said if "no reason names" in message]


def test_the_digest_is_that_of_what_the_policy_says(policy: Policy) -> None:
    again = load_book().version(policy.merchant, 1)
    assert again is not None
    assert again.digest == policy.digest
    assert len(policy.digest) == 64
    changed = policy.model_copy(update={"deadlines": policy.deadlines.model_copy(update={"seller_days": 8})})
    assert changed.digest != policy.digest
    other = policy.model_dump(by_alias=True, mode="json")
    assert Policy.model_validate_json(to_json(other)).digest == policy.digest
    other["clauses"][next(iter(other["clauses"]))]["en"] += "!"
    assert Policy.model_validate_json(to_json(other)).digest != policy.digest


def test_a_key_that_a_later_makegood_knows_changes_no_digest_where_it_is_not_used(policy: Policy) -> None:
    class Later(Policy):
        holidays: tuple[str, ...] = ()

    data = policy.model_dump(by_alias=True, mode="json")
    assert Later.model_validate_json(to_json(data)).digest == policy.digest
    assert Later.model_validate_json(to_json({**data, "holidays": ["2027-01-01"]})).digest != policy.digest


def test_every_rule_has_a_worked_example_and_cites_a_clause(policy: Policy) -> None:
    for rule in policy.rules.values():
        assert rule.examples
        assert rule.clause in policy.clauses
