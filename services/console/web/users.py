"""Who may sign in: a local file of users with argon2 hashes, kept readable by its owner alone."""

import json
import os
import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

Role = Literal["viewer", "staff", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
SHORTEST = 12

_HASHER = PasswordHasher()


class UsersUnfit(Exception):  # noqa: N818 - read as a sentence
    """The user file cannot be read or does not say what it should."""


@dataclass(frozen=True, slots=True)
class User:
    """A user of the local file."""

    name: str
    role: Role
    password_hash: str


@cache
def _nobody() -> str:
    """The hash of a password that nobody has."""
    return _HASHER.hash(secrets.token_urlsafe(16))


class Users:
    """The local users. `verify` takes as long for a name that is not there as for a wrong password."""

    def __init__(self, users: dict[str, User]) -> None:
        self._users = users
        self._nobody = _nobody()

    def verify(self, name: str, password: str) -> User | None:
        """The user, if name and password are right. Takes some 50 ms of CPU: call it in a thread."""
        user = self._users.get(name)
        try:
            _HASHER.verify(self._nobody if user is None else user.password_hash, password)
        except (VerificationError, InvalidHashError):
            return None
        return user

    def __len__(self) -> int:
        return len(self._users)


def users_file(folder: Path) -> Path:
    """Where the users are."""
    return folder / "users.json"


def password_file(folder: Path) -> Path:
    """Where a demo's first password is, for whoever may read the data folder."""
    return folder / "admin-password"


def load(folder: Path) -> dict[str, User]:
    """Read the user file; none there: no users. Raises `UsersUnfit`."""
    file = users_file(folder)
    if not file.exists():
        return {}
    try:
        content = json.loads(file.read_text("utf-8"))
        users = [User(name, _role(entry["role"]), entry["argon2"]) for name, entry in content.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsersUnfit(f"{file} is not a user file: {error!r}") from error
    return {user.name: user for user in users}


def put(folder: Path, name: str, password: str, role: Role) -> None:
    """Add or change a user. Raises `UsersUnfit` for a password that is too short."""
    if len(password) < SHORTEST:
        raise UsersUnfit(f"the password has fewer than {SHORTEST} characters")
    users = load(folder) | {name: User(name, role, _HASHER.hash(password))}
    content = {u.name: {"role": u.role, "argon2": u.password_hash} for u in users.values()}
    folder.mkdir(parents=True, exist_ok=True)
    write_private(users_file(folder), json.dumps(content, indent=1, ensure_ascii=False))
    if name == "admin":
        password_file(folder).unlink(missing_ok=True)  # no longer the one


def open_users(folder: Path, admin_password: str | None) -> tuple[Users, str | None]:
    """The users, and the first admin's password if it was made just now.

    With `admin_password` the user `admin` has that one, in memory alone. Without it and without any user, a random one
    is made and left in `admin-password` beside the user file.
    """
    users = load(folder)
    if admin_password is not None:
        return Users(users | {"admin": User("admin", "admin", _HASHER.hash(admin_password))}), None
    if users:
        return Users(users), None
    made = secrets.token_urlsafe(15)
    put(folder, "admin", made, "admin")
    write_private(password_file(folder), made + "\n")
    return Users(load(folder)), made


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step."""
    temporary = file.with_name(f".{file.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    temporary.replace(file)


def _role(text: str) -> Role:
    for role in ROLES:
        if role == text:
            return role
    raise ValueError(f"{text!r} is not a role: {', '.join(ROLES)}")
