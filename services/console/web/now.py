"""The Now page and its live figures."""

import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, HTTPException, Request
from markupsafe import Markup
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import RedirectResponse, Response

from services.console.watch import Now
from services.console.web.desk import Anybody, TheDesk, answer, both, desk_of, render, words_of

router = APIRouter(tags=["now"])

LISTENERS = 200
STREAM_SECONDS = 600
"""A stream ends after ten minutes; the browser comes again, and the session is checked again."""


@router.get("/", response_model=None, include_in_schema=False)
async def home() -> Response:
    """To the Now page."""
    return RedirectResponse("/now", 303)


@router.get("/now", response_model=None, responses=both(Now))
async def now_page(request: Request, desk: TheDesk, _: Anybody) -> Response:
    """Where everything stands."""
    found = desk.watch.now or await desk.watch.wait(None)
    if found is None:
        raise HTTPException(503, "starting")
    act, figures = shown(request, found)
    return answer(request, "now.html", found, {"act": act, "figures": figures})


@router.get("/now/live", response_model=None)
async def live(request: Request, desk: TheDesk, _: Anybody) -> Response:
    """The figures once a second, as server-sent events: `act` (only when it changes) and `figures`, both HTML."""
    if desk.listeners >= LISTENERS:
        raise HTTPException(503, "busy")
    return EventSourceResponse(_events(request, desk), ping=15, headers={"x-accel-buffering": "no"})


async def _events(request: Request, desk: TheDesk) -> AsyncIterator[ServerSentEvent]:
    desk.listeners += 1
    seen, told = None, ""
    try:
        for _ in range(STREAM_SECONDS):
            found = await desk.watch.wait(seen)
            if found is None:
                continue
            seen = found.at
            act, figures = shown(request, found)
            if act != told:
                told = act
                yield ServerSentEvent(act, event="act")
            yield ServerSentEvent(figures, event="figures")
    finally:
        desk.listeners -= 1


def shown(request: Request, now: Now) -> tuple[Markup, Markup]:
    """What must be acted on, and the figures, as HTML: rendered once a second and language, for everybody who looks."""
    desk, language = desk_of(request), words_of(request).language
    kept = desk.figures.get(language)
    if kept is None or kept[0] != now.at:
        act = render(request, "_act.html", {"page": now})
        figures = render(request, "_figures.html", {"page": now, "series": series(now)})
        kept = desk.figures[language] = (now.at, Markup(act), Markup(figures))  # noqa: S704 - templates escape
    return kept[1:]


def series(now: Now) -> str:
    """The chart's data: minutes as seconds since 1970, then a list for each line."""
    return json.dumps([[minute * 60 for minute in now.minutes], *now.chart.values()])
