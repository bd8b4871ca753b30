"""An SMTP server on the loopback that keeps each message as a file: the mail of a machine without customers."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack.ports import HOST

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

MESSAGE_BYTES = 1024 * 1024


class MailFolder:
    """Takes every message, and writes it as `<number>.eml`, numbers rising in the order of arrival."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        highest = max((int(file.stem) for file in folder.glob("*.eml") if file.stem.isdigit()), default=0)
        self._numbers = itertools.count(highest + 1)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep one message; it is on the disk under its name before the client hears so."""
        content = envelope.content
        if not isinstance(content, bytes):
            return "554 no content"
        head = f"X-Envelope-From: {envelope.mail_from}\r\nX-Envelope-To: {', '.join(envelope.rcpt_tos)}\r\n".encode()
        name = f"{next(self._numbers):06d}.eml"
        temporary = self._folder / f".{name}"
        temporary.write_bytes(head + content)
        temporary.replace(self._folder / name)
        return f"250 OK kept as {name}"


class SmtpSink:
    """The server; it lives in the event loop of whoever starts it."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self._port}"

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        from aiosmtpd.smtp import SMTP

        self._folder.mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        keeper = MailFolder(self._folder)
        self._server = await loop.create_server(
            lambda: SMTP(
                keeper,
                hostname="makegood",
                ident="Makegood",
                data_size_limit=MESSAGE_BYTES,
                enable_SMTPUTF8=True,
                loop=loop,
            ),
            HOST,
            self._port,
        )

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self._server = None
