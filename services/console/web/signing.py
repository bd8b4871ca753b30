"""Signing in and out, who is signed in, language and theme."""

import asyncio
import secrets
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.console import deeds
from services.console.settings import ConsoleSettings
from services.console.web import sessions
from services.console.web.desk import LANGUAGE_COOKIE, THEME_COOKIE, Anybody, Checked, TheDesk, answer, wants_json
from services.console.web.formats import LANGUAGES
from services.console.web.gate import SESSION_COOKIE
from services.console.web.users import Role
from shared import clock

router = APIRouter(tags=["session"])

PRE_COOKIE = "makegood_sign_in"
YEAR = 365 * 86400
_VERIFYING = asyncio.Semaphore(2)  # a hash takes some 64 MiB


class SignIn(BaseModel):
    """The sign-in page."""

    next: str = "/now"
    problem: Literal["", "wrong", "wait", "form", "oidc"] = ""
    wait_seconds: int = 0
    token: str = ""
    oidc: bool = False


class Me(BaseModel):
    """Who is signed in; `csrf` goes into the header `X-CSRF-Token` of whatever changes something."""

    name: str
    role: Role
    csrf: str


def local_path(path: str) -> str:
    """A path of this site, and nothing else."""
    fine = path.startswith("/") and not path.startswith(("//", "/\\")) and "\n" not in path and "\r" not in path
    return path if fine and not path.startswith("/sign-in") else "/now"


@router.get("/sign-in", response_model=None)
async def sign_in_page(request: Request, desk: TheDesk, next: str = "/now", problem: str = "") -> Response:
    """The form. Its token is in a cookie too: another site cannot sign anybody in."""
    shown: Literal["", "oidc"] = "oidc" if problem == "oidc" else ""
    return _form(request, desk, SignIn(next=local_path(next), problem=shown))


@router.post("/sign-in", response_model=None)
async def sign_in(
    request: Request,
    desk: TheDesk,
    name: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
    token: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/now",
) -> Response:
    """Sign in with a local user's name and password."""
    now = clock.now()
    page = SignIn(next=local_path(next))
    expected = request.cookies.get(PRE_COOKIE, "")
    if not expected or not secrets.compare_digest(expected.encode(), token.encode()):
        return _form(request, desk, page.model_copy(update={"problem": "form"}), 403)
    address = request.client.host if request.client is not None else ""
    keys = (f"name:{name}", f"address:{address}")
    waits = [wait for key in keys if (wait := desk.attempts.wait(key, now)) is not None]
    if waits:
        seconds = int(max(waits).total_seconds()) + 1
        refused = _form(request, desk, page.model_copy(update={"problem": "wait", "wait_seconds": seconds}), 429)
        refused.headers["retry-after"] = str(seconds)
        return refused
    for key in keys:
        desk.attempts.fail(key, now)  # counted before it is checked: many at once are as many
    async with _VERIFYING:
        user = await asyncio.to_thread(desk.users.verify, name, password)
    async with desk.pool.acquire(timeout=5) as conn, conn.transaction():
        if user is None:
            await deeds.note(conn, now, name[:100], "-", "sign_in_failed", detail={"address": address})
        else:
            await deeds.note(conn, now, user.name, user.role, "sign_in", detail={"address": address})
    if user is None:
        return _form(request, desk, page.model_copy(update={"problem": "wrong"}), 401)
    for key in keys:
        desk.attempts.forget(key)
    return await signed_in(request, desk, user.name, user.role, page.next)


async def signed_in(request: Request, desk: TheDesk, name: str, role: Role, path: str) -> Response:
    """Begin a session and go on to where the reader wanted."""
    lasts = timedelta(hours=desk.settings.console_session_hours)
    async with desk.pool.acquire(timeout=5) as conn:
        old = request.cookies.get(SESSION_COOKIE)
        if old:
            await sessions.end(conn, old)
        token = await sessions.begin(conn, name, role, clock.now(), lasts)
    done: Response = JSONResponse({"name": name, "role": role}) if wants_json(request) else RedirectResponse(path, 303)
    done.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int(lasts.total_seconds()),
        httponly=True,
        secure=desk.settings.console_https,
        samesite="lax",
    )
    done.delete_cookie(PRE_COOKIE)
    return done


@router.post("/sign-out", response_model=None, dependencies=[Checked])
async def sign_out(request: Request, desk: TheDesk, session: Anybody) -> Response:
    """End the session."""
    async with desk.pool.acquire(timeout=5) as conn, conn.transaction():
        await sessions.end(conn, request.cookies.get(SESSION_COOKIE, ""))
        await deeds.note(conn, clock.now(), session.name, session.role, "sign_out")
    done = RedirectResponse("/sign-in", 303)
    done.delete_cookie(SESSION_COOKIE)
    return done


@router.get("/me")
async def me(session: Anybody) -> Me:
    """Who is signed in."""
    return Me(name=session.name, role=session.role, csrf=session.csrf)


@router.post("/sign-in/preferences", response_model=None)
async def prefer(
    request: Request,
    desk: TheDesk,
    language: Annotated[str, Form(max_length=5)] = "",
    theme: Annotated[str, Form(max_length=5)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/now",
) -> Response:
    """Choose language and theme: cookies that are nobody's secret; the gate lets only this site's pages do it."""
    path = "/sign-in" if next.startswith("/sign-in") else local_path(next)
    done = RedirectResponse(path, 303)
    for cookie, value, known in (
        (LANGUAGE_COOKIE, language, LANGUAGES),
        (THEME_COOKIE, theme, ("auto", "light", "dark")),
    ):
        if value in known:
            done.set_cookie(cookie, value, max_age=YEAR, secure=desk.settings.console_https, samesite="lax")
    return done


def with_provider(settings: ConsoleSettings) -> bool:
    """Whether an identity provider is set."""
    return bool(settings.console_oidc_issuer and settings.console_oidc_client_id)


def _form(request: Request, desk: TheDesk, page: SignIn, status: int = 200) -> Response:
    token = secrets.token_urlsafe(24)
    shown = page.model_copy(update={"token": token, "oidc": with_provider(desk.settings)})
    form = answer(request, "sign_in.html", shown, status=status)
    form.set_cookie(PRE_COOKIE, token, httponly=True, secure=desk.settings.console_https, samesite="strict")
    return form
