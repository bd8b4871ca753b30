"""What a supervisor that was killed left running, found by recorded pid and start time, and stopped."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from cli.stack import state
from cli.stack.folders import DataFolder
from cli.stack.process import Identity, end, identify

GENTLE_LIMIT = 20.0
KILL_LIMIT = 10.0


def stop_leftovers(data: DataFolder) -> list[str]:
    """Stop them (services, Kafka, PostgreSQL), and return their names. Only for whoever holds the data folder."""
    known = state.read(data.state)
    processes = dict(known.processes) if known else {}
    server = _server_of(data.postgres)
    if server is not None and server not in processes.values():
        processes["postgres"] = server
    alive = {name: identity for name, identity in processes.items() if identify(identity.pid) == identity}
    ends = {"kafka": signal.SIGTERM, "postgres": signal.SIGINT}
    services = [identity for name, identity in alive.items() if name not in ends]
    left = end(services, signal.SIGTERM, GENTLE_LIMIT)
    for name, how in ends.items():
        if name in alive:
            left += end([alive[name]], how, GENTLE_LIMIT)
    if left:
        end(left, signal.SIGKILL, KILL_LIMIT)
    data.state.unlink(missing_ok=True)
    return sorted(alive)


def _server_of(folder: Path) -> Identity | None:
    """The PostgreSQL server that still runs in this folder.

    A lock file whose pid is by now somebody else's is removed, since the server would not start with it.
    """
    file = folder / "postmaster.pid"
    try:
        identity = identify(int(file.read_text().splitlines()[0]))
    except (OSError, ValueError, IndexError):
        return None
    if identity is None:
        return None
    told = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(identity.pid)], capture_output=True, text=True, check=False
    )
    if str(folder) in told.stdout:
        return identity
    if told.returncode == 0:
        file.unlink(missing_ok=True)
    return None
