"""The console for integration tests: its read model on a real Postgres, fed by the kit's pipeline without a broker, and
its pages through ASGI. What it emits stays in the outbox, where tests look at it."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import httpx2
from fastapi import FastAPI

from services.console.handlers import Console
from services.console.settings import ConsoleSettings
from services.console.store import READ_MODEL
from services.console.web.desk import Desk
from services.console.web.site import make_app, open_desk
from services.console.web.users import ROLES, put, users_file
from shared.bus import Record
from shared.bus.outbox import Outgoing, unpack
from shared.bus.pipeline import Pipeline
from shared.bus.relay import Relay
from shared.db import Pool, connect
from shared.policy.shelf import Shelf
from tests.console_samples import LANES

PASSWORD = "correct horse battery staple"


@dataclass(slots=True)
class Console1:
    """One console process, without its broker."""

    pool: Pool
    pipeline: Pipeline
    desk: Desk
    app: FastAPI
    sought: list[tuple[str, int, int]] = field(default_factory=list)

    async def read(self, records: Sequence[Record], batch: int = 50) -> None:
        """Fold records, batch by batch, as the broker would hand them over."""
        for start in range(0, len(records), batch):
            await self.pipeline.process(records[start : start + batch], self._seek)
        assert not self.sought

    def _seek(self, topic: str, lane: int, offset: int) -> None:
        self.sought.append((topic, lane, offset))

    async def rows(self) -> dict[str, list[str]]:
        """Every row of the read model, as text, in an order of its own."""
        found = {}
        for table in READ_MODEL:
            rows = await self.pool.fetch(f"SELECT t::text AS row FROM {table} t")
            found[table] = sorted(row["row"] for row in rows)
        return found

    async def emitted(self) -> list[Outgoing]:
        """What is in the outbox, in order, once the consumer's process has looked at what people did."""
        await self.pipeline.tick()
        rows = await self.pool.fetch("SELECT lane, number, events, written_at FROM outbox ORDER BY lane, number")
        return [
            event
            for row in rows
            for event in unpack(row["lane"], row["number"], row["events"], row["written_at"]).events
        ]

    async def audit(self) -> list[tuple[str, str, str | None]]:
        """Actor, action and claim of the audit, in order."""
        rows = await self.pool.fetch("SELECT actor, action, claim_id FROM audit ORDER BY id")
        return [(row["actor"], row["action"], row["claim_id"]) for row in rows]

    @asynccontextmanager
    async def browser(self, name: str | None = None, address: str = "10.0.0.1") -> AsyncIterator[Browser]:
        """A client, signed in as `name` (its role) if given."""
        transport = httpx2.ASGITransport(app=self.app, client=(address, 1), raise_app_exceptions=True)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8088") as http:
            browser = Browser(http)
            if name is not None:
                assert (await browser.sign_in(name, PASSWORD)).status_code == 303
                browser.csrf = json.loads((await http.get("/me")).text)["csrf"]
            yield browser


@dataclass(slots=True)
class Browser:
    """A client with cookies and the session's token."""

    http: httpx2.AsyncClient
    csrf: str = ""

    async def sign_in(self, name: str, password: str) -> httpx2.Response:
        """Fill in the form as a browser does."""
        page = await self.http.get("/sign-in")
        token = re.search(r'name="token" value="([^"]+)"', page.text)
        assert token is not None
        form = {"name": name, "password": password, "token": token[1], "next": "/todo"}
        return await self.http.post("/sign-in", data=form)

    async def get(self, path: str, *, as_json: bool = False) -> httpx2.Response:
        """Read a page."""
        return await self.http.get(path, headers={"accept": "application/json" if as_json else "text/html"})

    async def post(self, path: str, data: dict[str, str], *, as_json: bool = True) -> httpx2.Response:
        """Do something, with the session's token."""
        accept = "application/json" if as_json else "text/html"
        return await self.http.post(path, data=data, headers={"accept": accept, "x-csrf-token": self.csrf})


@cache
def _users_once() -> str:
    """The user file: hashing passwords takes time on purpose."""
    with tempfile.TemporaryDirectory() as folder:
        for role in ROLES:
            put(Path(folder), role, PASSWORD, role)
        return users_file(Path(folder)).read_text("utf-8")


@cache
def _shelf_once() -> Shelf:
    """The policies: loading them runs every worked example."""
    return Shelf()


@asynccontextmanager
async def console(database: str, folder: Path, **settings: str) -> AsyncIterator[Console1]:
    """A console over a migrated database; users are called like their roles."""
    pool = await connect(database, 6, application="test")
    try:
        relay = Relay("console", "127.0.0.1:1", pool)
        pipeline = Pipeline(Console(), pool, relay)
        pipeline.lanes_in_all = LANES
        await pipeline.claim(range(LANES))
        users_file(folder).write_text(_users_once(), "utf-8")
        own = ConsoleSettings.model_validate({"database": database, "console_data": folder, **settings})
        desk = open_desk(own, pool, _shelf_once())
        desk.watch.now = await desk.watch.gather()
        yield Console1(pool, pipeline, desk, make_app(desk))
    finally:
        await pool.close()
