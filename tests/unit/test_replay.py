"""`claims replay`: what was recorded comes out again, whatever order it was read in; what was changed is found."""

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from cli.recording import Recorded, once
from cli.replaying import sha
from cli.verifying import verify
from shared.policy.book import PolicyBook
from shared.policy.load import load_book
from tests.recorded import Recording, Unruly, by_place, exported, recordings, together
from tests.scenarios.play import scenarios

TABLE = scenarios()
CASES = {scenario.id: scenario for scenario in TABLE}
SUPERSEDED = "supersede-partial-to-full"


@pytest.fixture(scope="module")
def book() -> PolicyBook:
    return load_book()


@pytest.fixture(scope="module")
def every(book: PolicyBook) -> list[Recorded]:
    """All scenarios, one after the other on the same topics."""
    return together(records for _, records in recordings(book, TABLE))


def recorded(book: PolicyBook, scenario: str = "withdrawal-refund") -> list[Recorded]:
    return Recording(book).record(CASES[scenario])


def of(records: Sequence[Recorded], type_: str) -> list[Recorded]:
    return [one for one in records if one.type == type_]


def changed(records: Sequence[Recorded], one: Recorded, change: Callable[[dict[str, object]], None]) -> list[Recorded]:
    """The records with the data of one changed."""
    data = json.loads(one.value)
    change(data)
    return [replace(each, value=json.dumps(data).encode()) if each is one else each for each in records]


def test_every_scenario_comes_out_the_same(book: PolicyBook, every: list[Recorded]) -> None:
    found = verify(every, book, complete=True)
    assert found.differences == []
    assert found.unanswered == []
    assert found.claims > 400
    topics = Counter(one.topic for one in every)
    assert found.outputs == {topic: topics[topic] for topic in ("assessments.v1", "decisions.v1", "refunds.v1")}


def test_the_digest_is_over_the_digests_of_all_that_came_out(book: PolicyBook) -> None:
    records = recorded(book)
    (decided,) = of(records, "claim.decided.v1")
    line = f"claim.decided.v1 {sha(decided.value)}\n"
    assert verify(records, book).digests["decisions.v1"] == sha256(line.encode()).hexdigest()


@pytest.mark.parametrize("seed", range(2))
def test_any_order_of_reading_is_found(book: PolicyBook, seed: int) -> None:
    """The services read their two topics in any order, while the outside goes on. All in one instant, so that times
    tell nothing about that order."""
    claims = reordered = 0
    for scenario in TABLE[seed::2]:
        if scenario.moves_the_clock or any(getattr(act, "settles", None) for act in scenario.acts):
            continue  # they wait for what was said before
        pipeline = Unruly(book, chance=random.Random(f"{seed} {scenario.id}"))
        pipeline.play(scenario)
        if pipeline.records:
            found = verify(by_place(pipeline.records), book, complete=True)
            assert found.differences == [], scenario.id
            claims, reordered = claims + found.claims, reordered + found.reordered
    assert claims > 150
    assert reordered > 0, "no recording needed another order: nothing was tried"


def test_another_amount_is_found(book: PolicyBook, every: list[Recorded]) -> None:
    decided = next(one for one in of(every, "claim.decided.v1") if b'"withdrawal-refund.a"' in one.value)

    def more(data: dict[str, object]) -> None:
        refund = data["refund"]
        assert isinstance(refund, dict)
        refund["amount"] = "9737501"

    found = verify(changed(every, decided, more), book)
    (one,) = found.differences
    assert (one.service, one.field, one.recorded, one.replayed, one.more) == (
        "refund-calculation",
        "$.refund.amount",
        "9737501",
        "9737500",
        0,
    )
    assert "withdrawal-refund.o" in one.about
    assert one.place == decided.place
    assert found.outputs["decisions.v1"] < len([each for each in every if each.topic == "decisions.v1"])


def test_every_member_of_an_output_counts(book: PolicyBook) -> None:
    """Each member of each output, made another, is found; also where it then is nothing that can be read."""
    records = recorded(book)
    unnoticed = []
    for one in records:
        if one.topic == "admissions.v1":
            continue
        for member in json.loads(one.value):
            if not verify(changed(records, one, lambda data, of=member: data.update({of: "odd"})), book).differences:  # type: ignore[misc]
                unnoticed.append((one.type, member))
    assert unnoticed == []


