"""`python -m services.console`, and its commands: `migrate`, `rebuild`, and `user NAME ROLE` (the password on stdin).

`page` is what the console starts itself: the process that serves the page.
"""

import asyncio
import sys

import uvloop
from aiokafka.errors import KafkaError
from asyncpg import PostgresError

from services.console.app import build
from services.console.rebuild import Running, rebuild
from services.console.settings import ConsoleSettings
from services.console.web.users import ROLES, UsersUnfit, put
from shared.run import main

USAGE = f"usage: python -m services.console [migrate | rebuild | user NAME {'|'.join(ROLES)} < password]"


def command(words: list[str]) -> int:
    """Run a command; 0 when done, 1 when it could not be, 2 when it was not understood."""
    settings = ConsoleSettings()
    match words:
        case ["page"]:
            from services.console.web.process import show  # noqa: PLC0415 - the process that folds does without

            return uvloop.run(show())
        case ["rebuild"]:
            try:
                tables = asyncio.run(rebuild(settings.database, settings.kafka))
            except (Running, OSError, KafkaError, PostgresError) as error:
                print(error or repr(error), file=sys.stderr)
                return 1
            print(f"emptied {', '.join(tables)}; the console reads every topic from its beginning when it starts")
            return 0
        case ["user", name, role] if role in ROLES:
            try:
                put(
                    settings.console_data,
                    name,
                    sys.stdin.readline().rstrip("\r\n"),
                    next(r for r in ROLES if r == role),
                )
            except UsersUnfit as unfit:
                print(unfit, file=sys.stderr)
                return 1
            print(f"{name} is {role}; a running console knows it after its next start")
            return 0
        case _:
            print(USAGE, file=sys.stderr)
            return 2


if sys.argv[1:] not in ([], ["migrate"]):
    sys.exit(command(sys.argv[1:]))
main(build)
