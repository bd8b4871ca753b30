"""A verdict that serves many claims says of each what judging it afresh says, in the contract's own JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.eligibility.domain import say
from services.eligibility.facts import ClaimState
from services.eligibility.said import as_json
from services.eligibility.verdicts import Verdicts
from shared.events import ClaimAssessed, dump
from shared.events.parts import Carton, ClaimReason, Seal, SellerAnswer
from shared.policy.book import PolicyBook
from tests.unit.eligibility_stage import GOOD, Stage, book

FEW = Verdicts(most=40)
"""For all made-up claims together, and fewer than they need: some go, and come again."""

Act = Callable[[Stage], object]


@dataclass
class Twice(Stage):
    """Every assessment is made by known verdicts too."""

    known: Verdicts = field(default_factory=lambda: FEW)

    def _assess(self, state: ClaimState) -> ClaimAssessed | None:
        told, said = say(state, self.policies, self.now, self.known)
        assessed = super()._assess(state)
        assert told == self.state
        assert said is None or said.text == as_json(said.assessed)
        assert (said and said.text) == (assessed and dump(assessed))
        return assessed


def of(*values: object) -> st.SearchStrategy[object]:
    return st.sampled_from([None, *values])


FACTS = {
    "carton": of(*get_args(Carton)),
    "packaging_opened": of(True, False),
    "seal": of(*get_args(Seal)),
    "misuse": of(True, False),
    "regional_variant": of(True, False),
}
facts = st.one_of(st.just(GOOD), st.fixed_dictionaries(FACTS))
lines = st.lists(
    st.fixed_dictionaries(
        {
            "quantity": st.integers(1, 2),
            "category": of("digital", " Digital ", "books"),
            "sealed": st.booleans(),
            "gift": st.booleans(),
            "unit_price": st.sampled_from(["0", "1000000", "2500000"]),
        }
    ),
    min_size=1,
    max_size=3,
)
spans = st.sampled_from([-1, 0, 3600, 24 * 3600, 24 * 3600 + 1, 36 * 3600, 48 * 3600, 48 * 3600 + 1, 99 * 3600 + 61])
acts: st.SearchStrategy[Act] = st.one_of(
    st.just(lambda stage: stage.deliver()),
    st.builds(
        lambda name, found, back: (
            lambda stage: stage.give_back(
                {"1": back}, name=name, fault="transport", postage=("1000", "customer"), **found
            )
        ),
        st.sampled_from("abc"),
        st.fixed_dictionaries({**FACTS, "fault_confirmed": of(True, False)}),
        st.integers(1, 2),
    ),
    st.builds(
        lambda answer, hour: (
            lambda stage: stage.answer(answer, hour=hour, amount="7000" if answer == "refund_partial" else None)
        ),
        st.sampled_from(get_args(SellerAnswer)),
        st.integers(1, 3),
    ),
    st.just(lambda stage: stage.refer("withdrawal-fee-base") if stage.state.revision else None),
    st.just(lambda stage: stage.decide("refund") if stage.state.revision else None),
    st.just(lambda stage: stage.settle("failed")),
    st.just(lambda stage: stage.wait(timedelta(days=15))),
)


REASONS = (
    ("gejet-mall", "technical_fault"),
    ("gejet-mall", "not_as_described"),
    ("gejet-mall", "withdrawal"),
    ("gejet-mall", "refused_damaged"),
    ("gejet-mall", "undelivered_absent"),
    ("gejet-mall", "out_of_stock"),
    ("gejet-mall", "other"),
    ("hakago", "wrong_item"),
    ("hakago", "missing_part"),
)
ALIKE_BUT_FOR: Mapping[str, tuple[Mapping[str, object], Sequence[Act]]] = {
    "nothing": ({}, ()),
    "a second line": ({"lines": [{"quantity": 2}, {}]}, ()),
    "the quantity": ({"lines": [{}]}, ()),
    "what is wanted": ({"wants": "replacement"}, ()),
    "the carrier": ({"carrier": "tipax"}, ()),
    "what is stated": ({"facts": {**GOOD, "carton": "torn"}}, ()),
    "what is not stated": ({"facts": None}, ()),
    "no receipt": ({"received_at": None}, ()),
    "a report before the receipt": ({"reported": timedelta(hours=-1)}, ()),
    "a report between the windows": ({"reported": timedelta(hours=30)}, ()),
    "a late report": ({"reported": timedelta(hours=50)}, ()),
    "a gift": ({"lines": [{"quantity": 2, "gift": True, "unit_price": "0"}]}, ()),
    "the category": ({"lines": [{"quantity": 2, "category": "digital"}]}, ()),
    "the seal": ({"lines": [{"quantity": 2, "sealed": True}]}, ()),
    "the category and the seal": ({"lines": [{"quantity": 2, "category": "digital", "sealed": True}]}, ()),
    "one unit back": ({}, (lambda stage: stage.give_back({"1": 1}),)),
    "two units back": ({}, (lambda stage: stage.give_back(),)),
    "a fault found": ({}, (lambda stage: stage.give_back(fault_confirmed=True),)),
    "no fault found": ({}, (lambda stage: stage.give_back(fault_confirmed=False),)),
    "the seller's answer": ({}, (lambda stage: stage.answer("refund_full"),)),
    "another answer": ({}, (lambda stage: stage.answer("resend"),)),
    "a wish for the goods": ({}, (lambda stage: stage.answer("require_return"),)),
}


@pytest.mark.parametrize("merchant", ["gejet-mall", "hakago"])
def test_claims_that_differ_in_one_thing_do_not_take_each_others_verdicts(merchant: str) -> None:
    known = Verdicts()
    for of_merchant, reason in REASONS:
        for differing, happened in ALIKE_BUT_FOR.values() if of_merchant == merchant else ():
            same = {"facts": GOOD, "lines": [{"quantity": 2}]}
            stage = Twice(reason, merchant, known=known, **{**same, **differing})  # type: ignore[arg-type]
            stage.admit()
            for act in happened:
                act(stage)


@pytest.mark.parametrize("change", ["wording", "rule"])
def test_a_policy_that_says_something_else_has_verdicts_of_its_own(change: str) -> None:
    known = Verdicts()
    published = book().version("gejet-mall", 1)
    assert published is not None
    wording = {name: one.model_copy(update={"en": f"{one.en} indeed"}) for name, one in published.clauses.items()}
    changes: Mapping[str, Mapping[str, object]] = {"wording": {"clauses": wording}, "rule": {"reasons": {}}}
    for policy in (published, published.model_copy(update=changes[change])):
        Twice("technical_fault", known=known, policies=PolicyBook([policy])).admit()
    assert len(known) == 2


@given(
    st.sampled_from(["gejet-mall", "hakago", "nobody"]),
    st.sampled_from(get_args(ClaimReason)),
    of("refund", "replacement"),
    spans,
    facts,
    lines,
    st.sampled_from(["post", "tipax", ' Tipax "\\u0000"', "dhl"]),
    st.lists(acts, max_size=5),
)
def test_a_known_verdict_says_what_judging_afresh_says(
    merchant: str,
    reason: str,
    wants: str | None,
    after: int,
    stated: Mapping[str, object],
    ordered: Sequence[Mapping[str, object]],
    carrier: str,
    happened: Sequence[Act],
) -> None:
    stage = Twice(
        reason,
        merchant,
        wants=wants,
        reported=timedelta(seconds=after),
        facts=stated,
        lines=ordered,
        carrier=carrier,
    )
    stage.admit()
    for act in happened:
        act(stage)


@pytest.mark.parametrize("most", [0, 1, 3])
def test_no_more_verdicts_are_kept_than_it_says(most: int) -> None:
    known = Verdicts(most=most)
    for reason in get_args(ClaimReason):
        stage = Stage(reason)
        stage.admit()
        say(stage.state, stage.policies, stage.now, known)
    assert len(known) == most


def test_claims_that_are_alike_share_a_verdict() -> None:
    known = Verdicts()
    said = []
    for hours, carrier in ((10, "post"), (11, "dhl")):
        stage = Stage("technical_fault", reported=timedelta(hours=hours), facts=GOOD, carrier=carrier)
        stage.admit()
        told, _ = say(stage.state, stage.policies, stage.now, known)
        said.append(stage.last.lines[0].reasons[0].text)
        assert told == stage.state
    assert len(known) == 1
    assert "10 h 00 min 00 s" in said[0]
    assert "11 h 00 min 00 s" in said[1]