def test_an_assessment_under_another_policy_is_found(book: PolicyBook) -> None:
    (policy,) = (one for one in book.all() if one.merchant == "gejet-mall")
    other = PolicyBook([policy.model_copy(update={"locale": "en-GB"})])
    found = verify(recorded(book), other)
    assert {one.service for one in found.differences} == {"eligibility", "refund-calculation"}
    assert found.differences[0].field == "$.policy.digest"
    assert found.differences[0].recorded == policy.digest


def test_a_decision_that_nobody_made_is_found(book: PolicyBook) -> None:
    records = recorded(book)
    (decided,) = of(records, "claim.decided.v1")
    again = replace(decided, offset=decided.offset + 100, number=(decided.number or 0) + 100)
    calculated = [one for one in verify([*records, again], book).differences if one.service == "refund-calculation"]
    assert [(one.place, one.replayed) for one in calculated] == [(again.place, "nothing")]


def test_a_decision_that_is_missing_is_found_unless_it_may_be_still_to_come(book: PolicyBook) -> None:
    first, second = (recorded(book, name) for name in ("withdrawal-refund", "withdrawal-contract-example"))

    def without(records: list[Recorded]) -> list[Recorded]:
        return [one for one in records if one.type not in ("claim.decided.v1", "refund.instructed.v1")]

    early = verify(together([without(first), second]), book)
    assert {(one.service, one.recorded) for one in early.differences} == {("refund-calculation", "nothing")}
    assert early.differences[0].replayed.startswith("claim.decided.v1 ")

    late = together([first, without(second)])
    assert verify(late, book).differences == []
    (waiting,) = verify(late, book).unanswered
    assert (waiting.service, waiting.type) == ("refund-calculation", "claim.assessed.v1")
    assert verify(late, book, complete=True).differences


def test_what_was_published_twice_is_taken_once(book: PolicyBook) -> None:
    records = recorded(book, SUPERSEDED)
    again = [replace(one, offset=one.offset + 1000) for one in records]
    kept = list(once(by_place([*records, *again])))
    assert kept == records
    assert verify(kept, book, complete=True).differences == []


def test_a_redriven_record_is_for_its_service_alone(book: PolicyBook) -> None:
    records = recorded(book)
    returned = of(records, "return.received.v1")[0]
    redriven = replace(returned, offset=1000, number=1, redriven_for="refund-calculation")
    assert verify([*records, redriven], book, complete=True).differences == []
    assert redriven in list(once([*records, redriven])), "past the inbox"


# --- the command ---


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["replay", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture
def export(book: PolicyBook, tmp_path: Path) -> Path:
    path = tmp_path / "topics.jsonl"
    records = together([recorded(book), recorded(book, SUPERSEDED)])
    path.write_text(exported(records), encoding="utf-8")
    return path


def test_the_command_says_what_it_did(export: Path) -> None:
    ran = run("--verify", "--from", export)
    assert ran.exit_code == 0, ran.output
    assert "came out the same, to the byte" in ran.output
    found = json.loads(run("--verify", "--from", export, "--json", "--complete").output)
    assert (found["claims"], found["orders"], found["differences"]) == (2, 2, [])
    assert found["outputs"]["decisions.v1"] == 3


def test_the_command_shows_the_first_difference_and_ends_with_1(export: Path) -> None:
    export.write_text(export.read_text("utf-8").replace('"9737500"', '"9737000"', 1), encoding="utf-8")
    ran = run("--verify", "--from", export)
    assert ran.exit_code == 1
    assert "order gejet-mall/withdrawal-refund.o" in ran.output
    assert "$.refund.amount" in ran.output
    assert "recorded: 9737000" in ran.output
    assert "replayed: 9737500" in ran.output


def test_two_files_that_overlap_are_one_recording(export: Path) -> None:
    found = json.loads(run("--verify", "--from", export, "--from", export, "--json", "--complete").output)
    assert (found["claims"], found["differences"]) == (2, [])


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "is no line of"), ('{"topic": 1}', "is no line of"), ("[]", "is no line of"), ("", "no record of")],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    ran = run("--verify", "--from", path)
    assert ran.exit_code == 1
    assert message in ran.output
    assert str(path) in ran.output


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot read" in run("--verify", "--from", tmp_path / "none.jsonl").output


def test_replay_needs_to_be_told_what_for(export: Path) -> None:
    ran = run("--from", export)
    assert ran.exit_code == 1
    assert "--verify" in ran.output
