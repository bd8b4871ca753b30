"""Sessions in the database, and the limit on attempts to sign in."""

import hashlib
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.console.web.users import ROLES, Role
from shared.db import Conn


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in. `csrf` goes with every form."""

    name: str
    role: Role
    csrf: str

    def may(self, role: Role) -> bool:
        """Whether the session's role is this one or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def begin(conn: Conn, name: str, role: Role, now: datetime, lasts: timedelta) -> str:
    """Begin a session and return the token of its cookie; the database has only the token's hash."""
    token = secrets.token_urlsafe(32)
    await conn.execute("DELETE FROM session WHERE ends_at < $1", now)
    await conn.execute(
        "INSERT INTO session VALUES ($1, $2, $3, $4, $5, $5, $6)",
        _hash(token),
        name,
        role,
        secrets.token_urlsafe(32),
        now,
        now + lasts,
    )
    return token


async def find(conn: Conn, token: str, now: datetime, idle: timedelta) -> Session | None:
    """The session of a token, unless it has ended or nobody has used it for `idle`."""
    row = await conn.fetchrow(
        "SELECT name, role, csrf, seen_at FROM session WHERE token_hash = $1 AND ends_at > $2 AND seen_at > $3",
        _hash(token),
        now,
        now - idle,
    )
    if row is None:
        return None
    if now - row["seen_at"] > timedelta(minutes=1):
        await conn.execute("UPDATE session SET seen_at = $2 WHERE token_hash = $1", _hash(token), now)
    return Session(row["name"], row["role"], row["csrf"])


async def end(conn: Conn, token: str) -> None:
    """End a session."""
    await conn.execute("DELETE FROM session WHERE token_hash = $1", _hash(token))


class Attempts:
    """At most `most` failed attempts per key within `window`; the oldest keys are forgotten first."""

    def __init__(self, most: int = 5, window: timedelta = timedelta(minutes=5), keys: int = 10_000) -> None:
        self._most = most
        self._window = window
        self._keys = keys
        self._failed: OrderedDict[str, deque[datetime]] = OrderedDict()

    def wait(self, key: str, now: datetime) -> timedelta | None:
        """How long the key has to wait; None when it may try."""
        failed = self._failed.get(key)
        while failed and now - failed[0] > self._window:
            failed.popleft()
        if not failed or len(failed) < self._most:
            return None
        return self._window - (now - failed[0])

    def fail(self, key: str, now: datetime) -> None:
        """Count a failed attempt."""
        self._failed.setdefault(key, deque(maxlen=self._most)).append(now)
        self._failed.move_to_end(key)
        while len(self._failed) > self._keys:
            self._failed.popitem(last=False)

    def forget(self, key: str) -> None:
        """The key has signed in."""
        self._failed.pop(key, None)
