"""Where a stack keeps its things: one data folder per stack, one cache folder per user."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.stack.errors import StackError

DEFAULT_DATA = Path(".makegood")


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths under one stack's data folder; `root` is absolute."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> DataFolder:
        """The data folder at `path`, relative to the current folder; creates nothing."""
        return cls(path.expanduser().absolute())

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def state(self) -> Path:
        return self.root / "stack.json"

    @property
    def ports(self) -> Path:
        return self.root / "ports.json"

    @property
    def secret_file(self) -> Path:
        return self.root / "secret"

    @property
    def kafka(self) -> Path:
        return self.root / "kafka"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def mail(self) -> Path:
        return self.root / "mail"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def clock(self) -> Path:
        """By how many seconds this stack's clock is set forward; see `claims clock`."""
        return self.root / "clock"

    def create(self) -> None:
        """Make the folder and its sub-folders. Raises StackError where that is not possible."""
        try:
            for folder in (self.root, self.logs, self.mail):
                folder.mkdir(parents=True, exist_ok=True)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise StackError(f"cannot use {self.root} as data folder: {error}; choose another with --data") from error

    def secret(self) -> str:
        """The password of this stack's database roles: made once, readable by its owner alone."""
        if not self.secret_file.exists():
            descriptor = os.open(self.secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(16))
        return self.secret_file.read_text().strip()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for one supervisor; the kernel lets go of it when that process dies, however it dies.

        Raises StackError when a running stack has it.
        """
        with self.lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StackError(
                    f"a stack is running in {self.root}: look at it with `claims status --data {self.root}`, "
                    f"stop it with `claims down --data {self.root}`, or start a second one with another --data"
                ) from None
            yield

    def is_held(self) -> bool:
        """Is a supervisor alive in this folder?"""
        if not self.lock.exists():
            return False
        with self.lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
            return False


def cache_folder() -> Path:
    """MAKEGOOD_CACHE, otherwise makegood under XDG_CACHE_HOME, otherwise under .cache in the user's home folder."""
    if named := os.environ.get("MAKEGOOD_CACHE"):
        return Path(named).expanduser().absolute()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "makegood"
    return _home() / ".cache" / "makegood"


def _home() -> Path:
    # HOME may be set to nothing, which Path.home() takes for the root folder.
    if home := os.environ.get("HOME"):
        return Path(home)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path(tempfile.gettempdir()) / f"makegood-{os.getuid()}"
