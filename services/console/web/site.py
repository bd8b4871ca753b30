"""The web application: routes, gate, errors; and serving it."""

import asyncio
import secrets
import socket
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
import structlog
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from services.console.backtests import Backtests
from services.console.mails import Mails
from services.console.settings import ConsoleSettings
from services.console.watch import Watch
from services.console.web import audit, claim, claims, contract, letters, now, policies, signing, todo
from services.console.web.desk import Desk, render, wants_json
from services.console.web.gate import Gate
from services.console.web.users import open_users, password_file
from shared.bus.pipeline import INFRASTRUCTURE
from shared.db import Pool, connect
from shared.health import HealthServer
from shared.policy.problem import PolicyError
from shared.policy.shelf import Shelf

log = structlog.get_logger(__name__)

WEB_CONNECTIONS = 8
_ERRORS = {401, 403, 404, 409, 422, 429, 503}


def make_app(desk: Desk) -> FastAPI:
    """The application over a desk."""
    app = FastAPI(
        title="Makegood console",
        version="1",
        description="Every page is also JSON: send `Accept: application/json` or append `.json` to the path. Sign in "
        "with a session cookie; whatever changes something needs the header `X-CSRF-Token` with the token of `/me`.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.desk = desk
    for module in (signing, now, claim, claims, todo, letters, policies, contract, audit):
        app.include_router(module.router)
    if signing.with_provider(desk.settings):
        from services.console.web import oidc  # noqa: PLC0415 - a third of the page's start

        app.include_router(oidc.router)
    static = Path(str(files("services.console.web") / "static"))
    app.mount("/static", StaticFiles(directory=static), name="static")
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    for error in (TimeoutError, *INFRASTRUCTURE):
        app.add_exception_handler(error, _on_not_now)
    # Only the way to an identity provider and back needs it: state, nonce, verifier.
    app.add_middleware(
        SessionMiddleware,
        secret_key=secrets.token_urlsafe(32),
        session_cookie="makegood_oidc",
        max_age=600,
        path="/sign-in",
        https_only=desk.settings.console_https,
    )
    app.add_middleware(Gate, desk=desk)
    return app


def _error(request: Request, status: int, detail: str) -> Response:
    if wants_json(request):
        return JSONResponse({"error": detail}, status)
    known = status if status in _ERRORS else 500
    return HTMLResponse(render(request, "error.html", {"status": status, "key": f"error.{known}"}), status)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(request, error.status_code, str(error.detail))


async def _on_bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if wants_json(request):
        told = [{"where": list(map(str, e["loc"])), "what": str(e["msg"])} for e in error.errors()]
        return JSONResponse({"error": "request", "problems": told}, 422)
    return _error(request, 422, "request")


async def _on_not_now(request: Request, error: Exception) -> Response:
    log.warning("page_not_answered", path=request.url.path, error=repr(error))
    return _error(request, 503, "not now, try again")


class PageServer(HealthServer):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self._listening()


async def serve(settings: ConsoleSettings, stop: asyncio.Event, listening: Callable[[], None]) -> None:
    """Listen, watch, serve until `stop`; `listening` is called once the page answers.

    Raises:
        OSError: it cannot listen.
    """
    listener = _listen(settings)
    pool = await connect(settings.database, WEB_CONNECTIONS, application=f"console-web-{settings.replica}")
    try:
        desk = await asyncio.to_thread(open_desk, settings, pool)
        await desk.backtests.recover()
        watching = asyncio.create_task(desk.watch.run(stop))
        config = uvicorn.Config(
            make_app(desk),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=settings.console_https,
            timeout_graceful_shutdown=3,
        )
        server = PageServer(config, listening)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        log.info("console_serving", address=f"http://{settings.console_host}:{listener.getsockname()[1]}")
        await asyncio.wait({serving, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
        stop.set()
        await desk.backtests.close()
        await desk.mails.close()
        await watching
    finally:
        listener.close()
        await _close(pool)


def open_desk(settings: ConsoleSettings, pool: Pool, shelf: Shelf | None = None) -> Desk:
    """Put the desk together: users, policies (`shelf`, or those that come with the package), the watch."""
    given = settings.console_admin_password
    users, made = open_users(settings.console_data, None if given is None else given.get_secret_value())
    if made is not None:
        log.info("first_admin_made", name="admin", password_in=str(password_file(settings.console_data)))
    pairs = (pair.partition("=") for pair in settings.console_services.split(",") if "=" in pair)
    health = {name.strip(): address.strip().rstrip("/") for name, _, address in pairs}
    watch = Watch(pool, settings.kafka, health, settings.console_stuck_seconds)
    zone = ZoneInfo(settings.console_time_zone)
    mails = Mails(health.get("notification"), settings.mails_key.get_secret_value())
    return Desk(settings, pool, users, watch, shelf or open_shelf(), zone, Backtests(pool, settings.kafka), mails)


def open_shelf() -> Shelf | None:
    """The policies; None where they do not load."""
    try:
        return Shelf()
    except PolicyError as error:
        log.error("policies_not_loaded", problems=[str(problem) for problem in error.problems])
        return None


def _listen(settings: ConsoleSettings) -> socket.socket:
    """Bind first: a port that is taken is an error with a name, not an exit in the middle of a start."""
    family = socket.AF_INET6 if ":" in settings.console_host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.console_host, settings.console_port))
    except OSError as error:
        listener.close()
        raise OSError(
            f"console cannot listen on {settings.console_host}:{settings.console_port}: {error.strerror}; "
            "set MAKEGOOD_CONSOLE_PORT"
        ) from error
    return listener


async def _close(pool: Pool) -> None:
    try:
        async with asyncio.timeout(5):
            await pool.close()
    except (TimeoutError, asyncpg.InterfaceError):
        pool.terminate()
