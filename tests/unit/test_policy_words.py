"""Sheets of words beside a policy: what they say, what is wrong with one, what it leaves out."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.policy import app
from services.console.web.policy_words import words_for
from shared.policy.load import POLICIES, load_book
from shared.policy.model import Policy
from shared.policy.problem import PolicyError
from shared.policy.words import NONE, example_names, left_out, load_words, sheet, sheets


@pytest.fixture
def policy() -> Policy:
    found = load_book().version("gejet-mall", 1)
    assert found is not None
    return found


@pytest.fixture
def folder(tmp_path: Path, policy: Policy) -> Path:
    """A folder of policies with this one in it, and no sheet yet."""
    (tmp_path / policy.merchant / "words").mkdir(parents=True)
    source = POLICIES / policy.merchant / "v1.yaml"
    (tmp_path / policy.merchant / "v1.yaml").write_bytes(source.read_bytes())
    return tmp_path


def write(folder: Path, language: str, text: str) -> Path:
    path = sheet(folder, "gejet-mall", 1, language)
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("language", ["vi", "fa"])
def test_our_policies_leave_nothing_out(language: str) -> None:
    for policy in load_book().all():
        words = load_words(sheet(POLICIES, policy.merchant, policy.version, language), policy)
        assert left_out(words, policy, language) == []


def test_a_sheet_is_no_part_of_the_policy(folder: Path, policy: Policy) -> None:
    write(folder, "de", "clauses: {G0.1: Ein Geschenk}")
    (again,) = load_book(folder).all()
    assert again.digest == policy.digest


def test_a_name_that_the_policy_does_not_know_is_told_with_its_line(folder: Path, policy: Policy) -> None:
    path = write(
        folder,
        "vi",
        "clauses:\n  G9.9: x\nopen_points:\n  variant:\n    title: x\n    readings: {other: x}\n"
        "  nothing: {title: x}\nexamples:\n  no such example: x\n",
    )
    with pytest.raises(PolicyError) as told:
        load_words(path, policy)
    assert [(one.line, one.message.split("'")[1]) for one in told.value.problems] == [
        (2, "G9.9"),
        (6, "other"),
        (7, "nothing"),
        (9, "no such example"),
    ]


@pytest.mark.parametrize("text", ["clauses: [", "clauses: {G0.1: 5}", "rules: {}", "open_points: {variant: {}}"])
def test_a_sheet_that_is_none_is_refused(folder: Path, policy: Policy, text: str) -> None:
    with pytest.raises(PolicyError):
        load_words(write(folder, "vi", text), policy)


def test_what_is_left_out_is_told(folder: Path, policy: Policy) -> None:
    text = "clauses: {G0.1: x}\nopen_points: {mismatch-window: {title: x, readings: {24h: x}}}\n"
    missing = left_out(load_words(write(folder, "vi", text), policy), policy, "vi")
    assert "G0.1" not in missing
    assert {"G0.2", "fault-window", "mismatch-window: 48h", *example_names(policy)} <= set(missing)
    in_persian = left_out(load_words(write(folder, "fa", text), policy), policy, "fa")
    assert "G0.2" not in in_persian  # the policy file says its clauses in Persian


def test_the_console_takes_up_a_corrected_sheet_and_does_without_a_bad_one(folder: Path, policy: Policy) -> None:
    assert words_for(folder, policy, "vi") == NONE
    write(folder, "vi", "clauses: {G0.1: một}")
    assert words_for(folder, policy, "vi").clauses == {"G0.1": "một"}
    write(folder, "vi", "clauses: {G0.1: một hai}")
    assert words_for(folder, policy, "vi").clauses == {"G0.1": "một hai"}
    write(folder, "vi", "clauses: {G9.9: một hai ba}")
    assert words_for(folder, policy, "vi") == NONE


def test_the_check_says_what_is_left_out_and_what_is_wrong(folder: Path, policy: Policy) -> None:
    path = write(folder, "vi", "clauses: {G0.1: x}")
    assert sheets(folder / "gejet-mall" / "v1.yaml") == [("vi", path)]
    fine = CliRunner().invoke(app, ["check", str(folder)])
    assert fine.exit_code == 0, fine.output
    missing = len(left_out(load_words(path, policy), policy, "vi"))
    assert f", in words: vi\n  vi: {missing} left in English: G0.2; G1.1; G1.2; G1.3; G1.4; …" in fine.output
    write(folder, "vi", "clauses: {G9.9: x}")
    bad = CliRunner().invoke(app, ["check", str(folder)])
    assert bad.exit_code == 1
    assert "v1.vi.yaml:1: 'G9.9' is not in the policy" in bad.output
