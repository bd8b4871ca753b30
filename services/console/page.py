"""The page as a process of its own beside the consumer: neither folding nor showing waits for the other."""

import asyncio
import sys
from contextlib import suppress

import structlog

log = structlog.get_logger(__name__)

LISTENING = b"listening\n"
"""What the page's process says on its standard output once it answers."""
_END_LIMIT = 10.0


class PageEnded(Exception):  # noqa: N818 - read as a sentence
    """The page's process has ended by itself: the console ends too, and is started again by whoever keeps it."""


class Page:
    """The page's process, as the console that started it knows it."""

    def __init__(self, *words: str) -> None:
        self._words = words or ("page",)
        self.listening = False
        """Whether it has said that it answers, and has not ended since."""

    async def keep(self, stop: asyncio.Event) -> None:
        """Run the process until `stop`. It ends with this one, however that ends: its standard input is a pipe that
        nobody else holds.

        Raises:
            PageEnded: it has ended by itself; its log says why.
        """
        program = (sys.executable, "-m", "services.console", *self._words)
        process = await asyncio.create_subprocess_exec(
            *program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        heard = asyncio.create_task(self._hear(process))
        ended, stopped = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not stop.is_set():
                raise PageEnded(f"the page ended with {process.returncode}")
        finally:
            self.listening = False
            stopped.cancel()
            await _end(process)
            heard.cancel()
            ended.cancel()

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        said = b""
        while chunk := await process.stdout.read(1024):
            said = (said + chunk)[-len(LISTENING) :]
            if said == LISTENING and process.returncode is None:
                self.listening = True


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
