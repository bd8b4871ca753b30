"""`claims up`, `status` and `down` as a person runs them, with the real services."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.stack import state
from cli.stack.folders import DataFolder
from cli.stack.plan import CONSOLE, SERVICES
from cli.stack.process import Identity, identify
from tests.stack import eventually

LIMIT = 150


def claims(*arguments: str | Path, limit: float = LIMIT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment(),
    )


def in_the_foreground(data: Path, output: Path) -> subprocess.Popen[bytes]:
    with output.open("w") as file:
        command = [sys.executable, "-m", "cli", "up", "--data", str(data)]
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment())


def environment() -> dict[str, str]:
    """Without what would put other servers in the embedded ones' place."""
    kept = {"MAKEGOOD_CACHE", "MAKEGOOD_MAVEN", "MAKEGOOD_JAVA"}
    ours = {name: value for name, value in os.environ.items() if name in kept or not name.startswith("MAKEGOOD_")}
    return {**ours, "COLUMNS": "200"}


def report(data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(claims("status", "--json", "--data", data).stdout)
    return found


def processes(data: Path) -> dict[str, Identity]:
    told = state.read(DataFolder.at(data).state)
    assert told is not None
    return {"supervisor": told.supervisor, **told.processes}


def alive(found: dict[str, Identity]) -> list[str]:
    return [name for name, one in found.items() if identify(one.pid) == one]


def answers(address: str) -> bool:
    with urllib.request.urlopen(address, timeout=20) as page:
        return bool(page.status == 200)


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[list[Path]]:
    """Data folders; whatever still runs in them afterwards is stopped."""
    made = [tmp_path / "one", tmp_path / "two"]
    yield made
    for folder in made:
        claims("down", "--data", folder)


@pytest.mark.timeout(400)
async def test_two_stacks_side_by_side_one_killed_the_other_unmoved(folders: list[Path]) -> None:
    one, two = folders
    runs = [
        threading.Thread(target=lambda: results.append(claims("up", "--detach", "--data", one))),
        threading.Thread(target=lambda: results.append(claims("up", "--detach", "--data", two))),
    ]
    results: list[subprocess.CompletedProcess[str]] = []
    for run in runs:
        run.start()
    for run in runs:
        run.join(LIMIT)
    assert [result.returncode for result in results] == [0, 0], "\n".join(r.stdout + r.stderr for r in results)

    first, second = report(one), report(two)
    for folder, told in ((one, first), (two, second)):
        password = (folder / "console" / "admin-password").read_text().strip()
        assert any(f"{told['console']} (user admin, password {password})" in result.stdout for result in results)
    for told in (first, second):  # at once: `up` says ready when the page answers
        assert answers(f"{told['console']}/sign-in")
    assert set(first) == {"kafka", "services", "console", "smtp", "mail", "postgres"}
    members = {"name", "replica", "pid", "state", "restarts", "database", "health", "lag"}
    assert all(set(service) == members for service in first["services"])
    names = [spec.name for spec in (*SERVICES, CONSOLE)]
    assert [(s["name"], s["replica"], s["state"]) for s in first["services"]] == [(name, 1, "ready") for name in names]
    assert [s["name"] for s in second["services"]] == names
    assert {s["lag"] for s in first["services"]} == {0}
    assert all(answers(f"{s['health']}/metrics") for s in first["services"])
    assert first["kafka"] != second["kafka"]
    assert {s["database"] for s in first["services"]}.isdisjoint(s["database"] for s in second["services"])

    refused = claims("up", "--data", one)
    assert refused.returncode == 1
    assert "a stack is running in" in refused.stderr
    taken = claims("up", "--data", one.with_name("three"), "--kafka-port", first["kafka"].rpartition(":")[2])
    assert taken.returncode == 1
    assert "for kafka is taken by another program" in taken.stdout
    checked = claims("doctor", "--data", one)
    assert (checked.returncode, "✗" in checked.stdout) == (0, False), checked.stdout

    rebuilt = claims("rebuild", "--data", two)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert rebuilt.stdout.startswith("emptied entry, claim, ")

    def again() -> bool:
        console = next(s for s in report(two)["services"] if s["name"] == "console")
        return (console["state"], console["restarts"] > 0) == ("ready", True)

    await eventually(again, 60, every=0.5, why="the console is back")
    assert answers(f"{second['console']}/sign-in")

    of_one, of_two = processes(one), processes(two)
    os.kill(of_one["supervisor"].pid, signal.SIGKILL)
    await eventually(lambda: alive(of_one) == [], 30, why="all of a killed supervisor's processes ended with it")
    assert len(alive(of_two)) == len(of_two) == 3 + len(names)
    assert claims("status", "--data", one).returncode == 1

    stopped = claims("down", "--data", two)
    assert (stopped.returncode, stopped.stdout) == (0, "stopped\n")
    assert alive(of_two) == []
    assert claims("status", "--data", two).returncode == 1


@pytest.mark.timeout(300)
async def test_in_the_foreground_a_service_comes_back_and_ctrl_c_stops_all(folders: list[Path]) -> None:
    data = folders[0]
    output = data.with_name("output.txt")
    run = in_the_foreground(data, output)
    try:
        await eventually(lambda: "ready after" in output.read_text(), LIMIT, why="the stack is ready")
        before = processes(data)
        os.kill(before["eligibility-1"].pid, signal.SIGKILL)

        def back() -> bool:
            service = next(s for s in report(data)["services"] if s["name"] == "eligibility")
            pid, restarts = service["pid"], service["restarts"]
            return (service["state"], restarts) == ("ready", 1) and bool(pid != before["eligibility-1"].pid)

        await eventually(back, 60, every=0.5, why="eligibility came back")
        running = processes(data)
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 0
    finally:
        run.kill()
    assert alive(running) == []
    text = output.read_text()
    assert "eligibility-1 was ended by SIGKILL; starting it again in 0.5 s (restart 1)" in text
    assert "service_stopped" in text, "the services drained and said so"
    assert text.rstrip().endswith("stopped")
