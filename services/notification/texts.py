"""The texts of mails over HTTP, for the console: asked at the health address, with a key that both were given."""

import hmac
from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.notification import queue
from shared.bus.pipeline import INFRASTRUCTURE
from shared.db import Pool

_ENCODE: Final = msgspec.json.Encoder().encode


def routes(pool: Pool, key: str) -> Sequence[Route]:
    """`/mails?merchant=…&claim_id=…`: the claim's latest mails, the last first; 401 without `Authorization: Bearer` and
    the key. Without a key there is no such route."""
    if not key:
        return ()
    wanted = f"Bearer {key}".encode()

    async def mails(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode("latin-1"), wanted):
            return Response(status_code=401)
        asked = (request.query_params.get("merchant", ""), request.query_params.get("claim_id", ""))
        # Postgres has no text with a NUL, and so no such claim.
        try:
            found = [] if "\0" in "".join(asked) else await queue.kept(pool, *asked)
        except INFRASTRUCTURE:
            return Response(status_code=503)
        return Response(_ENCODE({"mails": found}), media_type="application/json", headers={"cache-control": "no-store"})

    return (Route("/mails", mails),)
