"""`/live`, `/ready` and `/metrics` of a service. Both answers mean progress, not only that a port is open."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from shared.settings import Settings

State = Mapping[str, bool | int | float | str]


class HealthServer(uvicorn.Server):
    """uvicorn beside the consumer: the process's signals stay with whoever runs the service."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


def serve_health(
    settings: Settings, live: Callable[[], State], ready: Callable[[], State], more: Sequence[BaseRoute] = ()
) -> HealthServer:
    """Build the server. `live` and `ready` give named facts; the answer is 200 when every one of type bool is true.
    `more`: what the service answers besides; it sees to it who may ask."""

    def answer(state: State) -> Response:
        fine = all(value for value in state.values() if isinstance(value, bool))
        return JSONResponse(dict(state), 200 if fine else 503)

    async def on_live(_: Request) -> Response:
        return answer(live())

    async def on_ready(_: Request) -> Response:
        return answer(ready())

    async def on_metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app = Starlette(routes=[Route("/live", on_live), Route("/ready", on_ready), Route("/metrics", on_metrics), *more])
    config = uvicorn.Config(
        app, host=settings.health_host, port=settings.health_port, log_config=None, access_log=False, lifespan="off"
    )
    return HealthServer(config)


def age(since: float | None) -> float:
    """Seconds since a monotonic instant; 0 for none."""
    return 0.0 if since is None else round(time.monotonic() - since, 3)
