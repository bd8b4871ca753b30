"""Events that come again after intake's inbox has forgotten them: what an order itself knows keeps them from acting."""

from tests.intake_samples import answer, claim, decided, delivered, order, returned, review
from tests.unit.test_intake_admit import WAIT, Door


def forgetful(door: Door) -> Door:
    """Its inbox has been emptied, as pruning does in time."""
    door.desk.seen.clear()
    return door


def test_an_admitted_claim_again_is_neither_admitted_nor_refused() -> None:
    door = Door()
    door.send(order(), "e-order")
    assert door.send(claim(), "e-claim") != ["duplicate"]
    for forgotten in range(2):
        assert forgetful(door).send(claim(), "e-claim") == ["duplicate"], forgotten
        assert forgetful(door).send(order(), "e-order") == ["duplicate"]


def test_nor_when_it_has_been_decided_and_its_units_are_free_again() -> None:
    door = Door()
    for sample, name in ((order(), "e-order"), (claim(), "e-claim")):
        door.send(sample, name)
    door.send(decided(outcome="rejected", verdicts={"1": ("rejected", 1)}))
    assert forgetful(door).send(claim(), "e-claim") == ["duplicate"]


def test_another_event_under_the_claims_id_is_still_refused() -> None:
    door = Door()
    for sample, name in ((order(), "e-order"), (claim(), "e-claim")):
        door.send(sample, name)
    assert "duplicate_claim_id" in " ".join(forgetful(door).send(claim(), "e-other"))


def test_a_refused_claim_again_is_not_refused_again() -> None:
    door = Door()
    door.send(order(), "e-order")
    assert "refused" in " ".join(door.send(claim(lines={"9": 1}), "e-claim"))
    assert forgetful(door).send(claim(lines={"9": 1}), "e-claim") == ["duplicate"]


def test_a_claim_that_waited_in_vain_is_not_refused_again() -> None:
    door = Door()
    door.send(claim(), "e-claim")
    assert "unknown_order" in " ".join(door.wait(WAIT))
    assert forgetful(door).send(claim(), "e-claim") == ["duplicate"]
    assert door.wait(WAIT) == []


def test_a_claim_that_is_parked_is_not_parked_again() -> None:
    door = Door()
    door.send(claim(), "e-claim")
    assert forgetful(door).send(claim(), "e-claim") == ["duplicate"]
    told = door.send(order(), "e-order")
    assert sum("admitted" in one for one in told) == 1
    assert not any("refused" in one for one in told)


def test_what_follows_a_claim_is_passed_on_again_and_its_readers_know_it() -> None:
    door = Door()
    for sample in (order(), claim(), delivered()):
        door.send(sample)
    assert forgetful(door).send(delivered()) == ["duplicate"]
    for sample in (answer(), returned(), review()):
        first = door.send(sample, sample.type)
        assert forgetful(door).send(sample, sample.type) == first
