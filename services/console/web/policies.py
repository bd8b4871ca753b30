"""Policies: versions, clauses in both languages, the register of open points, the rules with their worked examples, and
what a version would have done to the recorded claims."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.console import deeds, queries
from services.console.backtests import Backtest, Busy
from services.console.web.desk import Anybody, Checked, Staff, TheDesk, answer, both, wants_json
from shared import clock
from shared.policy.book import PolicyBook
from shared.policy.load import POLICIES
from shared.policy.model import Entry, Policy, Wording
from shared.policy.trial import try_examples

router = APIRouter(tags=["policies"])


class VersionShown(BaseModel):
    """A version of a merchant's policy. `known`: its file is at hand; `first_ms`: when it was first applied."""

    merchant: str
    version: int
    digest: str
    in_force_from: datetime | None
    in_force_until: datetime | None
    known: bool
    first_ms: int | None


class PoliciesPage(BaseModel):
    """All versions that are loaded or were applied."""

    loaded: bool
    versions: list[VersionShown]


class ExampleShown(BaseModel):
    """A worked example of a rule: what is given, what must come of it."""

    name: str
    given: dict[str, str]
    expected: dict[str, str]
    holds: bool


class RuleShown(BaseModel):
    """A rule of a policy."""

    id: str
    kind: str
    clause: str | None
    reasons: list[str]
    says: dict[str, str]
    examples: list[ExampleShown]


class PolicyPage(BaseModel):
    """One version, whole."""

    merchant: str
    version: int
    digest: str
    currency: str
    locale: str
    in_force_from: datetime
    in_force_until: datetime | None
    seller_days: int
    return_days: int
    clauses: dict[str, Wording]
    open_points: dict[str, Entry]
    rules: list[RuleShown]
    backtest: Backtest | None = None


class BacktestPage(BaseModel):
    """The last backtest of a version, or null."""

    backtest: Backtest | None


@router.get("/policies", response_model=None, responses=both(PoliciesPage))
async def policies_page(request: Request, desk: TheDesk, _: Anybody) -> Response:
    """Versions that are loaded, and versions that were applied."""
    async with desk.pool.acquire(timeout=5) as conn:
        seen = await queries.policies_seen(conn)
    page = PoliciesPage(loaded=desk.shelf is not None, versions=versions(desk.book, seen))
    return answer(request, "policies.html", page)


@router.get("/policies/{merchant}/{version}", response_model=None, responses=both(PolicyPage))
async def policy_page(request: Request, desk: TheDesk, _: Anybody, merchant: str, version: int) -> Response:
    """One version: every clause, open point, rule and worked example, and its last backtest."""
    policy = desk.book.version(merchant, version)
    if policy is None:
        raise HTTPException(404)
    last = await desk.backtests.latest(merchant, version)
    page = shown(policy).model_copy(update={"backtest": last})
    return answer(request, "policy.html", page, {"test": last, "of": policy})


@router.get("/policies/{merchant}/{version}/backtest", response_model=None, responses=both(BacktestPage))
async def backtest_page(request: Request, desk: TheDesk, _: Anybody, merchant: str, version: int) -> Response:
    """The last backtest of a version: what it would have done to the claims that are recorded."""
    policy = desk.book.version(merchant, version)
    if policy is None:
        raise HTTPException(404)
    last = await desk.backtests.latest(merchant, version)
    return answer(request, "_backtest.html", BacktestPage(backtest=last), {"test": last, "of": policy})


