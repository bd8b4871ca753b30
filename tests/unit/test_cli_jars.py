"""Fetching Kafka's jars: what is pinned comes in, anything else does not."""

import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.stack import jars
from cli.stack.errors import StackError

CONTENT = {f"org/x/{n}/1/{n}-1.jar": bytes([n]) * (1000 + n) for n in range(6)}


class Repository(http.server.ThreadingHTTPServer):
    """A Maven repository on the loopback; `tamper` changes what is answered for a path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.tamper: Callable[[str, int], bytes | None] = lambda path, _: CONTENT[path]


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Repository)
        path = self.path.removeprefix("/maven/")
        server.asked.append(path)
        body = server.tamper(path, server.asked.count(path))
        self.send_response(200 if body is not None else 503)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    server = Repository()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    pinned = [jars.Jar(path, len(body), hashlib.sha256(body).hexdigest()) for path, body in CONTENT.items()]
    monkeypatch.setattr(jars, "pinned", lambda: pinned)
    monkeypatch.setattr(jars, "RETRY_SECONDS", 0.01)
    monkeypatch.setenv("MAKEGOOD_MAVEN", f"http://127.0.0.1:{server.server_port}/maven/")
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_all_come_in_once_and_progress_adds_up(repository: Repository, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    jars.fetch(tmp_path, lambda done, total: told.append((done, total)))
    assert jars.missing(tmp_path) == []
    assert max(told) == (sum(map(len, CONTENT.values())),) * 2
    jars.fetch(tmp_path, lambda *_: None)
    assert sorted(repository.asked) == sorted(CONTENT), "the second time nothing is asked for"


def test_only_what_is_missing_or_cut_short_is_fetched(repository: Repository, tmp_path: Path) -> None:
    jars.fetch(tmp_path, lambda *_: None)
    repository.asked.clear()
    (jars.folder(tmp_path) / "2-1.jar").unlink()
    (jars.folder(tmp_path) / "4-1.jar").write_bytes(b"half")
    jars.fetch(tmp_path, lambda *_: None)
    assert sorted(repository.asked) == ["org/x/2/1/2-1.jar", "org/x/4/1/4-1.jar"]


@pytest.mark.parametrize(
    "came", [b"\x02" * 1001 + b"!", b"\x02" * 500, b"\x02" * 5000], ids=["altered", "short", "long"]
)
def test_what_is_not_the_pinned_file_is_refused_and_not_kept(
    repository: Repository, tmp_path: Path, came: bytes
) -> None:
    repository.tamper = lambda path, _: came if "/2/" in path else CONTENT[path]
    with pytest.raises(StackError, match=r"cannot download .*2-1\.jar.*not the pinned file.*MAKEGOOD_MAVEN"):
        jars.fetch(tmp_path, lambda *_: None)
    assert not list(jars.folder(tmp_path).glob("*2-1.jar*"))


def test_a_server_that_stumbles_is_asked_again(repository: Repository, tmp_path: Path) -> None:
    repository.tamper = lambda path, time: None if "/3/" in path and time == 1 else CONTENT[path]
    jars.fetch(tmp_path, lambda *_: None)
    assert jars.missing(tmp_path) == []


def test_nobody_there_is_said_with_the_ways_out(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEGOOD_MAVEN", "http://127.0.0.1:9/maven")
    with pytest.raises(StackError, match=r"HTTPS_PROXY.*MAKEGOOD_MAVEN.*MAKEGOOD_KAFKA"):
        jars.fetch(tmp_path, lambda *_: None)


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="MAKEGOOD_CACHE"):
        jars.fetch(tmp_path / "file", lambda *_: None)


def test_the_list_is_of_the_version_that_is_run() -> None:
    names = [jar.name for jar in jars.pinned()]
    assert f"kafka_2.13-{jars.KAFKA_VERSION}.jar" in names
    assert f"kafka-clients-{jars.KAFKA_VERSION}.jar" in names
    assert len(names) == len(set(names))
