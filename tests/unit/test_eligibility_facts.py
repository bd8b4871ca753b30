"""Facts, lines, returns, readings: the paragraphs *Facts*, *Lines*, *Review* and their fine points."""

from datetime import timedelta

import pytest

from tests.unit.eligibility_stage import GOOD, Stage

D = timedelta(days=1)
S = timedelta(seconds=1)
SEALED = {"category": "digital", "sealed": True}
GIFT = {"gift": True, "unit_price": "0"}


def verdicts(stage: Stage) -> dict[str, str]:
    return {line.line_id: line.verdict for line in stage.last.lines}


# --- facts ---


def test_a_lines_own_facts_win() -> None:
    claimed = [
        {"line_id": "1", "quantity": 1, "facts": {"carton": "torn"}},
        {"line_id": "2", "quantity": 1, "facts": {"carton": None, "misuse": None}},
    ]
    stage = Stage(facts=GOOD, lines=[{}, {}], claimed=claimed)
    stage.admit()
    assert verdicts(stage) == {"1": "rejected", "2": "undecided"}
    stage.give_back({"2": 1}, fault_confirmed=True)
    assert (stage.end, verdicts(stage)) == ("eligible", {"1": "rejected", "2": "eligible"})


def test_a_lines_own_facts_can_save_it() -> None:
    claimed = [{"line_id": "1", "quantity": 1, "facts": {"carton": "intact"}}]
    stage = Stage(facts={**GOOD, "carton": "torn"}, claimed=claimed)
    stage.admit()
    assert stage.end == "return"


@pytest.mark.parametrize(
    ("fact", "stated", "found", "end", "clause"),
    [
        ("carton", "intact", "torn", "rejected", "G1.3"),
        ("misuse", False, True, "rejected", "G1.5"),
        ("packaging_opened", False, True, "eligible", None),
        ("seal", "opened", "unopened", "eligible", "GN3"),
        ("regional_variant", False, True, "eligible", None),
    ],
)
def test_a_contradiction_decides_by_the_inspection_and_is_named(
    fact: str, stated: object, found: object, end: str, clause: str | None
) -> None:
    stage = Stage(facts={**GOOD, fact: stated}, lines=[SEALED])
    stage.admit()
    stage.give_back(**{"fault_confirmed": True, fact: found})  # type: ignore[arg-type]
    assert stage.end == end
    (named,) = [reason for line in stage.last.lines for reason in line.reasons if reason.rule == "contradiction"]
    assert (named.clause, named.effect) == (clause, "info")
    assert fact in named.text
    words = [value if isinstance(value, str) else str(value).lower() for value in (stated, found)]
    assert all(word in named.text for word in words)


def test_what_agrees_is_no_contradiction() -> None:
    stage = Stage(facts=GOOD)
    stage.admit()
    stage.give_back(**GOOD, fault_confirmed=True)  # type: ignore[arg-type]
    assert "contradiction" not in {reason.rule for line in stage.last.lines for reason in line.reasons}


# --- lines ---


def test_a_gift_takes_nothing_with_it() -> None:
    stage = Stage(facts=GOOD, lines=[{}, GIFT])
    stage.admit()
    assert (stage.end, verdicts(stage)) == ("return", {"1": "undecided", "2": "rejected"})
    stage.give_back({"1": 1}, fault_confirmed=True)
    assert (stage.end, verdicts(stage)) == ("eligible", {"1": "eligible", "2": "rejected"})
    assert "G0.1" in stage.cited("deny")


@pytest.mark.parametrize(
    ("line", "rejected"),
    [
        (GIFT, True),
        ({"gift": True, "unit_price": "1000", "discount": "1000"}, False),
        ({"gift": False, "unit_price": "0"}, False),
        ({"gift": True, "unit_price": "1000"}, False),
    ],
)
@pytest.mark.parametrize("merchant", ["gejet-mall", "hakago"])
def test_what_a_gift_is(line: dict[str, object], rejected: bool, merchant: str) -> None:
    reason = "technical_fault" if merchant == "gejet-mall" else "wrong_item"
    stage = Stage(reason, merchant, facts=GOOD, lines=[line], received_at=None)
    stage.admit()
    assert (stage.end == "rejected") == rejected


