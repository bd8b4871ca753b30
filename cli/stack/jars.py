"""Kafka's jars from Maven Central: a pinned list with sizes and SHA-256, fetched once into the cache folder.

The list is what `jgo` resolves `org.apache.kafka:kafka_2.13` to, plus the bridge from slf4j to log4j2 that Kafka's own
distribution adds. `python -m cli.stack.jars` makes it again after a change of version.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cli.stack.errors import StackError

KAFKA_VERSION = "4.3.1"
COORDINATES = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4")
LIST = Path(__file__).with_name("kafka_jars.txt")
PARALLEL = 4
ATTEMPTS = 3
RETRY_SECONDS = 0.5
TIMEOUT = 30
CHUNK = 256 * 1024

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all), from any thread."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One file of the list: where it is in a Maven repository, its size in bytes and its digest."""

    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def pinned() -> list[Jar]:
    """The list, in the order of the class path."""
    jars = []
    for line in LIST.read_text().splitlines():
        sha256, size, path = line.split()
        jars.append(Jar(path, int(size), sha256))
    return jars


def folder(cache: Path) -> Path:
    """Where the jars of this version are kept."""
    return cache / f"kafka-{KAFKA_VERSION}"


def missing(cache: Path) -> list[Jar]:
    """What is not in the cache yet (by name and size; the digest is checked when a file comes in)."""
    return [jar for jar in pinned() if not _is_there(folder(cache) / jar.name, jar.size)]


def class_path(cache: Path) -> str:
    """The class path of Kafka's tools and server."""
    return os.pathsep.join(str(folder(cache) / jar.name) for jar in pinned())


def fetch(cache: Path, progress: Progress) -> None:
    """Get what is missing; a second process that wants the same waits for the first.

    Raises StackError when the cache cannot be written or a file cannot be had.
    """
    try:
        folder(cache).mkdir(parents=True, exist_ok=True)
        lock = (folder(cache) / ".lock").open("w")
    except OSError as error:
        raise StackError(f"cannot use the cache {cache}: {error}; set MAKEGOOD_CACHE to another folder") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = missing(cache)
        total = sum(jar.size for jar in wanted)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total)

        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            futures = [pool.submit(_fetch_one, jar, folder(cache), advance) for jar in wanted]
            try:
                for future in concurrent.futures.as_completed(futures):
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _is_there(file: Path, size: int) -> bool:
    try:
        return file.stat().st_size == size
    except OSError:
        return False


def _fetch_one(jar: Jar, into: Path, advance: Callable[[int], None]) -> None:
    url = f"{_repository()}/{jar.path}"
    trouble: Exception | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(RETRY_SECONDS * 2**attempt)
        try:
            _stream(url, jar, into, advance)
        except (OSError, http.client.HTTPException, urllib.error.URLError, ValueError) as error:
            trouble = error
        else:
            return
    raise StackError(
        f"cannot download {url}: {trouble}. "
        "Behind a proxy set HTTPS_PROXY; a mirror of Maven Central goes into MAKEGOOD_MAVEN; "
        "a Kafka that runs already is used with MAKEGOOD_KAFKA=HOST:PORT"
    )


def _repository() -> str:
    if mirror := os.environ.get("MAKEGOOD_MAVEN"):
        return mirror.rstrip("/")
    from jgo.constants import MAVEN_CENTRAL_URL

    return str(MAVEN_CENTRAL_URL).rstrip("/")


def _stream(url: str, jar: Jar, into: Path, advance: Callable[[int], None]) -> None:
    temporary = into / f".{jar.name}.{os.getpid()}"
    digest = hashlib.sha256()
    got = 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, temporary.open("wb") as file:  # noqa: S310 - Maven Central or the mirror that the user named
            while chunk := answer.read(CHUNK):
                got += len(chunk)
                if got > jar.size:
                    break
                digest.update(chunk)
                file.write(chunk)
                advance(len(chunk))
        _check(jar, got, digest.hexdigest())
        temporary.replace(into / jar.name)
    except BaseException:
        advance(-min(got, jar.size))
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _check(jar: Jar, size: int, sha256: str) -> None:
    if (size, sha256) != (jar.size, jar.sha256):
        raise ValueError(f"what came is not the pinned file ({size} bytes, {jar.size} expected; SHA-256 {sha256})")


def relist(workplace: Path) -> str:
    """Resolve COORDINATES with jgo, POMs and jars into `workplace`, and return the text of the list.

    Each by itself: resolved together, jgo lets the dependency management of one decide the other's versions.
    """
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=workplace)
    lines: dict[str, str] = {}
    for coordinate in COORDINATES:
        wanted = context.create_dependency(coordinate)
        direct, transitive = context.resolver.resolve([wanted])
        for dependency in [*direct, *transitive]:
            component = dependency.artifact.component
            file = dependency.artifact.resolve()
            content = file.read_bytes()
            lines.setdefault(
                f"{component.groupId}:{component.artifactId}",
                f"{hashlib.sha256(content).hexdigest()} {len(content)} {file.relative_to(workplace).as_posix()}\n",
            )
    return "".join(lines.values())


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        LIST.write_text(relist(Path(place)))
