"""The policies of a running service: read again when their files change, and kept as they are when what is there now
does not load, or would change what has been promised."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from shared.policy.book import PolicyBook
from shared.policy.load import POLICIES, load_book
from shared.policy.problem import PolicyError, Problem

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 5.0
"""How often the files are looked at, at most."""


class Shelf:
    """Holds the policies of a folder. Raises `PolicyError` when made over files that do not load: a service does not
    start with a policy that does not load. Later the last good book stays, and the problems are logged once."""

    def __init__(self, folder: Path | None = None, ticks: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder or POLICIES
        self._ticks = ticks
        self._looked = ticks()
        self._seen = self._signature()
        self._book = load_book(self._folder)

    def book(self) -> PolicyBook:
        """The last good book; looks at the files first, at most every few seconds."""
        now = self._ticks()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            signature = self._signature()
            if signature != self._seen:
                self._seen = signature
                self._reload()
        return self._book

    def _reload(self) -> None:
        try:
            book = load_book(self._folder)
            keep_promises({(one.merchant, one.version): one.digest for one in self._book.all()}, book)
        except PolicyError as error:
            log.error("policies_not_loaded_last_good_kept", problems=[str(problem) for problem in error.problems])
            return
        self._book = book
        log.info("policies_loaded", versions=[f"{one.merchant} v{one.version} {one.digest[:12]}" for one in book.all()])

    def _signature(self) -> tuple[tuple[str, int, int], ...]:
        found = []
        for path in sorted(self._folder.glob("*/*.yaml")):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # gone between the listing and the look: the next look sees it so
            found.append((str(path), stat.st_mtime_ns, stat.st_size))
        return tuple(found)


def keep_promises(used: Mapping[tuple[str, int], str], book: PolicyBook) -> None:
    """A published version governs its orders to the end: it may neither change nor go. Raises `PolicyError` where a
    version in `used` (merchant, version → digest) is not in the book any more, or has another digest."""
    problems = []
    for (merchant, version), digest in used.items():
        file = f"{merchant}/v{version}.yaml"
        now = book.version(merchant, version)
        if now is None:
            problems.append(Problem(file, 1, "a version that is in use is gone. Put it back."))
        elif now.digest != digest:
            problems.append(
                Problem(file, 1, "a version that is in use has changed. Put it back, and add a new version.")
            )
    if problems:
        raise PolicyError(problems)
