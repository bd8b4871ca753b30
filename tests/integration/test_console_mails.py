"""The texts of mails on a claim's page: from the notification service's own answer over HTTP to what a person sees."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.console.mails import MOST_BYTES
from services.console.web.wording import wording
from services.notification import queue
from services.notification.queue import Outcome
from services.notification.texts import routes
from shared.db import Pool, connect
from shared.health import serve_health
from shared.settings import Settings
from tests.conftest import MakeDatabase
from tests.console_desk import Console1, console
from tests.console_samples import day
from tests.stack import eventually

KEY = "the key of these tests"
CLAIM = {"merchant": "hakago", "claim_id": "C-3"}
NOTIFICATION_ID = "n-hakago-C-3-awaiting_return"
MAIL = Outcome(
    "hakago", "C-3", 1, 0, NOTIFICATION_ID, "O-3", "awaiting_return", "", True, "vi-VN", "hash", None,
    subject="béo", text='<b>Hello</b> "سلام"\n',
)  # fmt: skip


@asynccontextmanager
async def answering(more: Sequence[Route]) -> AsyncIterator[str]:
    """A health server with these routes; its address."""
    server = serve_health(Settings(health_port=0), dict, dict, more)
    serving = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started, why="the server listens")
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, 20)


@pytest.fixture
async def pool(make_database: MakeDatabase) -> AsyncIterator[Pool]:
    pool = await connect(await make_database(["shared.bus", "services.notification"]), 2, application="test")
    yield pool
    await pool.close()


@pytest.fixture
async def open_console(make_database: MakeDatabase, tmp_path: Path) -> Callable[..., Any]:
    database = await make_database(["shared.bus", "services.console"])

    @asynccontextmanager
    async def open_(notification: str, key: str = KEY) -> AsyncIterator[Console1]:
        services = f"intake=http://127.0.0.1:1,notification={notification}" if notification else ""
        async with console(database, tmp_path, console_services=services, mails_key=key) as desk:
            await desk.read(day(7).records)
            yield desk

    return open_


async def unmasked(desk: Console1) -> tuple[str, dict[str, Any]]:
    """The page of the claim for staff who unmask it, and its message as JSON."""
    async with desk.browser("staff") as staff:
        page = await staff.post("/unmask", CLAIM, as_json=False)
        (notice,) = json.loads((await staff.post("/unmask", CLAIM)).text)["case"]["notices"]
    assert page.status_code == 200
    return page.text, notice


async def test_messages_are_shown_as_the_customer_saw_them(pool: Pool, open_console: Callable[..., Any]) -> None:
    await queue.keep(pool, [MAIL], datetime.now(UTC))
    async with answering(routes(pool, KEY)) as address, open_console(address) as desk:
        page, notice = await unmasked(desk)
        assert "béo" in page
        assert "&lt;b&gt;Hello&lt;/b&gt; &#34;سلام&#34;" in page
        assert (notice["subject"], notice["body"], notice["text_missing"]) == (MAIL.subject, MAIL.text, None)
        for role in ("viewer", "admin"):
            async with desk.browser(role) as reader:
                assert "Hello" not in (await reader.get("/claims/hakago/C-3")).text


@pytest.mark.parametrize(
    ("why", "given"),
    [
        ("not_set_up", {"key": ""}),
        ("not_set_up", {"service_key": ""}),
        ("not_set_up", {"at": ""}),
        ("no_answer", {"at": "http://127.0.0.1:1"}),
        ("refused", {"key": "another key than that"}),
        ("not_kept", {}),
    ],
)
async def test_a_text_that_is_not_to_be_had_says_why_in_every_language(
    why: str, given: dict[str, str], pool: Pool, open_console: Callable[..., Any]
) -> None:
    await queue.keep(pool, [replace(MAIL, notification_id="another")], datetime.now(UTC))
    async with (
        answering(routes(pool, given.get("service_key", KEY))) as address,
        open_console(given.get("at", address), given.get("key", KEY)) as desk,
    ):
        page, notice = await unmasked(desk)
        assert (notice["body"], notice["text_missing"]) == (None, why)
        assert f"Text not available: {wording('en').code('text_missing', why)}" in page
        assert len({wording(language).code("text_missing", why) for language in ("en", "vi", "fa")}) == 3


async def _too_much(_: Request) -> Response:
    return Response(b" " * (MOST_BYTES + 1) + b'{"mails":[]}', media_type="application/json")


async def _nonsense(_: Request) -> Response:
    return Response(b'{"mails":[{"notification_id":5}]}', media_type="application/json")


async def _broken(_: Request) -> Response:
    return Response(status_code=500)


async def _never(request: Request) -> Response:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response()


@pytest.mark.parametrize("answer", [_too_much, _nonsense, _broken, _never])
async def test_a_service_that_answers_badly_does_not_hurt_the_page(
    answer: Callable[..., Any], open_console: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.console.mails.LIMIT", 0.5 if answer is _never else 20)
    async with answering([Route("/mails", answer)]) as address, open_console(address) as desk:
        assert (await unmasked(desk))[1]["text_missing"] == "no_answer"


async def test_without_the_key_nobody_reads_a_mail(pool: Pool) -> None:
    await queue.keep(pool, [MAIL, replace(MAIL, claim_id="C-4")], datetime.now(UTC))
    async with answering(routes(pool, KEY)) as address, httpx2.AsyncClient(base_url=address) as http:
        for header in (
            {},
            {"authorization": "Bearer"},
            {"authorization": KEY},
            {"authorization": f"Bearer {KEY} "[:-2]},
        ):
            answer = await http.get("/mails", params=CLAIM, headers=header)
            assert (answer.status_code, answer.content) == (401, b""), header
        http.headers["authorization"] = f"Bearer {KEY}"
        answer = await http.get("/mails", params=CLAIM)
        assert answer.headers["cache-control"] == "no-store"
        assert json.loads(answer.text) == {
            "mails": [{"notification_id": NOTIFICATION_ID, "subject": "béo", "text": '<b>Hello</b> "سلام"\n'}]
        }
        for other in ({**CLAIM, "merchant": "gejet-mall"}, {**CLAIM, "claim_id": "C\0"}, {}):
            assert json.loads((await http.get("/mails", params=other)).text) == {"mails": []}
    async with answering(routes(pool, "")) as address, httpx2.AsyncClient(base_url=address) as http:
        answer = await http.get("/mails", params=CLAIM, headers={"authorization": "Bearer"})
        assert answer.status_code == 404


async def test_an_answer_has_the_latest_mails_and_an_end(pool: Pool) -> None:
    long = "x" * queue.LONGEST_TEXT
    many = [replace(MAIL, place=n, notification_id=f"n-{n}", text=f"{n}".zfill(3) + long[3:]) for n in range(120)]
    too_long = replace(MAIL, place=500, notification_id="long", text=long + "x")
    await queue.keep(pool, [*many, too_long], datetime.now(UTC))
    async with answering(routes(pool, KEY)) as address, httpx2.AsyncClient(base_url=address) as http:
        answer = await http.get("/mails", params=CLAIM, headers={"authorization": f"Bearer {KEY}"})
    found = [one["notification_id"] for one in json.loads(answer.text)["mails"]]
    assert found == [f"n-{n}" for n in range(119, 119 - queue.MOST_TEXTS, -1)]
    assert len(answer.content) < MOST_BYTES
