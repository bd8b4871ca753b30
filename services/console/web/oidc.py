"""OpenID Connect by Authlib: authorization code with PKCE and nonce; it checks signature, issuer and audience."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import httpx2
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth, StarletteOAuth2App
from fastapi import Request
from joserfc.errors import JoseError
from starlette.responses import Response

from services.console.settings import ConsoleSettings
from services.console.web.users import ROLES, Role

log = structlog.get_logger(__name__)

_PREFIX = "makegood-"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who came back, with what role, and where to."""

    name: str
    role: Role
    next: str


def provider(settings: ConsoleSettings) -> StarletteOAuth2App | None:
    """The client of the identity provider; None where none is set."""
    if not settings.console_oidc_issuer or not settings.console_oidc_client_id:
        return None
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
