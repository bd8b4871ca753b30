"""What a running stack tells about itself: one JSON file in its data folder, replaced as a whole at each change."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, Literal

from cli.stack.process import Identity

Phase = Literal["starting", "ready", "stopping"]
Condition = Literal["starting", "ready", "unready", "draining", "backoff", "dead"]
"""unready: it was ready, and is not any more: it hangs, or has lost something that it needs."""


@dataclasses.dataclass(slots=True)
class ServiceState:
    """One replica of one service; `health` is the port of /live, /ready and /metrics."""

    name: str
    replica: int
    database: str
    health: int
    pid: int | None = None
    state: Condition = "dead"
    restarts: int = 0


@dataclasses.dataclass(slots=True)
class StackState:
    """The whole stack; addresses are `host:port`, `postgres` and each `database` are DSNs with their password."""

    supervisor: Identity
    phase: Phase = "starting"
    kafka: str = ""
    postgres: str = ""
    smtp: str = ""
    mail: str | None = None
    console: str | None = None
    console_password: str | None = None
    services: list[ServiceState] = dataclasses.field(default_factory=list)
    processes: dict[str, Identity] = dataclasses.field(default_factory=dict)
    """Everything that was started, to be found again by whoever cleans up after a supervisor that was killed."""

    def write(self, file: Path) -> None:
        """Replace the file; readable by its owner alone, since it holds passwords."""
        temporary = file.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            json.dump(dataclasses.asdict(self), out, indent=1)
        temporary.replace(file)


def read(file: Path) -> StackState | None:
    """The state that was last written; None when there is none, or none that can be read."""
    try:
        content: dict[str, Any] = json.loads(file.read_text())
        return StackState(
            supervisor=Identity(**content.pop("supervisor")),
            services=[ServiceState(**service) for service in content.pop("services")],
            processes={name: Identity(**one) for name, one in content.pop("processes").items()},
            **content,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
