"""Ports, folders, state and output of a stack, without starting one."""

import json
import os
import pwd
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli.stack import leftovers, ports, state
from cli.stack.errors import StackError
from cli.stack.folders import DataFolder, cache_folder
from cli.stack.output import LogFile
from cli.stack.ports import Ports
from cli.stack.postgres import without_password
from cli.stack.process import Identity, identify, is_alive
from cli.stack.replica import backoff
from cli.stack.state import ServiceState, StackState


def test_a_wanted_port_that_is_taken_is_refused_by_number_and_option(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((ports.HOST, 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(StackError, match=rf"port {taken} for kafka is taken.*--kafka-port"):
            Ports(tmp_path / "ports.json").take("kafka", taken)


def test_ports_differ_and_are_the_same_at_the_next_start(tmp_path: Path) -> None:
    names = [f"health-{n}" for n in range(12)]
    first = Ports(tmp_path / "ports.json")
    chosen = {name: first.take(name) for name in names}
    assert len(set(chosen.values())) == len(names)
    again = Ports(tmp_path / "ports.json")
    assert {name: again.take(name) for name in reversed(names)} == chosen


def test_a_kept_port_that_somebody_took_is_replaced(tmp_path: Path) -> None:
    first = Ports(tmp_path / "ports.json").take("kafka")
    with socket.socket() as other:
        other.bind((ports.HOST, first))
        other.listen()
        assert Ports(tmp_path / "ports.json").take("kafka") != first


def test_a_ports_file_that_cannot_be_read_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("[1, 2")
    assert Ports(tmp_path / "ports.json").take("kafka") in ports.CHOICE


def test_a_held_folder_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    folder = DataFolder.at(tmp_path / "data")
    folder.create()
    assert not folder.is_held()
    with folder.held():
        assert folder.is_held()
        with pytest.raises(StackError, match=r"claims down --data .*another --data"), folder.held():
            pass
    assert not folder.is_held()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="choose another with --data"):
        DataFolder.at(tmp_path / "file" / "data").create()


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = DataFolder.at(tmp_path)
    assert folder.secret() == folder.secret()
    assert stat.S_IMODE(folder.secret_file.stat().st_mode) == 0o600


def test_the_cache_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MAKEGOOD_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "makegood"
    monkeypatch.setenv("MAKEGOOD_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


@pytest.mark.parametrize("home", ["", None])
def test_without_a_home_the_cache_is_in_the_accounts_own(monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
    for name in ("MAKEGOOD_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    assert cache_folder() == Path(pwd.getpwuid(os.getuid()).pw_dir) / ".cache" / "makegood"


def test_a_state_reads_back_as_written_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    told = StackState(
        supervisor=Identity(1, "boot:1"),
        kafka="127.0.0.1:1",
        services=[ServiceState("intake", 2, "postgresql://…", 5, pid=7, state="ready", restarts=3)],
        processes={"kafka": Identity(2, "boot:2")},
    )
    told.write(tmp_path / "stack.json")
    assert state.read(tmp_path / "stack.json") == told
    assert stat.S_IMODE((tmp_path / "stack.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", '{"supervisor": 1}', '{"supervisor": {"pid": 1}, "services": []}'])
def test_a_state_that_cannot_be_read_is_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "stack.json").write_text(content)
    assert state.read(tmp_path / "stack.json") is None


def test_a_process_is_not_mistaken_for_another_with_its_pid() -> None:
    me = identify(os.getpid())
    assert me is not None
    assert is_alive(me)
    assert not is_alive(Identity(me.pid, me.started + "0"))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(30)
    assert identify(gone.pid) is None


def test_leftovers_are_stopped_by_what_was_written_down_and_nobody_else_is(tmp_path: Path) -> None:
    folder = DataFolder.at(tmp_path)
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    try:
        known = identify(left.pid)
        assert known is not None
        processes = {"intake-1": known, "eligibility-1": Identity(other.pid, "an earlier process")}
        StackState(supervisor=Identity(0, ""), processes=processes).write(folder.state)
        assert leftovers.stop_leftovers(folder) == ["intake-1"]
        assert left.wait(30) < 0
        assert other.poll() is None
        assert not folder.state.exists()
    finally:
        left.kill()
        other.kill()


def test_a_lock_file_of_postgres_with_somebody_elses_pid_is_removed(tmp_path: Path) -> None:
    folder = DataFolder.at(tmp_path)
    folder.postgres.mkdir()
    (folder.postgres / "postmaster.pid").write_text(f"{os.getpid()}\n{folder.postgres}\n")
    assert leftovers.stop_leftovers(folder) == []
    assert not (folder.postgres / "postmaster.pid").exists()


def test_the_wait_before_a_restart_doubles_up_to_half_a_minute() -> None:
    assert [backoff(n) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert backoff(10_000) == 30


def test_passwords_are_not_shown() -> None:
    assert without_password("postgresql://u:se%40cret@h:1/d?x=1") == "postgresql://u:…@h:1/d?x=1"
    assert without_password("postgresql://h:1/d") == "postgresql://h:1/d"


def test_a_log_file_is_turned_over_before_it_fills_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.stack.output.FILE_BYTES", 100)
    log = LogFile(tmp_path / "a.log")
    for number in range(30):
        log.write(f"line {number:02d} ………")
    log.close()
    kept = (tmp_path / "a.log.1").read_text() + (tmp_path / "a.log").read_text()
    assert kept.splitlines()[-1] == "line 29 ………"
    assert len(kept.encode()) <= 250


def test_status_json_has_exactly_the_promised_members(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "cli", "status", "--json", "--data", tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    assert set(json.loads(ran.stdout)) == {"kafka", "services", "console", "smtp", "mail", "postgres"}
