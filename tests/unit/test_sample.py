"""The sample day: the files are what the generator makes, every event is good, and the day has all it promises."""

import json
from collections import Counter
from typing import Any, get_args

import pytest

from cli.board import Board, day_of, report
from cli.reading import Seen
from cli.sample.day import FILES, all_files
from cli.sending import binary, of_line
from shared.events import BadEvent
from shared.events.envelope import open_input
from shared.events.parts import ClaimReason

ROUNDS = sorted(path.name for path in FILES.glob("[1-9]-*.jsonl"))


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FILES / name).read_text(encoding="utf-8").splitlines()]


def test_the_committed_files_are_what_the_generator_makes() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in FILES.glob("*.jsonl")} == all_files()


@pytest.mark.parametrize("name", ROUNDS)
def test_every_event_can_be_published(name: str) -> None:
    for line in (FILES / name).read_text(encoding="utf-8").splitlines():
        of_line(line)


def test_what_is_bad_is_refused_at_the_path_it_names() -> None:
    for line in lines("bad.jsonl"):
        record = binary(line["topic"], line["type"], line["raw"].encode(), id_=line["id"], source=line["source"])
        with pytest.raises(BadEvent) as refused:
            open_input(record.topic, record.headers, record.value)
        assert refused.value.path == line["path"], line["id"]


def test_the_day_has_all_that_it_promises() -> None:
    events = [line for name in ROUNDS for line in lines(name)]
    types = Counter(event["type"] for event in events)
    orders = {event["data"]["order_id"] for event in events if event["type"] == "order.placed.v1"}
    expected = lines("expected.jsonl")
    assert len(orders) == 200
    assert len(expected) >= 80
    assert {line["reason"] for line in expected} == set(get_args(ClaimReason))
    assert {line.get("outcome") for line in expected} == {"refund", "replacement", "rejected", "cancelled", None}
    assert {line.get("awaiting") for line in expected} == {"delivery", "seller", "return", "review", None}
    assert {line["merchant"] for line in expected} == {"gejet-mall", "hakago"}
    assert any(line.get("parked") for line in expected)
    assert len(lines("bad.jsonl")) >= 10
    for type_ in ("order.delivered.v1", "seller.answered.v1", "return.received.v1", "claim.reviewed.v1"):
        assert types[type_] >= 5, type_
    assert len(events) > len({(event["source"], event["id"]) for event in events}), "some events come twice"


def test_two_runs_share_no_id() -> None:
    ids = [{record.id for records in day_of(run).rounds.values() for record in records} for run in ("first", "second")]
    assert ids[0] & ids[1] == set()
    orders = {record.key for records in day_of("first").rounds.values() for record in records}
    assert all(key is None or key.endswith(b"-first") or key == b"first" for key in orders)


def seen(type_: str, data: dict[str, Any]) -> Seen:
    headers = {"ce_type": type_.encode(), "ce_id": b"1-1"}
    return Seen("decisions.v1", 0, 0, 0, None, json.dumps(data).encode(), headers)


def test_the_board_finds_what_differs() -> None:
    board = Board(day_of("x"))
    assert len(board.differences()) >= len(board.day.expected)
    refund = {"amount": "78500000", "currency": "IRR", "breakdown": [{"item": "goods", "clause": "GN2"}]}
    decided: dict[str, Any] = {
        "claim_id": "gm-001-x",
        "merchant": "gejet-mall",
        "decision_no": 1,
        "outcome": "refund",
        "decided_by": "policy",
        "lines": [{"reasons": [{"clause": "G1.1", "effect": "allow"}]}],
        "refund": refund,
    }
    shown = list(board.hear(seen("claim.decided.v1", decided)))
    assert shown == ["gm-001  gejet-mall technical_fault           refund         78,500,000 IRR GN2 G1.1"]
    assert [text for text in board.differences() if text.startswith("gm-001 ")] == [
        "gm-001 (gejet-mall, technical_fault): instructed 0 of 78500000"
    ]
    list(board.hear(seen("refund.instructed.v1", {"claim_id": "gm-001-x", "amount": "78500000"})))
    assert [text for text in board.differences() if text.startswith("gm-001 ")] == []
    wrong = decided | {"decision_no": 2, "refund": refund | {"amount": "1"}}
    list(board.hear(seen("claim.decided.v1", wrong)))
    assert any(text.startswith("gm-001 ") for text in board.differences())
    assert "differences from the sample:" in "\n".join(report(board))


def test_the_board_does_not_hear_other_runs() -> None:
    board = Board(day_of("x"))
    assert list(board.hear(seen("claim.decided.v1", {"claim_id": "gm-001-y"}))) == []
    assert board.decided_claims == []
