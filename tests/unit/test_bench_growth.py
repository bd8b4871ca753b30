"""The pure parts of the benchmarks of growth, backlog and replicas."""

from collections import Counter

import pytest

from bench.backlog import CaughtUp
from bench.decisions import Decided
from bench.growth_fill import Column, copied, copies_for, query
from bench.growth_seeds import SEED
from bench.replicas import of_service


@pytest.mark.parametrize(
    ("column", "sql"),
    [
        (Column("claim_id", "text", identity=False), f"replace(claim_id, '{SEED}', 'k' || lpad((i)::text, 7, '0'))"),
        (Column("refund_id", "text", identity=False), "md5(refund_id || i)::uuid::text"),
        (Column("due", "timestamp with time zone", identity=False), "due + i * interval '1 second'"),
        (Column("seen_at", "timestamp with time zone", identity=False), "seen_at - i * interval '30 days' / 10"),
        (Column("instructed_at", "timestamp with time zone", identity=False),
         "instructed_at - i * interval '48 hours' / 10"),
        (Column("lane", "integer", identity=False), "lane"),
    ],
)  # fmt: skip
def test_a_copy_has_other_ids_and_other_times(column: Column, sql: str) -> None:
    assert copied(column, 10) == sql


def test_a_packed_state_keeps_its_length() -> None:
    sql = copied(Column("state", "bytea", identity=False), 10)
    assert f"'{SEED.encode().hex()}'" in sql
    assert "lpad((i)::text, 7, '0')" in sql
    assert len(SEED) == 8


def test_what_postgres_numbers_itself_is_left_to_it() -> None:
    columns = [Column("id", "bigint", identity=True), Column("lane", "integer", identity=False)]
    assert query("history", columns, 3) == (
        "SELECT s.* FROM generate_series(1, 3) AS i, LATERAL (SELECT lane AS lane FROM seed_history OFFSET 0) AS s"
    )


def test_five_million_claims_are_ten_thousand_copies() -> None:
    assert copies_for(5_000_000) == 10_000


def test_each_claim_decided_once_and_each_refund_instructed_once_is_right() -> None:
    assert Decided(Counter("abc"), Counter("xy")).wrong(3, 2) == []


def test_what_is_missing_and_what_came_twice_is_told() -> None:
    assert Decided(Counter("aab"), Counter("x")).wrong(3, 1) == [
        "2 claims decided instead of 3",
        "1 claims decided more than once",
    ]


def test_replicas_belong_to_their_service() -> None:
    assert [of_service(name) for name in ("intake", "refund-calculation-4", "postgres")] == [
        "intake",
        "refund-calculation",
        "postgres",
    ]


def test_a_backlog_takes_longer_while_more_comes_in_and_for_ever_when_as_much_comes() -> None:
    found = CaughtUp(120_000, 1, 1.0, 60.0, 61.0, None, {}, {}, [])
    assert found.per_second == 2_000
    assert found.seconds_for(600_000, 0) == 300
    assert found.seconds_for(600_000, 1_000) == 600
    assert found.seconds_for(600_000, 2_000) == float("inf")