def test_a_gift_is_not_waited_for_when_the_seller_wants_the_goods_back() -> None:
    stage = Stage("wrong_item", "hakago", lines=[{}, GIFT])
    stage.admit()
    stage.answer("require_return")
    stage.give_back({"1": 1})
    assert stage.end == "seller"


def test_while_a_line_is_in_review_the_claim_waits() -> None:
    stage = Stage("withdrawal", facts=GOOD, lines=[{}, SEALED])
    stage.admit()
    stage.give_back({"1": 1, "2": 1}, seal="none")
    assert (stage.end, verdicts(stage)) == ("review", {"1": "eligible", "2": "undecided"})


def test_a_line_for_a_person_at_once_does_not_wait_for_the_goods_of_another() -> None:
    claimed = [
        {"line_id": "1", "quantity": 1, "facts": {"carton": "torn"}},
        {"line_id": "2", "quantity": 1},
    ]
    stage = Stage("physical_damage", facts=GOOD, lines=[{}, {}], claimed=claimed, reported=timedelta(hours=30))
    stage.admit()
    assert stage.end == "review"


# --- returns ---


def test_a_return_that_comes_before_the_claim_is_kept() -> None:
    stage = Stage("withdrawal", facts=GOOD)
    assert stage.give_back() is None
    stage.admit()
    assert stage.end == "eligible"


def test_a_return_that_comes_before_it_is_asked_for_is_kept() -> None:
    stage = Stage("wrong_item", "hakago")
    stage.admit()
    assert stage.give_back() is None
    stage.answer("require_return")
    assert stage.end == "seller"
    stage.answer("refund_full")
    assert stage.end == "eligible"


def test_findings_hold_for_the_lines_of_that_return() -> None:
    stage = Stage(facts=GOOD, lines=[{}, {}])
    stage.admit()
    stage.give_back({"1": 1}, name="r-1", fault_confirmed=True, carton="torn")
    assert (stage.end, verdicts(stage)) == ("return", {"1": "rejected", "2": "undecided"})
    stage.give_back({"2": 1}, name="r-2", fault_confirmed=True)
    assert (stage.end, verdicts(stage)) == ("eligible", {"1": "rejected", "2": "eligible"})


def test_fewer_units_wait_for_the_rest() -> None:
    stage = Stage("withdrawal", facts=GOOD, lines=[{"quantity": 3}])
    stage.admit()
    stage.give_back({"1": 2}, name="r-1")
    assert stage.end == "return"
    assert stage.last.basis is not None
    assert stage.last.basis.returned == {"1": 2}
    stage.give_back({"1": 1}, name="r-2")
    assert stage.end == "eligible"


def test_fewer_units_until_due_then_review() -> None:
    stage = Stage("withdrawal", facts=GOOD, lines=[{"quantity": 3}])
    stage.admit()
    stage.give_back({"1": 2}, name="r-1")
    assert stage.wait(14 * D) is None
    stage.wait(S)
    assert (stage.end, stage.last.overdue) == ("review", False)
    assert "return-incomplete" in stage.cited("refer")
    stage.give_back({"1": 1}, name="r-2")
    assert stage.end == "eligible", "the point is settled: the rest has come"


def test_fewer_units_that_come_when_it_is_overdue_are_for_a_person() -> None:
    stage = Stage("withdrawal", facts=GOOD, lines=[{}, {}])
    stage.admit()
    stage.wait(14 * D + S)
    assert stage.last.overdue
    stage.give_back({"1": 1})
    assert (stage.end, verdicts(stage)) == ("review", {"1": "eligible", "2": "undecided"})


def test_fewer_units_than_the_seller_wants_back_are_for_a_person_too() -> None:
    stage = Stage("wrong_item", "hakago", lines=[{"quantity": 2}])
    stage.admit()
    stage.answer("require_return")
    stage.answer("refund_full")
    stage.give_back({"1": 1})
    assert stage.end == "return"
    stage.wait(14 * D + S)
    assert stage.end == "review"


