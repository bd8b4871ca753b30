"""The read model is folded by facts: any interleaving of the topics ends in the same rows."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.console.case import case_of, read_all
from services.console.domain import fold, reached, refunded, seen, standing
from services.console.facts import ClaimFacts
from services.console.figures import bucket_of, bucket_top, change, counters, quantile, tempo
from services.console.handlers import Batch
from services.console.letters import read_letter
from services.console.shown import Case
from shared.bus import Record
from tests.console_samples import Topics, claim, day, decided, life, order, settled

Key = tuple[str, str]


def fold_all(records: Sequence[Record]) -> dict[Key, ClaimFacts]:
    batch = Batch()
    for record in records:
        batch.add(record)
    views: dict[Key, ClaimFacts] = {}
    for key, record, event in batch.events:
        what = seen(record.topic, (record.timestamp_ms, record.partition, record.offset), event)
        if what is not None:
            views[key] = fold(views.get(key), what)
    return views


def interleaved(records: Sequence[Record], seed: int) -> list[Record]:
    """The records in another order, each topic's lane in its own."""
    queues: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        queues.setdefault((record.topic, record.partition), []).append(record)
    choice, mixed = random.Random(seed), []
    while queues:
        at = choice.choice(sorted(queues))
        mixed.append(queues[at].pop(0))
        if not queues[at]:
            del queues[at]
    return mixed


DAY = day(21).records


@settings(max_examples=40, deadline=None)
@given(st.integers(min_value=0, max_value=10**9))
def test_any_interleaving_of_topics_ends_in_the_same_text(seed: int) -> None:
    straight, mixed = fold_all(DAY), fold_all(interleaved(DAY, seed))
    assert {k: v.model_dump_json() for k, v in mixed.items()} == {k: v.model_dump_json() for k, v in straight.items()}


@settings(max_examples=20, deadline=None)
@given(st.integers(min_value=0, max_value=10**9))
def test_the_figures_are_the_sums_whatever_the_order(seed: int) -> None:
    sums: dict[str, int] = {}
    views: dict[Key, ClaimFacts] = {}
    batch = Batch()
    for record in interleaved(DAY, seed):
        batch.add(record)
    for key, record, event in batch.events:
        what = seen(record.topic, (record.timestamp_ms, record.partition, record.offset), event)
        if what is None:
            continue
        after = fold(views.get(key), what)
        for name, n in change(counters(views.get(key)), counters(after)).items():
            sums[name] = sums.get(name, 0) + n
        views[key] = after
    expected: dict[str, int] = {}
    for view in fold_all(DAY).values():
        for name, n in counters(view).items():
            expected[name] = expected.get(name, 0) + n
    assert {name: n for name, n in sums.items() if n} == expected


@pytest.mark.parametrize(
    ("end", "state", "given_back"),
    [
        ("received", "received", 0),
        ("refused", "refused", 0),
        ("awaiting_return", "awaiting_return", 0),
        ("awaiting_seller", "awaiting_seller", 0),
        ("review", "review", 0),
        ("paid", "paid", 11_687_500),
        ("failed", "review", 0),
    ],
)
def test_where_a_claim_stands(end: str, state: str, given_back: int) -> None:
    topics = Topics()
    life(topics, "x", end)
    (view,) = fold_all(topics.records).values()
    assert standing(view).state == state
    assert refunded(view) == given_back


def test_a_claim_that_the_pipeline_leaves_alone_is_stuck_and_one_that_waits_for_people_is_not() -> None:
    topics = Topics()
    life(topics, "a", "received")
    life(topics, "b", "awaiting_return")
    stands = {key[1]: standing(view) for key, view in fold_all(topics.records).items()}
    assert stands["C-a"].stuck_ms == stands["C-a"].since_ms
    assert stands["C-b"].stuck_ms is None
    assert stands["C-b"].due_ms is not None


