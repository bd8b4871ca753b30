"""Runs a service with crash points, or without a protection: `python -m tests.faults.crashing services.intake`.

The product has neither. A file in the folder that `MAKEGOOD_TEST_FOLDER` names says where to stop (`after_commit:3`:
the third time from now) and is taken away as it happens; `MAKEGOOD_TEST_WITHOUT` names a protection to be patched out,
so that the harness can show that it notices.
"""

import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from aiokafka import AIOKafkaProducer

from services.notification import post
from services.notification.mail import Mail
from shared.bus import pipeline, relay, store, transactional
from shared.bus.lanes import Lane
from shared.bus.record import Record

OWN = "harness"
"""The harness's own folder beside the stack's."""
ADDRESS, MAILS = "postgres-address", "mails"
"""In there: where the database is, what was said to the mail server."""
ALL = ("intake", "eligibility", "refund-calculation", "notification")
CRASHES = {
    "before_commit": ALL,
    "after_commit": ALL,
    "after_send": ALL,
    "in_kafka_transaction": ("refund-calculation",),
    "after_kafka_transaction": ("refund-calculation",),
    "after_mail": ("notification",),
}
HANGS = {"hang_before_lock": ALL, "hang_after_lock": ALL, "hang_before_save": ALL, "hang_in_commit": ALL}
"""Points of the delivery, and the services that pass them."""
PROTECTIONS = ("fence", "inbox", "transactional_position", "row_lock")


class CrashPoints:
    """Looks at each point whether this is where the process is to end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._passed = 0

    def at(self, point: str) -> object:
        """End here, by SIGKILL, if the file says so (hang: by SIGSTOP, until somebody continues the process)."""
        try:
            wanted, _, times = self._file.read_text().strip().partition(":")
        except FileNotFoundError:
            self._passed = 0
            return None
        if wanted != point:
            return None
        self._passed += 1
        if self._passed >= int(times or "1"):
            self._file.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGSTOP if point.startswith("hang") else signal.SIGKILL)
        return None


def install(points: CrashPoints) -> None:
    """Wrap the kit's functions with the points."""
    _wrap(
        store,
        "lock_lanes",
        before=lambda: points.at("hang_before_lock"),
        after=lambda: points.at("hang_after_lock"),
    )
    _wrap(
        store,
        "save",
        before=lambda: points.at("hang_before_save"),
        after=lambda: [points.at(point) for point in ("before_commit", "hang_in_commit")],
    )
    _wrap(relay.Relay, "offer", before=lambda: points.at("after_commit"))
    _wrap(relay, "send_in_order", after=lambda: points.at("after_send"))
    _wrap(AIOKafkaProducer, "send_offsets_to_transaction", before=lambda: points.at("in_kafka_transaction"))
    _wrap(transactional.TransactionalLane, "publish", after=lambda: points.at("after_kafka_transaction"))


def log_mails(file: Path, points: CrashPoints) -> None:
    """Write down when each letter is handed over, and the answer: what a second copy has to be judged by."""
    hand_over = post.Line.hand_over
    told = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def tell(what: str, key: str) -> None:
        os.write(told, f"{os.getpid()} {time.time_ns() // 1_000_000} {what} {key}\n".encode())

    async def handed(line: post.Line, mail: Mail, following: Mail | None = None) -> post.Answer:
        tell("begun", mail.notification_id)
        answer = await hand_over(line, mail, following)
        tell(answer.verdict, mail.notification_id)
        points.at("after_mail")
        return answer

    _set(post.Line, "hand_over", handed)


def go_through_wire(port: str, folder: Path) -> None:
    """Reach the database through the harness's wire, which is told where the database is."""
    dsn = urlsplit(os.environ["MAKEGOOD_DATABASE"])
    user, _, address = dsn.netloc.rpartition("@")
    temporary = folder / f".postgres-{os.getpid()}"
    temporary.write_text(address)
    temporary.replace(folder / ADDRESS)
    os.environ["MAKEGOOD_DATABASE"] = urlunsplit(dsn._replace(netloc=f"{user}@127.0.0.1:{port}"))


def take_away(protection: str) -> None:
    """Patch one protection out of the kit."""
    if protection == "fence":

        async def lock_without_looking(conn: Any, lanes: dict[int, Lane]) -> None:
            await conn.fetch("SELECT lane FROM lane WHERE lane = ANY($1::int[]) ORDER BY lane FOR UPDATE", list(lanes))

        _set(store, "lock_lanes", lock_without_looking)
    elif protection == "row_lock":
        for function in ("lock_lanes", "claim_lanes"):
            _without_locks(function)
    elif protection == "inbox":

        def no_number(record: Record) -> tuple[str, None]:
            return record.source, None

        _set(pipeline, "_origin", no_number)
    elif protection == "transactional_position":

        async def nothing_stored(self: Any) -> int:
            return 0

        _set(transactional.TransactionalLane, "_read_stored", nothing_stored)
    else:
        raise SystemExit(f"no such protection: {protection}")


def _without_locks(function: str) -> None:
    original = getattr(store, function)

    class Unlocked:
        def __init__(self, conn: Any) -> None:
            self._conn = conn

        def __getattr__(self, name: str) -> Any:
            return getattr(self._conn, name)

        async def fetch(self, query: str, *arguments: object) -> Any:
            return await self._conn.fetch(query.replace("FOR UPDATE", ""), *arguments)

    async def unlocked(conn: Any, *arguments: Any) -> Any:
        return await original(Unlocked(conn), *arguments)

    _set(store, function, unlocked)


def _wrap(
    owner: Any, name: str, *, before: Callable[[], object] = lambda: None, after: Callable[[], object] = lambda: None
) -> None:
    original = getattr(owner, name)

    async def wrapped(*arguments: Any, **named: Any) -> Any:
        before()
        result = await original(*arguments, **named)
        after()
        return result

    _set(owner, name, wrapped)


def _set(owner: Any, name: str, value: object) -> None:
    assert hasattr(owner, name), f"{owner} has no {name} any more: mend the harness"
    setattr(owner, name, value)


def main(module: str) -> None:
    """Install what the environment asks for, then run the service as its own `__main__` would."""
    from shared.run import main as run

    folder = Path(os.environ["MAKEGOOD_TEST_FOLDER"])
    name = module.rpartition(".")[2].replace("_", "-")
    points = CrashPoints(folder / f"crash-{name}-{os.environ['MAKEGOOD_REPLICA']}")
    for protection in filter(None, os.environ.get("MAKEGOOD_TEST_WITHOUT", "").split(",")):
        take_away(protection)
    install(points)
    if name == "notification":
        log_mails(folder / MAILS, points)
    go_through_wire(os.environ["MAKEGOOD_TEST_WIRE"], folder)
    run(importlib.import_module(f"{module}.app").build)


if __name__ == "__main__":
    main(sys.argv[1])
