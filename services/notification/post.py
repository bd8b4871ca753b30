"""Handing letters to the mail server: SMTP sessions that are kept, and the commands of a letter sent in groups.

aiosmtplib opens a session (greeting, STARTTLS, login); from then on the connection is ours. A server that offers
PIPELINING (RFC 2920) gets sender, recipient and DATA at once, and behind the text of the letter before (3.1 allows a
text to begin a group), so that a letter in a row takes one exchange in place of four. What is sent ahead is never a
text: of a connection that is lost one letter is in doubt at most.
"""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self, cast

import aiosmtplib

from services.notification.mail import Mail

Verdict = Literal["accepted", "refused", "later", "offline"]
_MOST_BUFFERED: Final = 64 * 1024
_QUIT_SECONDS: Final = 2.0
_CLOSED: Final = "the mail server has closed the connection"
_UNRULY: Final = "the mail server does not keep to the protocol"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of handing a letter over. `reason` names the server's codes and never the recipient.

    accepted: the server has it. refused: it will not take it, ever. later: not now, or its answer was lost.
    offline: the server could not be reached or does not let us in, which says nothing about the letter.
    """

    verdict: Verdict
    reason: str = ""


_ACCEPTED: Final = Answer("accepted")


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server and how to speak to it. `limit`: seconds for any one step; a whole letter gets twice that."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: Literal["none", "starttls", "tls"] = "none"
    limit: float = 20.0


class Session(asyncio.Protocol):
    """An SMTP session that stands: commands go out, the codes of the replies come back."""

    def __init__(self, transport: asyncio.Transport, *, pipelining: bool, limit: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._limit = limit
        self._rest = b""
        self._codes: list[int] = []
        self._asked = 0
        self._wanted = 0
        self._answered: asyncio.Future[None] | None = None
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.pipelining = pipelining
        self.begun: Mail | None = None
        """The letter whose sender and recipient went out behind the text of the one before."""
        self.text_begun = False
        """Whether the text of the letter in hand has begun to go out: from then on the server may have it."""

    @property
    def open(self) -> bool:
        """Whether there is still somebody at the other end."""
        return not self._transport.is_closing()

    async def hand_over(self, mail: Mail, following: Mail | None = None) -> Answer:
        """One letter to one recipient. With pipelining `following` is begun behind its text, and has to be the next one
        that is handed over. Raises OSError where the connection is lost or takes longer than it may."""
        self.text_begun = False
        self._allow(2 * self._limit)
        codes = await self._begin(mail)
        answer = _objection(codes)
        if answer is not None:
            await self._begin_anew(after=codes[-1])
            return answer
        self.text_begun = True
        if following is not None and self.pipelining:
            self._say(_stuffed(mail.content) + b"".join(_beginning(following)), 4)
            self.begun = following
        else:
            self._say(_stuffed(mail.content), 1)
        (code,) = await self._hear(1)
        return _ACCEPTED if code == 250 else _refused(code)

    async def quit(self) -> None:
        """Say goodbye, unless a letter was begun and a text is expected, and close in any case."""
        try:
            if self.begun is None:
                self._allow(_QUIT_SECONDS)
                self._say(b"QUIT\r\n", 1)
                await self._hear(1)
        except OSError:
            return
        finally:
            self.close()

    def close(self) -> None:
        self._transport.close()
        if self._timer is not None:
            self._timer.cancel()

    async def _begin(self, mail: Mail) -> list[int]:
        """The replies to the commands before the text; a server without pipelining hears no more after a refusal."""
        begun, self.begun = self.begun, None
        if begun is mail:
            return await self._hear(3)
        if begun is not None:  # its recipient would get this text
            raise ConnectionAbortedError("another letter was begun")
        commands = _beginning(mail)
        if self.pipelining:
            self._say(b"".join(commands), 3)
            return await self._hear(3)
        codes: list[int] = []
        for command in commands:
            self._say(command, 1)
            codes += await self._hear(1)
            if codes[-1] >= 400:
                break
        return codes

    async def _begin_anew(self, *, after: int) -> None:
        """Be ready for the next letter; a server that has hung up instead is called again then."""
        try:
            if after == 354:  # it wants to hear a text for nobody (RFC 2920, 3.1)
                self._say(b".\r\n", 1)
                await self._hear(1)
            self._say(b"RSET\r\n", 1)
            await self._hear(1)
        except OSError:
            self.close()

    def _say(self, data: bytes, replies: int) -> None:
        """Send what so many replies will come to."""
        if not self.open:
            raise ConnectionResetError(_CLOSED)
        self._asked += replies
        self._transport.write(data)

    async def _hear(self, replies: int) -> list[int]:
        """The codes of the next replies."""
        if len(self._codes) < replies:
            if not self.open:
                raise ConnectionResetError(_CLOSED)
            if self._timer is None:
                self._timer = self._loop.call_at(self._due, self._look_at_the_time)
            self._wanted = replies
            self._answered = self._loop.create_future()
            try:
                await self._answered
            finally:
                self._answered = None
        codes, self._codes = self._codes[:replies], self._codes[replies:]
        self._asked -= replies
        return codes

    def _allow(self, seconds: float) -> None:
        """What is waited for from now on has to come within so many seconds."""
        self._due = self._loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None

    def _look_at_the_time(self) -> None:
        """One timer serves many letters: it is set again to when the one on the line would be late."""
        self._timer = None
        if self._answered is None:
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._look_at_the_time)
        else:
            self._lost(TimeoutError("the mail server does not answer"))

    def data_received(self, data: bytes) -> None:
        """Take note of the last line of each reply; what nobody has asked for ends the session."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line[3:4] != b"-":
                self._codes.append(int(line[:3]) if line[:3].isdigit() else 0)
        if len(self._codes) > self._asked or 0 in self._codes or len(self._rest) > _MOST_BUFFERED:
            self._lost(ConnectionAbortedError(_UNRULY))
            self.close()
        elif self._answered is not None and len(self._codes) >= self._wanted and not self._answered.done():
            self._answered.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._lost(ConnectionResetError(_CLOSED))

    def _lost(self, error: OSError) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error)


