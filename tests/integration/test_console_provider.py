"""Signing in by OpenID Connect, against an identity provider of the test's own that checks what the console sends."""

import asyncio
import base64
import hashlib
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from services.console.web import oidc
from shared.health import HealthServer
from tests.conftest import MakeDatabase
from tests.console_desk import Browser, Console1, console

PACKAGES = ["shared.bus", "services.console"]
CLIENT = "makegood-console"
SECRET = "the client's secret"


@dataclass(slots=True)
class Provider:
    """An identity provider. `claims` go into the next ID token, over what is right."""

    issuer: str
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, parameters={"kid": "1"}))
    claims: dict[str, object] = field(default_factory=dict)
    signs_with: RSAKey | None = None
    challenge: str = ""
    nonce: str = ""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._describe),
                Route("/keys", self._keys),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _describe(self, _: Request) -> JSONResponse:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _keys(self, _: Request) -> JSONResponse:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def _token(self, request: Request) -> JSONResponse:
        form = await request.form()
        verifier = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        client = base64.b64encode(f"{CLIENT}:{quote(SECRET)}".encode()).decode()
        plain = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if (
            base64.urlsafe_b64encode(verifier).decode().rstrip("=") != self.challenge
            or form["code"] != "the-code"
            or request.headers["authorization"] not in (f"Basic {client}", f"Basic {plain}")
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "u-1",
            "preferred_username": "mina",
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
            **self.claims,
        }
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.signs_with or self.key)
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": token})


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    provider = Provider(f"http://127.0.0.1:{listener.getsockname()[1]}")
    server = HealthServer(uvicorn.Config(provider.app(), log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve([listener]))
    yield provider
    server.should_exit = True
    await asyncio.wait_for(serving, 20)
    listener.close()
    oidc._client.cache_clear()


@asynccontextmanager
async def desk_of(provider: Provider, database: str, folder: Path) -> AsyncIterator[Console1]:
    settings = {
        "console_oidc_issuer": provider.issuer,
        "console_oidc_client_id": CLIENT,
        "console_oidc_client_secret": SECRET,
    }
    async with console(database, folder, **settings) as desk:
        yield desk


async def go_and_come_back(browser: Browser, provider: Provider, *, state: str | None = None) -> tuple[int, str]:
    """Follow the link of the sign-in page to the provider, and its way back; where that leads."""
    assert 'href="/sign-in/oidc?next=' in (await browser.get("/sign-in?next=/todo")).text
    there = await browser.get("/sign-in/oidc?next=/todo")
    assert there.status_code == 302
    address = urlsplit(there.headers["location"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{provider.issuer}/authorize"
    asked = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", CLIENT, "S256")
    assert asked["redirect_uri"] == "http://127.0.0.1:8088/sign-in/oidc/back"
    assert "openid" in asked["scope"]
    provider.challenge, provider.nonce = asked["code_challenge"], asked["nonce"]
    back = await browser.get(f"/sign-in/oidc/back?code=the-code&state={state or asked['state']}")
    return back.status_code, back.headers["location"]


async def test_whom_the_provider_confirms_is_signed_in_with_the_highest_role(
    provider: Provider, make_database: MakeDatabase, tmp_path: Path
) -> None:
    provider.claims = {"roles": ["makegood-viewer", "makegood-staff", "others-admin"]}
    async with desk_of(provider, await make_database(PACKAGES), tmp_path) as desk, desk.browser() as browser:
        assert await go_and_come_back(browser, provider) == (303, "/todo")
        me = json.loads((await browser.get("/me", as_json=True)).text)
        assert (me["name"], me["role"]) == ("mina", "staff")
        assert (await browser.get("/audit")).status_code == 200
        assert await desk.audit() == [("mina", "sign_in", None)]


@pytest.mark.parametrize(
    "claims",
    [
        {"roles": ["others-admin"]},
        {},
        {"roles": ["makegood-admin"], "aud": "another-client"},
        {"roles": ["makegood-admin"], "iss": "https://elsewhere.example"},
        {"roles": ["makegood-admin"], "nonce": "of-another-sign-in"},
        {"roles": ["makegood-admin"], "exp": 1_000_000_000},
    ],
    ids=["no role of ours", "no roles", "another client's", "another issuer's", "replayed", "expired"],
)
async def test_a_token_that_does_not_hold_signs_nobody_in(
    provider: Provider, make_database: MakeDatabase, tmp_path: Path, claims: dict[str, object]
) -> None:
    provider.claims = claims
    async with desk_of(provider, await make_database(PACKAGES), tmp_path) as desk, desk.browser() as browser:
        assert await go_and_come_back(browser, provider) == (303, "/sign-in?problem=oidc")
        assert (await browser.get("/me", as_json=True)).status_code == 401
        assert await desk.audit() == []


async def test_a_strange_key_or_another_browsers_state_signs_nobody_in(
    provider: Provider, make_database: MakeDatabase, tmp_path: Path
) -> None:
    provider.claims = {"roles": ["makegood-admin"]}
    async with desk_of(provider, await make_database(PACKAGES), tmp_path) as desk, desk.browser() as browser:
        assert await go_and_come_back(browser, provider, state="made-up") == (303, "/sign-in?problem=oidc")
        provider.signs_with = RSAKey.generate_key(2048, parameters={"kid": "1"})
        assert await go_and_come_back(browser, provider) == (303, "/sign-in?problem=oidc")
        assert (await browser.get("/me", as_json=True)).status_code == 401
        assert await desk.audit() == []


async def test_without_a_provider_there_is_no_such_way(make_database: MakeDatabase, tmp_path: Path) -> None:
    async with console(await make_database(PACKAGES), tmp_path) as desk, desk.browser() as nobody:
        assert (await nobody.get("/sign-in/oidc")).status_code == 404
        assert "/sign-in/oidc" not in (await nobody.get("/sign-in")).text
