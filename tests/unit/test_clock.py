from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.clock import app, parse
from shared.clock import Clock, ahead, from_environment

CLOSE = timedelta(seconds=30)


def test_without_a_file_it_is_the_machines_time(tmp_path: Path) -> None:
    assert abs(Clock(None).now() - datetime.now(UTC)) < CLOSE
    assert abs(Clock(tmp_path / "none").now() - datetime.now(UTC)) < CLOSE


def test_advance_adds_up_and_a_clock_sees_it(tmp_path: Path) -> None:
    for by in ("7d", "1d12h"):
        assert CliRunner().invoke(app, ["advance", by, "--data", str(tmp_path)]).exit_code == 0
    assert ahead(tmp_path / "clock") == timedelta(days=8, hours=12)
    assert abs(Clock(tmp_path / "clock").now() - (datetime.now(UTC) + timedelta(days=8, hours=12))) < CLOSE


@pytest.mark.parametrize("by", ["", "7", "-1d", "1w", "12h1d", "d"])
def test_what_is_no_duration_is_refused(by: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse(by)
    refused = CliRunner().invoke(app, ["advance", "--data", str(tmp_path), "--", by])
    assert refused.exit_code == 2
    assert not (tmp_path / "clock").exists()


def test_a_file_that_holds_no_number_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "clock").write_text("soon")
    with pytest.raises(ValueError, match="'soon'"):
        ahead(tmp_path / "clock")


def test_ten_years_are_enough(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["advance", "3651d", "--data", str(tmp_path)]).exit_code == 2


def test_time_is_not_set_forward_in_production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEGOOD_CLOCK_FILE", str(tmp_path / "clock"))
    (tmp_path / "clock").write_text("86400")
    assert from_environment().now() - datetime.now(UTC) > timedelta(hours=23)
    monkeypatch.setenv("MAKEGOOD_PRODUCTION", "true")
    with pytest.raises(ValueError, match="MAKEGOOD_PRODUCTION"):
        from_environment()
    assert CliRunner().invoke(app, ["advance", "7d", "--data", str(tmp_path)]).exit_code == 2
    assert (tmp_path / "clock").read_text() == "86400"
    monkeypatch.delenv("MAKEGOOD_CLOCK_FILE")
    assert abs(from_environment().now() - datetime.now(UTC)) < CLOSE