def test_units_and_lines_that_are_not_claimed_are_recorded_only() -> None:
    claimed = [{"line_id": "1", "quantity": 1}]
    stage = Stage(facts=GOOD, lines=[{"quantity": 2}, {}], claimed=claimed)
    stage.admit()
    stage.give_back({"2": 1}, name="r-0", carton="torn", fault="transport")
    assert stage.end == "return"
    stage.give_back({"1": 2}, name="r-1", fault_confirmed=True)
    assert stage.end == "eligible"
    assert stage.last.basis is not None
    assert stage.last.basis.returned == {"1": 1}
    stage.give_back({"1": 1}, name="r-2", carton="torn")
    assert stage.end == "eligible", "one more unit than claimed says nothing about the claimed one"


def test_inspections_of_one_line_that_contradict_each_other_are_for_a_person() -> None:
    stage = Stage(facts=GOOD, lines=[{"quantity": 2}])
    stage.admit()
    stage.give_back({"1": 1}, name="r-1", fault_confirmed=True)
    stage.give_back({"1": 1}, name="r-2", fault_confirmed=False)
    assert stage.end == "review"


def test_a_return_authorization_is_issued_with_the_return_and_stays() -> None:
    stage = Stage("withdrawal", facts=GOOD, received_at=None)
    stage.admit()
    assert stage.last.authorization is None
    stage.deliver()
    first = stage.last.authorization
    assert first is not None
    assert first.startswith("RA-")
    stage.give_back()
    assert stage.last.authorization == first
    other = Stage("withdrawal", facts=GOOD)
    other.admit()
    assert other.last.authorization == first, "the same claim, the same authorization"
    elsewhere = Stage("wrong_item", "hakago")
    elsewhere.admit()
    elsewhere.answer("require_return")
    assert elsewhere.last.authorization not in (None, first)


# --- postage ---


@pytest.mark.parametrize(
    ("reason", "clause"), [("wrong_item", "HW.3"), ("missing_quantity", "HP.4"), ("missing_part", "HP.4")]
)
@pytest.mark.parametrize("answer", ["refund_full", "refund_partial", "resend", "refuse"])
def test_postage_that_the_customer_laid_out(reason: str, clause: str, answer: str) -> None:
    stage = Stage(reason, "hakago")
    stage.admit()
    stage.answer("require_return")
    stage.give_back(fault="transport", postage=("250000", "customer"))
    stage.answer(answer, amount="1000" if answer == "refund_partial" else None)
    basis = stage.last.basis
    assert basis is not None
    assert [(one.amount, one.clause, one.payer) for one in basis.postage] == [("250000", clause, "merchant")]
    assert (basis.return_required, basis.fault) == (True, "transport")


@pytest.mark.parametrize("fault", ["seller", "customer", "none", None])
def test_any_other_fault_none_from_the_merchant(fault: str | None) -> None:
    stage = Stage("wrong_item", "hakago")
    stage.admit()
    stage.answer("require_return")
    stage.give_back(fault=fault, postage=("250000", "customer"))
    stage.answer("refund_full")
    assert stage.last.basis is not None
    assert stage.last.basis.postage == ()


@pytest.mark.parametrize("postage", [("250000", "merchant"), ("0", "customer"), None])
def test_nothing_laid_out_by_the_customer_nothing_to_refund(postage: tuple[str, str] | None) -> None:
    stage = Stage("wrong_item", "hakago")
    stage.admit()
    stage.answer("require_return")
    stage.give_back(fault="transport", postage=postage)
    stage.answer("refund_full")
    assert stage.last.basis is not None
    assert stage.last.basis.postage == ()


def test_a_return_that_nobody_required() -> None:
    stage = Stage("wrong_item", "hakago")
    stage.admit()
    stage.give_back(fault="transport", postage=("250000", "customer"))
    stage.answer("refund_full")
    assert stage.last.basis is not None
    assert stage.last.basis.postage == ()
    assert stage.last.basis.return_required is False


