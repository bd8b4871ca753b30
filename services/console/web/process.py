"""The process that serves the page; `services/console/page.py` starts it and waits for its word."""

import asyncio
import os
import signal
import sys

import structlog

from services.console.page import LISTENING
from services.console.settings import ConsoleSettings
from services.console.web.site import serve
from shared import log as logs
from shared.run import calm_collector

log = structlog.get_logger(__name__)


async def show() -> int:
    """Serve until a signal, or until the process that started this one is gone; say once that the page answers."""
    settings = ConsoleSettings()
    logs.configure(settings, "console-page")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watching = asyncio.create_task(_until_alone(stop))
    calm_collector()
    try:
        await serve(settings, stop, _say)
    except OSError as error:
        log.error("page_not_served", error=str(error))
        return 1
    finally:
        watching.cancel()
    return 0


def _say() -> None:
    os.write(sys.stdout.fileno(), LISTENING)


async def _until_alone(stop: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass
    stop.set()
