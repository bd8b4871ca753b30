"""Handing letters to the mail server."""

import asyncio
from dataclasses import dataclass
from email.message import EmailMessage
from types import TracebackType
from typing import Literal, Self

import aiosmtplib

Verdict = Literal["accepted", "refused", "later", "offline"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of handing a letter over. `reason` names the server's codes and never the recipient.

    accepted: the server has it. refused: it will not take it, ever. later: not now, or its answer was lost.
    offline: the server could not be reached or does not let us in, which says nothing about the letter.
    """

    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server and how to speak to it. `limit`: seconds for any one step; a whole letter gets twice that."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: Literal["none", "starttls", "tls"] = "none"
    limit: float = 20.0


class Line:
    """One connection to the server, opened when first needed and opened again after a fault."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client: aiosmtplib.SMTP | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None and self._client.is_connected:
            try:
                await self._client.quit(timeout=2)
            except (aiosmtplib.SMTPException, OSError):
                self._client.close()

    async def hand_over(self, mail: EmailMessage, sender: str, to: str) -> Answer:
        """Send one letter to one recipient."""
        try:
            client = await self._connected()
        except aiosmtplib.SMTPResponseException as error:
            return Answer("offline", f"mail server: {error.code} when connecting")
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return Answer("offline", f"mail server not reached: {type(error).__name__}")
        return await self._sent(client, mail, sender, to)

    async def _sent(self, client: aiosmtplib.SMTP, mail: EmailMessage, sender: str, to: str) -> Answer:
        try:
            async with asyncio.timeout(2 * self._server.limit):
                await client.sendmail(sender, [to], mail.as_bytes())
        except ValueError:
            return Answer("refused", "the address is not valid")
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _refused(error.recipients[0].code)
        except aiosmtplib.SMTPSenderRefused as error:
            # About our own address, not about this letter: somebody has to set it right, and the letter can wait.
            return Answer("later", f"mail server: {error.code} for the sender")
        except aiosmtplib.SMTPResponseException as error:
            return _refused(error.code)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            self._drop()
            return Answer("later", f"mail server: {type(error).__name__}")
        except BaseException:
            self._drop()
            raise
        return Answer("accepted")

    async def _connected(self) -> aiosmtplib.SMTP:
        if self._client is not None and self._client.is_connected:
            return self._client
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            timeout=server.limit,
        )
        self._client = client
        await client.connect()
        return client

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _refused(code: int) -> Answer:
    """5yz is for good, 4yz is for now (RFC 5321, 4.2.1)."""
    return Answer("refused" if 500 <= code < 600 else "later", f"mail server: {code}")