class Line:
    """One connection to the server, opened when first needed, kept, and opened again after a fault."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._session: Session | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.hang_up()

    async def hang_up(self) -> None:
        """Close the connection, if there is one."""
        session, self._session = self._session, None
        if session is not None and session.open:
            await session.quit()

    @property
    def pipelines(self) -> bool:
        """Whether the server can be told of a letter while it still has the one before."""
        return self._session is not None and self._session.pipelining

    async def hand_over(self, mail: Mail, following: Mail | None = None) -> Answer:
        """Send one letter to one recipient, and let the server know of the one that follows. Where a kept connection
        turns out to be dead before the text has begun, the letter goes over a new one."""
        kept = self._session is not None
        answer = await self._try(mail, following)
        if answer is None and kept:
            answer = await self._try(mail, following)
        return answer or Answer("later", "mail server: the connection was closed")

    async def _try(self, mail: Mail, following: Mail | None) -> Answer | None:
        """What came of it; None where the connection was lost before the text had begun."""
        try:
            session = await self._connected()
        except aiosmtplib.SMTPResponseException as error:
            return Answer("offline", f"mail server: {error.code} when connecting")
        except (aiosmtplib.SMTPException, OSError) as error:
            return Answer("offline", f"mail server not reached: {type(error).__name__}")
        try:
            return await session.hand_over(mail, following)
        except OSError as error:
            self._drop()
            if isinstance(error, TimeoutError) or session.text_begun:
                return Answer("later", f"mail server: {type(error).__name__}")
            return None
        except BaseException:
            self._drop()
            raise

    async def _connected(self) -> Session:
        if self._session is not None and self._session.open:
            return self._session
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
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            try:
                await client.ehlo()
            except aiosmtplib.SMTPHeloError:
                await client.helo()
        if client.transport is None or client.transport.is_closing():
            raise ConnectionResetError(_CLOSED)
        transport = cast("asyncio.Transport", client.transport)
        self._session = Session(transport, pipelining=client.supports_extension("pipelining"), limit=server.limit)
        transport.set_protocol(self._session)
        return self._session

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def _beginning(mail: Mail) -> tuple[bytes, ...]:
    """The commands before a letter's text."""
    return f"MAIL FROM:<{mail.sender}>\r\n".encode(), f"RCPT TO:<{mail.to}>\r\n".encode(), b"DATA\r\n"


def _objection(codes: list[int]) -> Answer | None:
    """What the server has against the letter before its text; None where it wants to hear it."""
    sender, *rest = codes
    if sender >= 300:
        # About our own address, not about this letter: somebody has to set it right, and the letter can wait.
        return Answer("later", f"mail server: {sender} for the sender")
    if rest[0] >= 300:
        return _refused(rest[0])
    if rest[1] == 354:
        return None
    if rest[1] < 400:  # no answer to DATA: the replies are not those to what was asked
        raise ConnectionAbortedError(_UNRULY)
    return _refused(rest[1])


def _refused(code: int) -> Answer:
    """5yz is for good, 4yz is for now (RFC 5321, 4.2.1)."""
    return Answer("refused" if 500 <= code < 600 else "later", f"mail server: {code}")


def _stuffed(content: bytes) -> bytes:
    """The text with its end, lines that begin with a dot told apart from it (RFC 5321, 4.5.2)."""
    text = content.replace(b"\r\n.", b"\r\n..")
    return text + (b".\r\n" if text.endswith(b"\r\n") else b"\r\n.\r\n")
