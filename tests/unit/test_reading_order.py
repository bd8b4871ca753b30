"""The same end whatever the order in which the services read their topics, and however fast events follow each other.

Every scenario again, with its events let loose at once: nobody waits for what came before to be dealt with, and each
service takes the next record of any of its topics. What may depend on that order are events that are not independent,
because their meaning is what the claim or the units were when they came. They are named here, and nothing else is.
"""

import random

import pytest

from shared.policy.book import PolicyBook
from shared.policy.load import load_book
from tests.recorded import Unruly
from tests.scenarios.play import Scenario, scenarios
from tests.scenarios.pure import Pipeline

UNITS = {
    "fault-replaced-unit-again",
    "fault-replaced-unit-again-too-late",
    "freed-units-are-the-lowest-again",
    "rejected-frees-the-units",
    "cancel-frees-the-units",
    "appeal-units-free-again",
    "appeal-takes-the-units-again",
    "appeal-units-held-by-an-open-claim",
    "appeal-units-held-by-a-refunded-claim",
}
"""A second claim for units that the first is about to free: until the door has read of it, they are taken."""
REVIEWS = {
    "override-lower",
    "override-reject-a-refund",
    "override-replace-a-refund",
    "override-reject-a-replacement",
    "review-more-than-another-claim-left",
    "postage-gives-nothing-to-staff",
}
"""A review that gives less than the policy was about to: it decides a claim that waits, and is refused for one that has
been paid more (POLICIES, *Review*); what it leaves of the order follows."""
CANCELLED = {"cancel-after-the-decision"}
"""Taken back while the decision was on its way: what is decided first stands."""

End = tuple[bool, str | None, int]


def ends(pipeline: Pipeline) -> dict[tuple[str, str], End]:
    """Whether it was admitted, its outcome and all that it was given, claim by claim."""
    return {
        key: (
            claim.admitted > 0,
            claim.decided[-1].outcome if claim.decided else None,
            sum(int(one.refund.amount) for one in claim.decided if one.refund is not None),
        )
        for key, claim in pipeline.heard.items()
    }


def loose() -> list[Scenario]:
    """Scenarios that need not wait for anything: the clock stands still, no refund is reported on."""
    return [
        one
        for one in scenarios()
        if not one.moves_the_clock and not any(getattr(act, "settles", None) for act in one.acts)
    ]


@pytest.fixture(scope="module")
def book() -> PolicyBook:
    return load_book()


def differing(book: PolicyBook, seeds: int) -> set[str]:
    found = set()
    for scenario in loose():
        in_turn = Pipeline(book)
        in_turn.play(scenario)
        for seed in range(seeds):
            mixed = Unruly(book, chance=random.Random(f"{seed} {scenario.id}"))
            mixed.play(scenario)
            if ends(mixed) != ends(in_turn):
                found.add(scenario.id)
    return found


def test_independent_events_come_to_the_same_end_in_any_order(book: PolicyBook) -> None:
    found = differing(book, seeds=2)
    assert sorted(found - UNITS - REVIEWS - CANCELLED) == []
    assert found & UNITS, "nothing raced: nothing was tried"
    assert found & REVIEWS


def test_what_is_not_independent_is_named_by_its_scenario() -> None:
    assert {one.id for one in loose()} >= UNITS | REVIEWS | CANCELLED
