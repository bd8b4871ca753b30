"""What every page works with, and how a page is answered: as HTML or as JSON, in the reader's language."""

import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from fastapi import Depends, HTTPException, Request
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape
from pydantic import BaseModel
from starlette.responses import HTMLResponse, JSONResponse, Response

from services.console.backtests import Backtests
from services.console.mails import Mails
from services.console.settings import ConsoleSettings
from services.console.watch import Watch
from services.console.web import formats
from services.console.web.phrases import Speaker, original
from services.console.web.policy_words import Spoken, words_for
from services.console.web.sessions import Attempts, Session
from services.console.web.users import Role, Users
from services.console.web.wording import Wording, choose, wording
from services.console.web.worked import worked
from shared import clock
from shared.db import Pool
from shared.policy.book import PolicyBook
from shared.policy.load import POLICIES
from shared.policy.shelf import Shelf
from shared.policy.words import NONE

LANGUAGE_COOKIE = "makegood_language"
THEME_COOKIE = "makegood_theme"


@dataclass(slots=True)
class Desk:
    """Everything a page needs."""

    settings: ConsoleSettings
    pool: Pool
    users: Users
    watch: Watch
    shelf: Shelf | None
    zone: ZoneInfo
    backtests: Backtests
    mails: Mails
    attempts: Attempts = field(default_factory=Attempts)
    listeners: int = 0
    figures: dict[str, tuple[datetime, Markup, Markup]] = field(default_factory=dict)
    """By language: the Now page's figures as they were last shown."""

    @property
    def book(self) -> PolicyBook:
        """The policies; none where they do not load: the page has to come up all the more then."""
        return PolicyBook(()) if self.shelf is None else self.shelf.book()

    def spoken(self, language: str, policy: str | None) -> Spoken:
        """A policy by its name in events (`gejet-mall@1`) in a language."""
        merchant, _, version = (policy or "").rpartition("@")
        found = self.book.version(merchant, int(version)) if version.isdecimal() else None
        words = NONE if found is None else words_for(self.settings.policies or POLICIES, found, language)
        return Spoken(found, words, language)


def desk_of(request: Request) -> Desk:
    """The desk of the application."""
    desk: Desk = request.app.state.desk
    return desk


# Dependencies are coroutines: FastAPI sends plain functions to a thread each, which costs more than they do.
async def _desk(request: Request) -> Desk:
    return desk_of(request)


async def _session(request: Request) -> Session:
    return session_of(request)


def session_of(request: Request) -> Session:
    """Who is signed in; the gate lets nobody else through."""
    session: Session | None = request.scope.get("makegood.session")
    if session is None:
        raise HTTPException(401)
    return session


def words_of(request: Request) -> Wording:
    """The words of the reader's language."""
    return wording(choose(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", "")))


def at_least(role: Role) -> Callable[[Request], Awaitable[Session]]:
    """A dependency: the session, if its role is this one or a higher one."""

    async def check(request: Request) -> Session:
        session = session_of(request)
        if not session.may(role):
            raise HTTPException(403, "role")
        return session

    return check


async def checked(request: Request) -> None:
    """A dependency of every route that changes something: the form, or the header, carries the session's token."""
    given = request.headers.get("x-csrf-token")
    if given is None:
        field_ = (await request.form()).get("csrf")
        given = field_ if isinstance(field_, str) else None
    if given is None or not _same(given, session_of(request).csrf):
        raise HTTPException(403, "csrf")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


TheDesk = Annotated[Desk, Depends(_desk)]
Anybody = Annotated[Session, Depends(_session)]
Staff = Annotated[Session, Depends(at_least("staff"))]
Checked = Depends(checked)


def both(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """What a route answers, for the API's description: the model as JSON, or a page."""
    return {200: {"model": model, "content": {"text/html": {}}}}


def wants_json(request: Request) -> bool:
    """Whether the reader asked for JSON: by the path's suffix, or by what it accepts."""
    return bool(request.scope.get("makegood.json"))


_WORDS = re.compile(r"""\{\{ t\((["'])([a-z0-9_.]+)\1\) \}\}""")


@cache
def _environment(language: str) -> Environment:
    """The templates of a language, with its fixed words set in when they are compiled: looking them up for each page
    took half of its time."""
    words = wording(language)

    def load(name: str) -> str:
        text = (files("services.console.web") / "templates" / name).read_text("utf-8")
        return _WORDS.sub(lambda found: words(found[2]), text)

    environment = Environment(
        loader=FunctionLoader(load), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"claim_path": claim_path, "query": urlencode, "visible": formats.visible, "pretty": _pretty}
    environment.globals |= {"original": original, "worked": worked}
    return environment


def claim_path(merchant: str, claim_id: str) -> str:
    """Path of a claim's page."""
    return f"/claims/{quote(merchant, safe='')}/{quote(claim_id, safe='')}"


def render(request: Request, template: str, values: Mapping[str, object]) -> str:
    """Render a template with the reader's words and formats."""
    words, desk, now = words_of(request), desk_of(request), clock.now()
    session: Session | None = request.scope.get("makegood.session")
    language = words.language
    context: dict[str, object] = {
        "t": words,
        "code": words.code,
        "language": language,
        "direction": words.direction,
        "theme": request.cookies.get(THEME_COOKIE, "auto"),
        "session": session,
        "csrf": "" if session is None else session.csrf,
        "here": request.url.path,
        "now": now,
        "zone": desk.zone.key,
        "num": lambda value: _bdi(formats.number(value, language)),
        "amt": lambda value, currency: _bdi(formats.amount(value, currency, language)),
        "amt_of": lambda value, currency: _bdi(formats.amount_of(value, currency, language)),
        "when": partial(_when, desk.zone, language),
        "span": lambda ms: _bdi(formats.duration(ms, language)),
        "ago": lambda ms: _bdi(formats.since(ms, now, language)),
        "left": lambda ms: _bdi(formats.until(ms, now, language)),
        "bdi": _bdi,
        "digits": lambda text: _bdi(formats.digits(text, language)),
        "dec": lambda value: _bdi(formats.digits(f"{value:g}", language)),
        "speaker": Speaker(words, desk.zone),
        "spoken": partial(desk.spoken, language),
    }
    return _environment(language).get_template(template).render(context | dict(values))


def _pretty(tree: object) -> str:
    return json.dumps(tree, ensure_ascii=False, indent=2)


def _bdi(value: object) -> Markup:
    return Markup(f"<bdi>{escape(value)}</bdi>")  # noqa: S704 - escaped


def _when(zone: ZoneInfo, language: str, at: datetime | int | str | None) -> Markup:
    if at is None or at == "":
        return Markup("–")
    instant = formats.instant(at) if isinstance(at, int) else datetime.fromisoformat(at) if isinstance(at, str) else at
    text = formats.moment(instant, zone, language)
    return Markup(f'<time datetime="{instant.isoformat()}"><bdi>{escape(text)}</bdi></time>')  # noqa: S704 - escaped


def answer(
    request: Request, template: str, model: BaseModel, values: Mapping[str, object] | None = None, status: int = 200
) -> Response:
    """The model as JSON, or the page that shows it (as `page` in the template)."""
    if wants_json(request):
        return JSONResponse(model.model_dump(mode="json"), status)
    return HTMLResponse(render(request, template, {"page": model, **(values or {})}), status)
