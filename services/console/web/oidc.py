"""OpenID Connect by Authlib: authorization code with PKCE and nonce; it checks signature, issuer and audience.

Imported where a provider is set: Authlib and its cryptography take a third of the page's start.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import httpx2
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth, StarletteOAuth2App
from fastapi import APIRouter, Request
from joserfc.errors import JoseError
from starlette.responses import RedirectResponse, Response

from services.console import deeds
from services.console.settings import ConsoleSettings
from services.console.web.desk import TheDesk
from services.console.web.signing import local_path, signed_in
from services.console.web.users import ROLES, Role
from shared import clock

router = APIRouter(tags=["session"])
log = structlog.get_logger(__name__)

_PREFIX = "makegood-"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who came back, with what role, and where to."""

    name: str
    role: Role
    next: str


@router.get("/sign-in/oidc", response_model=None)
async def oidc_begin(request: Request, desk: TheDesk, next: str = "/now") -> Response:
    """Go to the identity provider."""
    return await redirect(provider(desk.settings), request, local_path(next))


@router.get("/sign-in/oidc/back", response_model=None)
async def oidc_back(request: Request, desk: TheDesk) -> Response:
    """Come back from the identity provider."""
    found = await come_back(provider(desk.settings), request, desk.settings)
    if found is None:
        return RedirectResponse("/sign-in?problem=oidc", 303)
    async with desk.pool.acquire(timeout=5) as conn:
        await deeds.note(conn, clock.now(), found.name, found.role, "sign_in", detail={"with": "OpenID Connect"})
    return await signed_in(request, desk, found.name, found.role, local_path(found.next))


def provider(settings: ConsoleSettings) -> StarletteOAuth2App:
    """The client of the identity provider."""
    secret = settings.console_oidc_client_secret.get_secret_value()
    return _client(settings.console_oidc_issuer, settings.console_oidc_client_id, secret)


@cache
def _client(issuer: str, client_id: str, secret: str) -> StarletteOAuth2App:
    oauth = OAuth()
    oauth.register(
        name="provider",
        client_id=client_id,
        client_secret=secret,
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256", "timeout": 10.0},
    )
    return cast(StarletteOAuth2App, oauth.create_client("provider"))  # type: ignore[no-untyped-call]  # as its stubs have it


async def redirect(client: StarletteOAuth2App, request: Request, path: str) -> Response:
    """To the provider; state, nonce and verifier travel in the signed cookie of the sign-in."""
    request.session["next"] = path
    back = str(request.url_for("oidc_back"))
    return cast(Response, await client.authorize_redirect(request, back))


async def come_back(client: StarletteOAuth2App, request: Request, settings: ConsoleSettings) -> Identity | None:
    """Who came back; None when the answer does not hold or names no role."""
    try:
        token: dict[str, Any] = await client.authorize_access_token(request)  # type: ignore[no-untyped-call]  # as above
    except (AuthlibBaseError, JoseError, httpx2.HTTPError, ValueError, KeyError) as error:
        log.warning("oidc_refused", error=type(error).__name__)
        return None
    said: Mapping[str, object] = token.get("userinfo") or {}
    name = next((str(said[key]) for key in ("preferred_username", "email", "sub") if said.get(key)), "")
    role = role_of(said, settings.console_oidc_roles_claim)
    path = str(request.session.pop("next", "/now"))
    return Identity(name[:100], role, path) if name and role is not None else None


def role_of(said: Mapping[str, object], claim: str) -> Role | None:
    """The highest of our roles that the claim (a list, or words in a string) names."""
    named = said.get(claim)
    words = named.split() if isinstance(named, str) else [str(one) for one in named] if isinstance(named, list) else []
    mine = [role for role in ROLES if f"{_PREFIX}{role}" in words]
    return mine[-1] if mine else None
