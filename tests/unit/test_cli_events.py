"""`claims publish`, `where` and `listen`: what they make of lines and records."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.reading import Seen
from cli.sending import of_line
from cli.story import told
from cli.where import Way, story
from cli.words import amount, clean
from shared.events import TYPES, BadEvent
from tests.contract.samples import example

RUN = CliRunner()


def line(type_: str = "claim.submitted.v1", **more: Any) -> str:
    return json.dumps({"type": type_, "data": example(type_), **more})


def test_a_line_becomes_a_record_with_the_order_s_key() -> None:
    record = of_line(line())
    data = example("claim.submitted.v1")
    assert record.topic == "claims.v1"
    assert record.key == f"{data['merchant']}/{data['order_id']}".encode()
    assert dict(record.headers)["ce_type"] == b"claim.submitted.v1"
    assert json.loads(record.value) == data


def test_the_same_line_has_the_same_id_and_another_another() -> None:
    assert of_line(line()).id == of_line(line()).id
    other = example("claim.submitted.v1") | {"note": "another"}
    assert of_line(line()).id != of_line(json.dumps({"type": "claim.submitted.v1", "data": other})).id


def test_what_a_line_says_of_the_envelope_stands() -> None:
    said = {"id": "i-1", "source": "/me", "time": "2026-11-01T09:00:00Z", "subject": "c-1", "key": "k"}
    record = of_line(line(**said))
    headers = {name: value.decode() for name, value in record.headers}
    assert (record.id, record.key) == ("i-1", b"k")
    assert [headers[f"ce_{name}"] for name in ("id", "source", "time", "subject")] == list(said.values())[:4]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("nope", "$"),
        ("[1]", "$"),
        ('{"data": {}}', "$.type"),
        ('{"type": "claim.submitted.v1"}', "$.data"),
        ('{"type": "claim.dreamt.v1", "data": {}}', "$.type"),
        ('{"type": 1, "data": {}}', "$.type"),
        (line(ttype="x"), "$.ttype"),
        (line(topic="orders.v1"), "$"),
        (line(time="yesterday"), "$"),
        (
            json.dumps({"type": "claim.submitted.v1", "data": example("claim.submitted.v1") | {"reason": "bored"}}),
            "$.data.reason",
        ),
        ('{"type": "claim.submitted.v1", "data": [NaN]}', "$.data"),
    ],
)
def test_a_bad_line_names_its_path(text: str, path: str) -> None:
    with pytest.raises(BadEvent) as refused:
        of_line(text)
    assert refused.value.path == path


def test_errors_name_file_and_line_and_nothing_is_published(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(f"{line()}\n\n{line(ttype='x')}\n{{\n", encoding="utf-8")
    result = RUN.invoke(app, ["publish", str(file), "--kafka", "127.0.0.1:1"])
    assert result.exit_code == 1
    assert f"{file}:3: $.ttype" in result.stderr
    assert f"{file}:4: $" in result.stderr
    assert "2 bad of 3 lines: nothing was published" in result.stderr


def test_check_alone_needs_no_kafka(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(line() + "\n", encoding="utf-8")
    assert "1 events are good" in RUN.invoke(app, ["publish", "--check", str(file)]).stdout


def test_a_file_that_is_not_there_is_said() -> None:
    result = RUN.invoke(app, ["publish", "no-such-file.jsonl"])
    assert result.exit_code == 1
    assert "cannot read no-such-file.jsonl" in result.stderr


def test_without_a_stack_the_commands_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAKEGOOD_KAFKA", raising=False)
    for command in (["where", "c-1"], ["listen"]):
        result = RUN.invoke(app, [*command, "--data", str(tmp_path / "none")])
        assert result.exit_code == 1
        assert "claims up --detach" in result.stderr


def record(type_: str, data: dict[str, object], topic: str = "decisions.v1", at: int = 0, **headers: str) -> Seen:
    given = {"ce_type": type_} | headers
    return Seen(
        topic, 0, at, at, None, json.dumps(data).encode(), {name: text.encode() for name, text in given.items()}
    )


@pytest.mark.parametrize("type_", sorted(TYPES))
def test_every_type_is_told_from_its_example(type_: str) -> None:
    text = told(record(type_, example(type_)))
    assert text
    assert "not as the contract has it" not in text
    assert "\n" not in text


def test_a_dead_letter_is_told_by_its_path_and_reason() -> None:
    one = record("claim.submitted.v1", {}, "claims.v1.intake.dlq", dlq_reason="is missing", dlq_path="$.reason")
    assert told(one) == "✗ $.reason: is missing"


def test_what_is_no_object_is_still_told() -> None:
    assert told(Seen("claims.v1", 0, 0, 0, None, b"\xff", {})) == "not a JSON object"
    assert told(record("claim.decided.v1", {"lines": 7})) == "not as the contract has it"


def test_structured_events_are_read_like_binary_ones() -> None:
    envelope = {"specversion": "1.0", "type": "claim.cancelled.v1", "id": "1", "data": example("claim.cancelled.v1")}
    headers = {"content-type": b"application/cloudevents+json"}
    one = Seen("claims.v1", 0, 0, 0, None, json.dumps(envelope).encode(), headers)
    assert one.type == "claim.cancelled.v1"
    assert one.data == example("claim.cancelled.v1")


def test_the_story_of_a_claim_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    records = [
        record(type_, example(type_), topic, at)
        for at, (type_, topic) in enumerate(
            [
                ("claim.submitted.v1", "claims.v1"),
                ("claim.admitted.v1", "admissions.v1"),
                ("claim.assessed.v1", "assessments.v1"),
                ("claim.decided.v1", "decisions.v1"),
                ("refund.instructed.v1", "refunds.v1"),
                ("notification.sent.v1", "notifications.v1"),
            ]
        )
    ]
    lines = list(story(Way("gejet-mall", "c-1", ["GM-1001"], records)))
    assert lines[0].startswith("Claim c-1 of gejet-mall, order GM-1001: decided")
    assert max(len(text) for text in lines[1:]) <= 50
    text = "\n".join(lines)
    for word in ("intake", "eligibility", "refund-calculation", "notification", "GN4", "withdrawal_fee"):
        assert word in text


def test_foreign_text_cannot_steer_the_terminal() -> None:
    assert clean("a\x1b[31mb\u202ec\x00\nd") == "a[31mbc d"
    assert clean("x" * 20, 10) == "x" * 9 + "…"
    assert clean("سلام c-1") == "\u2068سلام c-1\u2069"
    assert clean("Xin chào") == "Xin chào"


def test_amounts_are_grouped() -> None:
    assert amount("11700000", "IRR") == "11,700,000 IRR"
    assert amount("-300000", "") == "-300,000"
    assert amount("12.50", "USD") == "12.50 USD"
    assert amount("?", "USD") == "? USD"


def test_an_assessment_from_before_the_decision_does_not_reopen_the_claim() -> None:
    assessed = example("claim.assessed.v1") | {"status": "awaiting", "awaiting": "review"}
    decided = example("claim.decided.v1") | {"decided_at": "2026-11-10T10:00:00.500Z"}
    for since, end in (("10:00:00.499Z", "decided: refund"), ("10:00:00.501Z", "awaiting review")):
        later = record("claim.assessed.v1", assessed | {"since": f"2026-11-10T{since}"}, "assessments.v1", 2)
        way = Way("gejet-mall", "c-1", [], [record("claim.decided.v1", decided, at=1), later])
        assert way.end.startswith(end)