def test_each_parcel_has_its_postage() -> None:
    stage = Stage("wrong_item", "hakago", lines=[{"quantity": 2}])
    stage.admit()
    stage.answer("require_return")
    stage.give_back({"1": 1}, name="r-1", fault="transport", postage=("1000", "customer"))
    stage.give_back({"1": 1}, name="r-2", fault="seller", postage=("2000", "customer"))
    stage.give_back({"1": 1}, name="r-3", fault="transport", postage=("4000", "customer"))
    stage.answer("refund_full")
    assert stage.last.basis is not None
    assert [one.return_id for one in stage.last.basis.postage] == ["r-1"], "r-3 brought nothing that was claimed"


def test_gejet_owes_no_postage() -> None:
    stage = Stage("withdrawal", facts=GOOD)
    stage.admit()
    stage.give_back(fault="transport", postage=("250000", "customer"))
    assert stage.last.basis is not None
    assert (stage.last.basis.postage, stage.last.basis.return_required) == ((), True)


# --- readings ---


def test_readings_that_differ_show_each_result_and_amount() -> None:
    stage = Stage("not_as_described", facts=GOOD, reported=timedelta(hours=30), lines=[{"quantity": 2}])
    stage.admit()
    entries = stage.entries()
    assert entries["mismatch-window"] == {"24h": ("rejected", None), "48h": ("refund", "2000000")}
    assert entries["carton-scope"] == {"faults-only": ("review", None), "mismatch-too": ("review", None)}
    assert entries["always-return"] == {}
    assert {shown.entry: shown.chosen for shown in stage.last.readings}["mismatch-window"] is None


def test_readings_that_agree_are_named_all_the_same() -> None:
    stage = Stage("physical_damage", facts=GOOD)
    stage.admit()
    stage.give_back(fault_confirmed=True)
    assert stage.end == "eligible"
    assert stage.entries() == {
        "mismatch-window": {"24h": ("refund", "1000000"), "48h": ("refund", "1000000")},
        "carton-scope": {"faults-only": ("refund", "1000000"), "mismatch-too": ("refund", "1000000")},
        "always-return": {},
    }


def test_an_open_point_that_does_not_come_up_is_not_named() -> None:
    stage = Stage(facts=GOOD)
    stage.admit()
    stage.give_back(fault_confirmed=True)
    assert set(stage.entries()) == {"fault-window", "always-return"}
    sealed = Stage(facts=GOOD, lines=[SEALED, GIFT])
    sealed.admit()
    sealed.give_back({"1": 1}, fault_confirmed=True)
    assert set(sealed.entries()) == {"fault-window", "gift-scope", "sealed-digital-fault", "always-return"}


def test_a_replacement_has_no_amount() -> None:
    stage = Stage(facts={**GOOD, "seal": "opened"}, lines=[SEALED], wants="replacement")
    stage.admit()
    stage.give_back(fault_confirmed=True)
    assert stage.entries()["sealed-digital-fault"] == {
        "returnable": ("replacement", None),
        "not-returnable": ("rejected", None),
    }


def test_amounts_are_those_of_the_lines_that_each_reading_leaves() -> None:
    stage = Stage(facts={**GOOD, "seal": "opened"}, lines=[SEALED, {"unit_price": "300000"}])
    stage.admit()
    stage.give_back({"1": 1, "2": 1}, fault_confirmed=True)
    assert (stage.end, verdicts(stage)) == ("review", {"1": "undecided", "2": "eligible"})
    assert stage.entries()["sealed-digital-fault"] == {
        "returnable": ("refund", "1300000"),
        "not-returnable": ("refund", "300000"),
    }


def test_two_open_points_at_once() -> None:
    stage = Stage("physical_damage", facts={**GOOD, "carton": "torn", "seal": "opened"}, lines=[SEALED])
    stage.admit()
    assert (stage.end, stage.entries()) == ("return", {})
    stage.give_back(fault_confirmed=True)
    assert stage.end == "review"
    assert stage.entries() == {
        "mismatch-window": {"24h": ("review", None), "48h": ("review", None)},
        "carton-scope": {"faults-only": ("review", None), "mismatch-too": ("rejected", None)},
        "sealed-digital-fault": {"returnable": ("review", None), "not-returnable": ("rejected", None)},
        "always-return": {},
    }
    assert {"carton-scope", "sealed-digital-fault"} <= {
        reason.rule for line in stage.last.lines for reason in line.reasons if reason.effect == "refer"
    }
