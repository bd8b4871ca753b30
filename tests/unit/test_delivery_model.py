"""The model of the delivery: the design holds in every interleaving, and without any one protection it does not."""

import pytest

from tests.faults.model import Broken, Model, Rules


def test_the_design_holds_in_every_interleaving() -> None:
    assert Model().explore() > 10_000


@pytest.mark.parametrize(
    ("without", "what"),
    [
        ("fence", "twice or out of order"),
        ("row_lock", "twice or out of order"),
        ("inbox", "a reader of the internal topic"),
        ("transactional_position", "instructions are not there once"),
        ("producer_fencing", "instructions are not there once"),
        ("republish", "instructions are not there once"),
    ],
)
def test_without_one_protection_a_promise_breaks(without: str, what: str) -> None:
    with pytest.raises(Broken, match=what):
        Model(Rules(**{without: False})).explore()
