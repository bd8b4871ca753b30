"""The page as a process of its own beside the consumer: neither folding nor showing waits for the other."""

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress

import structlog

from services.console.settings import ConsoleSettings
from services.console.web.site import serve
from shared import log as logs
from shared.bus import Work
from shared.db import Pool
from shared.run import calm_collector

log = structlog.get_logger(__name__)

_END_LIMIT = 10.0


class PageEnded(Exception):  # noqa: N818 - read as a sentence
    """The page's process has ended by itself: the console ends too, and is started again by whoever keeps it."""


async def keep(
    pool: Pool, unit: Callable[[], AbstractAsyncContextManager[Work]], stop: asyncio.Event, *words: str
) -> None:
    """Run the page's process until `stop`: the console's `background`. It ends with this process, however that ends:
    its standard input is a pipe that nobody else holds.

    Raises:
        PageEnded: it has ended by itself; its log says why.
    """
    program = (sys.executable, "-m", "services.console", *(words or ("page",)))
    process = await asyncio.create_subprocess_exec(*program, stdin=asyncio.subprocess.PIPE)
    ended, stopped = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            raise PageEnded(f"the page ended with {process.returncode}")
    finally:
        stopped.cancel()
        await _end(process)
        ended.cancel()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_END_LIMIT):
            await process.wait()
    except TimeoutError:
        log.warning("page_killed", after_seconds=_END_LIMIT)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def show() -> int:
    """The page's process: serve until a signal, or until the process that started it is gone."""
    settings = ConsoleSettings()
    logs.configure(settings, "console-page")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watching = asyncio.create_task(_until_alone(stop))
    calm_collector()
    try:
        await serve(settings, stop)
    except OSError as error:
        log.error("page_not_served", error=str(error))
        return 1
    finally:
        watching.cancel()
    return 0


async def _until_alone(stop: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass
    stop.set()
