"""The alerts as promtool sees them: well-formed, and each of them seen to fire and to keep quiet."""

import re
import subprocess

import pytest

from tests.operations import PROMETHEUS, alerts

RULE_TESTS = sorted(PROMETHEUS.glob("*.test.yml"))


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=150, check=False)


def test_configuration_and_rules_are_well_formed() -> None:
    done = promtool("check", "config", "--lint-fatal", str(PROMETHEUS / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(alerts())} rules found" in done.stdout


@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda file: file.name)
def test_alerts_fire_when_they_should(file: object) -> None:
    done = promtool("test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def test_none_is_without_a_test() -> None:
    text = "".join(file.read_text() for file in RULE_TESTS)
    tried = set(re.findall(r'exp_samples: \[\{labels: .ALERTS\{alertname="(\w+)"', text))
    assert tried == {rule["alert"] for rule in alerts()}
