"""What every request passes: security headers, the host, the session. Nothing but sign-in and static files is reachable
without a session."""

from datetime import timedelta
from urllib.parse import quote, urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.console.web import sessions
from services.console.web.desk import Desk
from shared import clock
from shared.bus.pipeline import INFRASTRUCTURE

log = structlog.get_logger(__name__)

SESSION_COOKIE = "makegood_session"
OPEN_PATHS = ("/sign-in", "/static/")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate:
    """Outermost of all. `desk` gives the pool and the settings."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app = app
        self._desk = desk
        hosts = {host.strip() for host in desk.settings.console_hosts.split(",") if host.strip()}
        listening = desk.settings.console_host
        everywhere = listening in ("0.0.0.0", "::") and not hosts  # noqa: S104 - only compared
        self._hosts = None if everywhere else hosts | {listening, "127.0.0.1", "localhost", "::1"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        path: str = scope["path"]
        as_json = path.endswith(".json") and not path.startswith(("/static/", "/openapi"))
        if as_json:
            scope = {**scope, "path": path.removesuffix(".json"), "raw_path": None}
        prefers = headers.get("accept", "")
        scope["makegood.json"] = as_json or ("application/json" in prefers and "text/html" not in prefers)
        try:
            refused = await self._check(scope, headers)
        except (TimeoutError, *INFRASTRUCTURE) as error:
            log.warning("session_not_looked_up", error=repr(error))
            refused = JSONResponse({"error": "not now, try again"}, 503, {"retry-after": "2"})

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    out.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    out.setdefault("cache-control", "no-store")
                if self._desk.settings.console_https:
                    out.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        await (self._app if refused is None else refused)(scope, receive, send_with_headers)

    async def _check(self, scope: Scope, headers: Headers) -> Response | None:
        """What answers in place of the page, if anything."""
        host = urlsplit(f"//{headers.get('host', '')}").hostname
        if self._hosts is not None and host not in self._hosts:
            return JSONResponse({"error": "unknown host"}, 400)
        if scope["method"] not in _SAFE and not _from_here(headers):
            return JSONResponse({"error": "the request comes from another site"}, 403)
        token = Request(scope).cookies.get(SESSION_COOKIE)
        if token:
            idle = timedelta(minutes=self._desk.settings.console_idle_minutes)
            async with self._desk.pool.acquire(timeout=5) as conn:
                scope["makegood.session"] = await sessions.find(conn, token, clock.now(), idle)
        if scope.get("makegood.session") is not None or scope["path"].startswith(OPEN_PATHS):
            return None
        if scope["makegood.json"] or headers.get("hx-request") or scope["method"] not in _SAFE:
            return JSONResponse({"error": "not signed in"}, 401, {"HX-Redirect": "/sign-in"})
        wanted = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        return RedirectResponse(f"/sign-in?next={quote(wanted, safe='')}", 303)


def _from_here(headers: Headers) -> bool:
    """Whether a browser says that its own page, or no page at all, sent the request."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")
