"""Ports on the loopback: given by hand, kept from the last start, or free ones."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path

from cli.stack.errors import StackError

HOST = "127.0.0.1"
# Below the range from which Linux and macOS take the ports of outgoing connections, so that a kept port stays free.
CHOICE = range(20_000, 32_000)
ATTEMPTS = 200


def is_free(port: int) -> bool:
    """Can a server listen on this port of the loopback now?"""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def is_open(port: int, host: str = HOST) -> bool:
    """Does something answer on this port?"""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def kept(file: Path) -> dict[str, int]:
    """The ports of the last start by name; nothing where the file is not there or cannot be read."""
    try:
        return {str(name): int(port) for name, port in json.loads(file.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


class Ports:
    """The ports of one stack by name, kept in a file so that addresses stay the same from start to start."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept = kept(file)
        self._given: set[int] = set()

    def take(self, name: str, wanted: int | None = None) -> int:
        """The port for `name`: `wanted` if given, else the kept one, else a free one.

        Raises StackError when something listens on `wanted`.
        """
        if wanted is not None:
            if wanted in self._given or not is_free(wanted):
                raise StackError(
                    f"port {wanted} for {name} is taken by another program; give another with --{name}-port, "
                    "or leave the option out to have a free one chosen"
                )
            return self._keep(name, wanted)
        last = self._kept.get(name)
        if last is not None and last not in self._given and is_free(last):
            return self._keep(name, last)
        others = set(self._kept.values()) | self._given
        for _ in range(ATTEMPTS):
            port = random.choice(CHOICE)  # noqa: S311 - spreads stacks over the range, guards nothing
            if port not in others and is_free(port):
                return self._keep(name, port)
        raise StackError(f"found no free port for {name} between {CHOICE.start} and {CHOICE.stop}")

    def _keep(self, name: str, port: int) -> int:
        self._given.add(port)
        self._kept[name] = port
        temporary = self._file.with_suffix(".new")
        temporary.write_text(json.dumps(self._kept, indent=1, sort_keys=True))
        temporary.replace(self._file)
        return port
