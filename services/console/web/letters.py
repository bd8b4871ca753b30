"""Dead letters: grouped by fingerprint, shown escaped, redriven after a dry run, or dropped with a reason."""

import re
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.console import deeds, resolutions
from services.console.errands import doing
from services.console.letters import Letter, mark
from services.console.resolutions import LetterGroup, Resolution
from services.console.web import formats
from services.console.web.desk import Anybody, Checked, Staff, TheDesk, answer, both, wants_json
from shared import clock
from shared.bus.redrive import drop_of, marked
from shared.events import BadEvent
from shared.events.envelope import open_input
from shared.events.topics import INPUT_TOPICS

router = APIRouter(tags=["dead letters"])

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|[^\s'\"]+@[^\s'\"]+")

AT_ONCE = 500
"""Most letters that one redrive or drop takes."""


class LettersPage(BaseModel):
    """Dead letters by kind of fault."""

    all: bool
    groups: list[LetterGroup]


class LetterShown(BaseModel):
    """One dead letter. `value` and `headers` are escaped; null for whoever may not see contact data."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    origin_partition: int | None
    origin_offset: int | None
    attempts: int
    reason: str
    key: str | None
    value: str | None
    headers: list[tuple[str, str]] | None
    resolution: Resolution | None


class GroupPage(BaseModel):
    """The dead letters of one fingerprint."""

    fingerprint: str
    service: str
    origin_topic: str
    type: str
    path: str
    redrivable: bool
    open: int
    letters: list[LetterShown]


class DryRun(BaseModel):
    """What a redrive would do: how many go back, and what would be refused again, by reason."""

    fingerprint: str
    topic: str
    letters: int
    would_pass: int
    refused_again: dict[str, int]


class Redriven(BaseModel):
    """How many letters were acted on."""

    letters: int


Short = Annotated[str, Form(max_length=200)]
Reason = Annotated[str, Form(min_length=1, max_length=2000)]


@router.get("/dead-letters", response_model=None, responses=both(LettersPage))
async def letters_page(
    request: Request, desk: TheDesk, session: Anybody, all: Annotated[bool, Query()] = False
) -> Response:
    """By kind of fault: those that are open, or all."""
    async with desk.pool.acquire(timeout=5) as conn:
        groups = await resolutions.letter_groups(conn, only_open=not all)
    if not session.may("staff"):
        groups = [group.model_copy(update={"reason": without_values(group.reason)}) for group in groups]
    return answer(request, "letters.html", LettersPage(all=all, groups=groups))


@router.get("/dead-letters/{fingerprint}", response_model=None, responses=both(GroupPage))
async def group_page(request: Request, desk: TheDesk, session: Anybody, fingerprint: str) -> Response:
    """The letters of one kind, the oldest first. Staff see the contents, and that they did is in the audit."""
    seen = session.may("staff")
    async with desk.pool.acquire(timeout=5) as conn:
        found = await resolutions.letters(conn, fingerprint)
        if not found:
            raise HTTPException(404)
        if seen:
            await deeds.note(conn, clock.now(), session.name, session.role, "dead_letters_read", subject=fingerprint)
    first = found[0][0]
    page = GroupPage(
        fingerprint=fingerprint,
        service=first.service,
        origin_topic=first.origin_topic,
        type=formats.visible(first.type),
        path=formats.visible(first.path),
        redrivable=mark(first) is not None,
        open=sum(resolution is None for _, resolution in found),
        letters=[_shown(letter, resolution, contents=seen) for letter, resolution in found],
    )
    return answer(request, "letter_group.html", page, {"dry": None})


@router.post("/dead-letters/{fingerprint}/dry-run", response_model=None, responses=both(DryRun), dependencies=[Checked])
async def dry_run(request: Request, desk: TheDesk, _: Staff, fingerprint: str) -> Response:
    """What a redrive would do. Changes nothing."""
    async with desk.pool.acquire(timeout=5) as conn:
        found = [letter for letter, _ in await resolutions.letters(conn, fingerprint, only_open=True, limit=AT_ONCE)]
    if not found:
        raise HTTPException(404)
    return answer(request, "_dry_run.html", judge(fingerprint, found))


@router.post(
    "/dead-letters/{fingerprint}/redrive", response_model=None, responses=both(Redriven), dependencies=[Checked]
)
async def redrive(request: Request, desk: TheDesk, session: Staff, fingerprint: str) -> Response:
    """Send the open letters of a kind back to the topic they were on: key, value and headers as they came, with the
    mark that only the service that refused them takes up, once. A letter that dies again comes back as a new one."""
    async with doing(desk.pool) as deed:
        open_ones = await resolutions.letters(deed.conn, fingerprint, only_open=True, limit=AT_ONCE, lock=True)
        found = []
        for letter, _ in open_ones:
            if (to := mark(letter)) is None:
                continue
            found.append(letter)
            await deed.emit_raw(
                letter.origin_topic, to.lane, key=letter.key, value=letter.value, headers=marked(letter.headers, to)
            )
        await resolutions.resolve(deed.conn, found, "redriven", session.name, "", deed.now)
        await deeds.note(
            deed.conn,
            deed.now,
            session.name,
            session.role,
            "redrive",
            subject=fingerprint,
            detail={"letters": str(len(found))},
        )
    return _done(request, len(found), fingerprint)


@router.post("/dead-letters/{fingerprint}/drop", response_model=None, responses=both(Redriven), dependencies=[Checked])
async def drop(request: Request, desk: TheDesk, session: Staff, fingerprint: str, reason: Reason) -> Response:
    """Lay the open letters of a kind aside, with a reason. They stay in the topic and in the list of all."""
    if not reason.strip():
        raise HTTPException(422, "reason")
    why = reason.strip()
    async with doing(desk.pool) as deed:
        open_ones = await resolutions.letters(deed.conn, fingerprint, only_open=True, limit=AT_ONCE, lock=True)
        found = [letter for letter, _ in open_ones]
        for letter in found:
            if (to := mark(letter)) is not None:  # the service that refused it closes its own row
                headers = drop_of(to, session.name, why)
                await deed.emit_raw(letter.origin_topic, to.lane, key=letter.key, value=None, headers=headers)
        await resolutions.resolve(deed.conn, found, "dropped", session.name, why, deed.now)
        await deeds.note(
            deed.conn,
            deed.now,
            session.name,
            session.role,
            "drop",
            subject=fingerprint,
            detail={"letters": str(len(found)), "reason": why},
        )
    return _done(request, len(found), fingerprint)


def judge(fingerprint: str, found: list[Letter]) -> DryRun:
    """Try the letters against the contract as it is now. Pure."""
    refused: dict[str, int] = {}
    for letter in found:
        if letter.origin_topic not in INPUT_TOPICS:
            continue  # what the pipeline itself wrote is well-formed; only the service can say whether it takes it now
        try:
            open_input(letter.origin_topic, letter.headers, letter.value)
        except BadEvent as bad:
            why = formats.visible(f"{bad.path}: {bad.message}")
            refused[why] = refused.get(why, 0) + 1
    return DryRun(
        fingerprint=fingerprint,
        topic=found[0].origin_topic,
        letters=len(found),
        would_pass=len(found) - sum(refused.values()),
        refused_again=refused,
    )


def without_values(reason: str) -> str:
    """A reason without what it quotes of the record."""
    return _QUOTED.sub("•••••", reason)


def _shown(letter: Letter, resolution: Resolution | None, *, contents: bool) -> LetterShown:
    headers = [(formats.visible(name), formats.visible(value or b"")) for name, value in letter.headers]
    return LetterShown(
        topic=letter.topic,
        partition=letter.lane,
        offset=letter.offset,
        at_ms=letter.at_ms,
        origin_partition=letter.origin_lane,
        origin_offset=letter.origin_offset,
        attempts=letter.attempts,
        reason=formats.visible(letter.reason if contents else without_values(letter.reason)),
        key=None if letter.key is None else formats.visible(letter.key),
        value=formats.visible(letter.value[:100_000]) if contents and letter.value is not None else None,
        headers=headers if contents else None,
        resolution=resolution,
    )


def _done(request: Request, letters: int, fingerprint: str) -> Response:
    if wants_json(request):
        return JSONResponse(Redriven(letters=letters).model_dump())
    return RedirectResponse(f"/dead-letters/{fingerprint}", 303)