def test_a_later_decision_adds_and_a_failed_refund_does_not_count() -> None:
    topics = Topics()
    life(topics, "x", "paid")
    claim_ = claim("C-x", order("O-x"))
    topics.put("claim.decided.v1", decided(claim_, 2, "100", by="staff:mai"))
    (view,) = fold_all(topics.records).values()
    assert refunded(view) == 11_687_600
    lost = {"refund_id": "r-C-x-2", "claim_id": "C-x", "merchant": "gejet-mall", "order_id": "O-x"}
    topics.put("claim.settled.v1", settled({**lost}, "failed"))
    (view,) = fold_all(topics.records).values()
    assert refunded(view) == 11_687_500
    assert standing(view).state == "payment_failed"


def test_stages_are_reached_in_time() -> None:
    topics = Topics()
    life(topics, "x", "paid")
    (view,) = fold_all(topics.records).values()
    times = reached(view)
    assert list(times) == ["received", "admitted", "assessed", "decided", "instructed", "paid", "notified"]
    assert times["received"] <= times["admitted"] <= times["decided"] <= times["paid"]
    assert sum(tempo(view).values()) == len(times)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_bucket_holds_its_ages_and_is_at_most_a_quarter_wide(age: int) -> None:
    bucket = bucket_of(age)
    assert age <= bucket_top(bucket) <= age * 5 // 4 + 1
    assert bucket == 0 or bucket_top(bucket - 1) < age


def test_quantiles_come_from_the_buckets() -> None:
    counts = {bucket_of(100): 90, bucket_of(5000): 10, -1: 1000}
    assert quantile(counts, 0.5) == bucket_top(bucket_of(100))
    assert quantile(counts, 0.95) == bucket_top(bucket_of(5000))
    assert quantile({-1: 3}, 0.5) is None


def case(end: str, *, unmasked: bool = False) -> Case:
    topics = Topics()
    life(topics, "x", end)
    batch = Batch()
    for record in topics.records:
        batch.add(record)
    found = case_of(read_all(batch.entries), "C-x", unmasked=unmasked)
    assert found is not None
    return found


def test_the_claims_page_adds_up() -> None:
    found = case("paid")
    assert found.waterfall is not None
    assert [step.end for step in found.waterfall.steps][-1] == found.waterfall.total == found.refunded == 11_687_500
    assert found.ledger is not None
    assert found.left == 12_500_000 - 11_687_500 == found.ledger.left_minor
    assert [i.status for i in found.instructions] == ["succeeded"]
    assert [m.type for m in found.timeline][:2] == ["order.placed.v1", "customer.contact.v1"]
    assert sum(m.mine for m in found.timeline) == len(found.timeline) - 2


def test_contact_data_is_masked_unless_asked_for() -> None:
    assert "sara@example.ir" not in case("paid").model_dump_json()
    assert "سارا" not in case("paid").model_dump_json()
    shown = case("paid", unmasked=True).customer
    assert shown is not None
    assert shown.email == "sara@example.ir"


def test_a_failed_refund_is_left_again() -> None:
    assert case("failed").left == 12_500_000


def test_a_review_shows_the_readings_with_their_amounts() -> None:
    found = case("review")
    assert [(way.reading, way.amount) for way in found.readings[0].alternatives] == [
        ("whole-deposit", "5687500"),
        ("units-share", "5850000"),
    ]


def test_a_dead_letter_gives_back_what_had_come() -> None:
    topics = Topics()
    own = [("dlq_topic", b"forged"), ("ce_id", b"\xff"), ("ce_id", b"2")]
    record = topics.raw("claims.v1", 3, None, b"\x00{", own)
    letter = read_letter(topics.dead(record, "intake", "not JSON: line 7"))
    again = read_letter(topics.dead(record, "intake", "not JSON: line 8"))
    assert (letter.key, letter.value, letter.headers) == (None, b"\x00{", tuple(own))
    assert (letter.origin_topic, letter.origin_lane, letter.origin_offset) == ("claims.v1", 3, 0)
    assert letter.service == "intake"
    assert letter.fingerprint == again.fingerprint
    assert letter.fingerprint != read_letter(topics.dead(record, "intake", "not UTF-8")).fingerprint