@router.post(
    "/policies/{merchant}/{version}/backtest", response_model=None, responses=both(BacktestPage), dependencies=[Checked]
)
async def begin_backtest(
    request: Request,
    desk: TheDesk,
    session: Staff,
    merchant: str,
    version: int,
    days: Annotated[int, Form(ge=0, le=3650)] = 30,
) -> Response:
    """Try a version on the recorded claims of the last `days` days (0: on all), in the background; one at a time."""
    policy = desk.book.version(merchant, version)
    file = policy_file(desk.settings.policies or POLICIES, merchant, version)
    if policy is None or file is None:
        raise HTTPException(404)
    now = clock.now()
    since = now - timedelta(days=days) if days else None
    try:
        await desk.backtests.begin(file, merchant, version, policy.digest, since, session.name)
    except Busy:
        raise HTTPException(409, "busy") from None
    async with desk.pool.acquire(timeout=5) as conn:
        said = {"policy": f"{merchant}@{version}", "days": str(days)}
        await deeds.note(conn, now, session.name, session.role, "backtest", merchant=merchant, detail=said)
    if wants_json(request):
        last = await desk.backtests.latest(merchant, version)
        return JSONResponse(BacktestPage(backtest=last).model_dump(mode="json"), 202)
    return RedirectResponse(f"/policies/{quote(merchant, safe='')}/{version}#backtest", 303)


def policy_file(folder: Path, merchant: str, version: int) -> Path | None:
    """The file of a version, if it is where it belongs."""
    file = folder / merchant / f"v{version}.yaml"
    return file if file.parent.parent == folder and file.is_file() else None


def versions(book: PolicyBook, seen: list[tuple[str, int, str, int]]) -> list[VersionShown]:
    """The versions at hand and the versions applied, as one list."""
    first = {(merchant, version, digest): ms for merchant, version, digest, ms in seen}
    found = [
        VersionShown(
            merchant=policy.merchant,
            version=policy.version,
            digest=policy.digest,
            in_force_from=policy.in_force_from,
            in_force_until=policy.in_force_until,
            known=True,
            first_ms=first.pop((policy.merchant, policy.version, policy.digest), None),
        )
        for policy in book.all()
    ]
    found += [
        VersionShown(
            merchant=merchant,
            version=version,
            digest=digest,
            in_force_from=None,
            in_force_until=None,
            known=False,
            first_ms=ms,
        )
        for (merchant, version, digest), ms in first.items()
    ]
    return sorted(found, key=lambda one: (one.merchant, one.version, one.digest))


def shown(policy: Policy) -> PolicyPage:
    """A policy for the page; its worked examples are run once more."""
    failed = {(where[1], where[3]) for where, _ in try_examples(policy) if len(where) > 3}
    rules = []
    for name, rule in policy.rules.items():
        said = rule.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
        examples = [
            ExampleShown(
                name=example.name,
                given=_pairs(example.model_dump(mode="json", exclude={"name", "expect"}, exclude_defaults=True)),
                expected=_pairs(example.expect.model_dump(mode="json", exclude_defaults=True)),
                holds=(name, index) not in failed,
            )
            for index, example in enumerate(rule.examples)
        ]
        rules.append(
            RuleShown(
                id=name,
                kind=rule.kind,
                clause=rule.clause,
                reasons=[reason for reason, names in policy.reasons.items() if name in names],
                says=_pairs({k: v for k, v in said.items() if k not in ("examples", "id", "kind", "clause")}),
                examples=examples,
            )
        )
    return PolicyPage(
        merchant=policy.merchant,
        version=policy.version,
        digest=policy.digest,
        currency=policy.currency,
        locale=policy.locale,
        in_force_from=policy.in_force_from,
        in_force_until=policy.in_force_until,
        seller_days=policy.deadlines.seller_days,
        return_days=policy.deadlines.return_days,
        clauses=policy.clauses,
        open_points=policy.register_,
        rules=rules,
    )


def _pairs(tree: object, prefix: str = "") -> dict[str, str]:
    """Nested members as `a.b` → text."""
    if isinstance(tree, dict) and (tree or not prefix):
        return {k: v for key, value in tree.items() for k, v in _pairs(value, f"{prefix}{key}.").items()}
    if isinstance(tree, dict):
        return {prefix.rstrip("."): ""}
    if isinstance(tree, list) and any(isinstance(one, dict) for one in tree):
        return {k: v for n, one in enumerate(tree, 1) for k, v in _pairs(one, f"{prefix}{n}.").items()}
    text = ", ".join(_word(one) for one in tree) if isinstance(tree, list | tuple) else _word(tree)
    return {prefix.rstrip("."): text}


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
