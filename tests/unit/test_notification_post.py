"""The SMTP session: which commands go out together, and what is made of each answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from services.notification.mail import Mail
from services.notification.post import Answer, Line, Server
from tests.stack import eventually

MAIL = Mail(
    "n-1",
    "claims@makegood.example",
    "ali@example.com",
    b"Subject: x\r\n\r\n.a\r\nb\r\n.\r\nc\r\n",
    "x",
    ".a\nb\n.\nc\n",
)
NEXT = Mail("n-2", MAIL.sender, "mai@example.com", b"Subject: y\r\n\r\nd\r\n", "y", "d\n")
BEGIN = ["MAIL FROM:<claims@makegood.example>", "RCPT TO:<ali@example.com>", "DATA"]
BEGIN_NEXT = [BEGIN[0], "RCPT TO:<mai@example.com>", "DATA"]
TEXT = "Subject: x\r\n\r\n..a\r\nb\r\n..\r\nc\r\n"
TEXT_NEXT = "Subject: y\r\n\r\nd\r\n"


@dataclass
class Script:
    """A mail server that answers as it is told: by verb, `TEXT` for a letter, the first answers first."""

    pipelining: bool = True
    answers: dict[str, list[str]] = field(default_factory=dict)
    heard: list[list[str]] = field(default_factory=list)
    """The commands of each packet, in all connections; a letter as it came, without its end."""
    connections: int = 0
    server: asyncio.Server | None = None

    async def start(self) -> int:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    def _answer(self, verb: str) -> str:
        usual = {"TEXT": "250 taken", "DATA": "354 go on", "QUIT": "221 bye"}.get(verb, "250 fine")
        given = self.answers.get(verb, [])
        return given.pop(0) if given else usual

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"220 script\r\n")
        text = False
        while data := await reader.read(65536):
            packet: list[str] = []
            while data:
                if text:
                    while b"\r\n.\r\n" not in b"\r\n" + data:
                        data += await reader.read(65536)
                    content, _, data = (b"\r\n" + data).partition(b"\r\n.\r\n")
                    command, verb, text = (content + b"\r\n").decode()[2:], "TEXT", False
                else:
                    line, _, data = data.partition(b"\r\n")
                    command = line.decode()
                    verb = command[:4].upper()
                packet.append(command)
                if verb == "EHLO":
                    writer.write(b"250-script\r\n250 PIPELINING\r\n" if self.pipelining else b"250 script\r\n")
                    continue
                answer = self._answer(verb)
                if answer == "hang up":
                    writer.close()
                    self.heard.append(packet)
                    return
                text = verb == "DATA" and answer.startswith("354")
                writer.write(answer.encode() + b"\r\n")
            self.heard.append(packet)
        writer.close()

    @property
    def letters(self) -> list[list[str]]:
        """The packets but for greetings and farewells."""
        return [packet for packet in self.heard if packet[0][:4] not in ("EHLO", "QUIT")]


@pytest.fixture
async def open_line() -> AsyncIterator[Callable[..., object]]:
    opened: list[tuple[Line, Script]] = []

    async def open_(script: Script, limit: float = 5.0) -> Line:
        line = Line(Server("127.0.0.1", await script.start(), limit=limit))
        opened.append((line, script))
        return line

    yield open_
    for line, script in opened:
        await line.hang_up()
        assert script.server is not None
        script.server.close()


OpenLine = Callable[..., "asyncio.Future[Line]"]


async def test_a_server_with_pipelining_hears_the_letter_in_two_packets(open_line: OpenLine) -> None:
    script = Script()
    line = await open_line(script)
    assert [await line.hand_over(MAIL) for _ in range(2)] == [Answer("accepted")] * 2
    assert script.letters == [BEGIN, [TEXT]] * 2
    assert script.connections == 1


async def test_a_letter_that_follows_is_begun_behind_the_text_of_the_one_before(open_line: OpenLine) -> None:
    script = Script()
    line = await open_line(script)
    assert await line.hand_over(MAIL, NEXT) == Answer("accepted")
    assert line.pipelines
    assert await line.hand_over(NEXT) == Answer("accepted")
    assert script.letters == [BEGIN, [TEXT, *BEGIN_NEXT], [TEXT_NEXT]]


async def test_without_pipelining_nothing_is_said_ahead(open_line: OpenLine) -> None:
    script = Script(pipelining=False)
    line = await open_line(script)
    assert [await line.hand_over(MAIL, NEXT), await line.hand_over(NEXT)] == [Answer("accepted")] * 2
    assert not line.pipelines
    assert [len(packet) for packet in script.letters] == [1] * 8


@pytest.mark.parametrize(
    ("answers", "first", "second"),
    [
        ({"TEXT": ["452 full"]}, Answer("later", "mail server: 452"), Answer("accepted")),
        ({"RCPT": ["550 no"]}, Answer("refused", "mail server: 550"), Answer("accepted")),
        ({"RCPT": ["250 fine", "550 no"]}, Answer("accepted"), Answer("refused", "mail server: 550")),
    ],
)
async def test_an_answer_is_that_to_its_own_letter_also_where_both_were_on_the_line(
    open_line: OpenLine, answers: dict[str, list[str]], first: Answer, second: Answer
) -> None:
    script = Script(answers=answers)
    line = await open_line(script)
    assert [await line.hand_over(MAIL, NEXT), await line.hand_over(NEXT)] == [first, second]
    assert await line.hand_over(MAIL) == Answer("accepted")
    assert script.connections == 1


@pytest.mark.parametrize(
    ("answers", "first"),
    [
        ({"TEXT": ["hang up"]}, Answer("later", "mail server: ConnectionResetError")),
        ({"MAIL": ["250 fine", "hang up"]}, Answer("accepted")),
        ({"DATA": ["354 go on", "hang up"]}, Answer("accepted")),
        ({"DATA": ["354 go on", "250 is no answer to that"]}, Answer("accepted")),
    ],
)
async def test_of_a_connection_that_is_lost_one_letter_is_in_doubt_and_the_begun_one_goes_over_another(
    open_line: OpenLine, answers: dict[str, list[str]], first: Answer
) -> None:
    script = Script(answers=answers)
    line = await open_line(script)
    assert [await line.hand_over(MAIL, NEXT), await line.hand_over(NEXT)] == [first, Answer("accepted")]
    assert script.connections == 2
    assert sum(TEXT_NEXT in packet for packet in script.letters) == 1


async def test_a_letter_that_was_begun_and_is_given_back_is_not_sent(open_line: OpenLine) -> None:
    script = Script()
    line = await open_line(script)
    assert await line.hand_over(MAIL, NEXT) == Answer("accepted")
    await line.hang_up()
    assert await line.hand_over(MAIL) == Answer("accepted")
    assert script.connections == 2
    assert [packet for packet in script.heard if "QUIT" in packet] == []


async def test_the_text_of_one_letter_never_goes_to_the_recipient_of_another(open_line: OpenLine) -> None:
    script = Script()
    line = await open_line(script)
    assert await line.hand_over(MAIL, NEXT) == Answer("accepted")
    assert await line.hand_over(MAIL) == Answer("accepted")
    assert script.letters == [BEGIN, [TEXT, *BEGIN_NEXT], BEGIN, [TEXT]]


async def test_a_server_without_it_hears_one_command_after_the_other(open_line: OpenLine) -> None:
    script = Script(pipelining=False)
    line = await open_line(script)
    assert await line.hand_over(MAIL) == Answer("accepted")
    assert [len(packet) for packet in script.letters] == [1] * 4


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("verb", "said", "answer"),
    [
        ("MAIL", "450 not now", Answer("later", "mail server: 450 for the sender")),
        ("MAIL", "550 who are you", Answer("later", "mail server: 550 for the sender")),
        ("RCPT", "451 greylisted", Answer("later", "mail server: 451")),
        ("RCPT", "550-no such\r\n550 user", Answer("refused", "mail server: 550")),
        ("DATA", "554 no", Answer("refused", "mail server: 554")),
        ("DATA", "421 closing", Answer("later", "mail server: 421")),
        ("TEXT", "452 full", Answer("later", "mail server: 452")),
        ("TEXT", "552 too big", Answer("refused", "mail server: 552")),
    ],
)
async def test_what_is_said_against_a_letter_is_not_said_against_the_next(
    open_line: OpenLine, pipelining: bool, verb: str, said: str, answer: Answer
) -> None:
    script = Script(pipelining, {verb: [said]})
    line = await open_line(script)
    assert await line.hand_over(MAIL) == answer
    assert await line.hand_over(MAIL) == Answer("accepted")
    assert script.connections == 1


async def test_a_text_that_is_asked_for_though_the_recipient_is_refused_is_empty(open_line: OpenLine) -> None:
    script = Script(answers={"RCPT": ["550 no"], "TEXT": ["554 nobody to send it to"]})
    line = await open_line(script)
    assert await line.hand_over(MAIL) == Answer("refused", "mail server: 550")
    assert script.letters == [BEGIN, [""], ["RSET"]]


async def test_a_kept_connection_that_is_dead_is_opened_again(open_line: OpenLine) -> None:
    script = Script(answers={"MAIL": ["250 fine", "hang up"]})
    line = await open_line(script)
    assert [await line.hand_over(MAIL) for _ in range(2)] == [Answer("accepted")] * 2
    assert script.connections == 2


async def test_a_new_connection_that_dies_at_once_is_not_tried_again(open_line: OpenLine) -> None:
    script = Script(answers={"MAIL": ["hang up"] * 2})
    line = await open_line(script)
    assert await line.hand_over(MAIL) == Answer("later", "mail server: the connection was closed")
    assert script.connections == 1


async def test_a_letter_whose_text_has_begun_is_never_sent_again_by_itself(open_line: OpenLine) -> None:
    script = Script(answers={"TEXT": ["250 taken", "hang up"]})
    line = await open_line(script)
    assert await line.hand_over(MAIL) == Answer("accepted")
    assert await line.hand_over(MAIL) == Answer("later", "mail server: ConnectionResetError")
    assert script.connections == 1


async def test_a_server_that_hangs_up_after_a_refusal_has_refused(open_line: OpenLine) -> None:
    script = Script(answers={"RCPT": ["550 no"], "DATA": ["503 no"], "RSET": ["hang up"]})
    line = await open_line(script)
    assert await line.hand_over(MAIL) == Answer("refused", "mail server: 550")
    assert await line.hand_over(MAIL) == Answer("accepted")
    assert script.connections == 2


@pytest.mark.parametrize("said", ["250 one\r\n250 two too many", "what?", "25"])
async def test_what_does_not_keep_to_the_protocol_ends_the_session(open_line: OpenLine, said: str) -> None:
    script = Script(answers={"TEXT": [said]})
    line = await open_line(script)
    assert (await line.hand_over(MAIL)).verdict == "later"
    assert await line.hand_over(MAIL) == Answer("accepted")
    assert script.connections == 2


async def test_an_answer_that_does_not_come_is_waited_for_so_long(open_line: OpenLine) -> None:
    script = Script(answers={"TEXT": ["250 taken", "250-to be continued"]})
    line = await open_line(script, limit=0.2)
    assert await line.hand_over(MAIL) == Answer("accepted")
    await _nearly_over(line)
    began = time.monotonic()
    assert await line.hand_over(MAIL) == Answer("later", "mail server: TimeoutError")
    assert 0.35 < time.monotonic() - began < 2.0


async def _nearly_over(line: Line) -> None:
    """Wait until little is left of the time that the last letter was allowed: the next one has its own."""
    session = line._session
    assert session is not None
    loop = asyncio.get_running_loop()
    await eventually(lambda: session._due - loop.time() < 0.1, every=0.01, why="the letter's time is nearly over")


async def test_a_server_that_is_not_there_says_nothing_about_the_letter() -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    taken.close()
    await taken.wait_closed()
    answer = await Line(Server("127.0.0.1", port, limit=2.0)).hand_over(MAIL)
    assert answer.verdict == "offline"
    assert answer.reason.startswith("mail server not reached: ")
