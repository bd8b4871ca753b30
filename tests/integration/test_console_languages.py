"""Nothing on a Vietnamese or Persian page is left in English: every screen, with all that the pipeline says on it."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from shared.events import TYPES, BadEvent
from shared.policy.load import load_book
from shared.policy.model import Policy
from shared.policy.readings import judge_claim
from shared.policy.trial import example_case
from tests.conftest import MakeDatabase
from tests.console_desk import Console1, console
from tests.console_samples import Data, Topics, admitted, assessed, claim, day, order
from tests.contract.test_bad_input import CASES, in_binary, spoilt
from tests.untranslated import left_in_english

PACKAGES = ["shared.bus", "services.console"]
BOOK = load_book()


def reasons_of(policy: Policy) -> list[Data]:
    """Every reason that the worked examples of a policy lead to, each once."""
    findings = {
        (one.rule, one.clause, one.effect, one.text)
        for rule in policy.rules.values()
        for example in rule.examples
        for line in judge_claim(policy, example_case(example), lambda _: None).lines
        for one in line.findings
    }
    return [dict(zip(("rule", "clause", "effect", "text"), one, strict=True)) for one in sorted(findings, key=str)]


def readings_of(policy: Policy) -> list[Data]:
    """Every open point, as if the claim had met it."""
    return [
        {
            "entry": name,
            "chosen": entry.chosen,
            "alternatives": [
                {"reading": one, "result": result, "amount": "1000"}
                for one, result in zip(entry.readings, ("refund", "rejected"), strict=False)
            ],
        }
        for name, entry in policy.register_.items()
    ]


def say_everything(topics: Topics, policy: Policy) -> None:
    """A claim that has met every rule and every open point of a policy, and waits for a person."""
    placed = order(f"O-all-{policy.merchant}", merchant=policy.merchant)
    claimed = claim(f"all-{policy.merchant}", placed)
    told = assessed(claimed, 1, awaiting="review", at=topics.now, readings=readings_of(policy))
    told["policy"] = {"id": policy.merchant, "version": policy.version, "digest": policy.digest}
    told["lines"] = [{"line_id": "1", "quantity": 2, "verdict": "undecided", "reasons": reasons_of(policy)}]
    topics.put("order.placed.v1", placed)
    topics.put("claim.submitted.v1", claimed)
    topics.put("claim.admitted.v1", admitted(claimed, placed))
    topics.put("claim.assessed.v1", told)
    names = {name: claimed[name] for name in ("claim_id", "merchant", "order_id")}
    refused = "500 IRR is left of the order's payments"
    error = {"code": "above_what_is_left", "path": "$.amount.amount", "message": refused}
    topics.put("review.refused.v1", {**names, "review_id": "r-1", "errors": [error]})


def complaints() -> Iterator[tuple[str, str]]:
    """What is wrong with every bad input that the tests of the contract know: (path, reason as intake writes it)."""
    for case in CASES:
        try:
            in_binary(case["type"], spoilt(case))
        except BadEvent as bad:
            yield bad.path, "; ".join(f"{path}: {message}" for path, message in bad.flaws)


def busy_day() -> Topics:
    """The small day, a claim with everything for each merchant, and a dead letter of every kind."""
    topics = day(14)
    for policy in BOOK.all():
        say_everything(topics, policy)
    placed = topics.put("order.placed.v1", order("O-dead"))
    for path, reason in complaints():
        topics.dead(placed, "intake", reason, path)
    return topics


@pytest.fixture
async def desk(make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Console1]:
    async with console(await make_database(PACKAGES), tmp_path) as one:
        await one.read(busy_day().records)
        one.desk.watch.now = await one.desk.watch.gather()
        yield one


async def screens(desk: Console1) -> list[str]:
    """Every page with something on it."""
    async with desk.browser("admin", "10.0.0.9") as admin:
        groups = json.loads((await admin.get("/dead-letters", as_json=True)).text)["groups"]
        claims = json.loads((await admin.get("/claims", as_json=True)).text)["claims"]
    return [
        *("/now", "/claims", "/claims?q=nobody", "/todo", "/dead-letters?all=1", "/policies", "/audit", "/contract"),
        *(f"/dead-letters/{group['fingerprint']}" for group in groups[::10]),
        *(f"/claims/{one['merchant']}/{one['claim_id']}" for one in claims),
        *(f"/policies/{policy.merchant}/{policy.version}" for policy in BOOK.all()),
        *(f"/contract/{type_}" for type_ in TYPES),
        "/nothing",
    ]


@pytest.mark.parametrize("language", ["vi", "fa"])
async def test_no_screen_has_anything_left_in_english(desk: Console1, language: str) -> None:
    found: dict[str, list[str]] = {}
    paths = await screens(desk)
    assert len(paths) > 55
    for name in ("admin", "viewer"):
        async with desk.browser(name) as browser:
            browser.http.cookies.set("makegood_language", language)
            for path in paths:
                page = await browser.get(path)
                if left := left_in_english(page.text, language):
                    found[f"{name} {path}"] = left
    assert not found, json.dumps(found, ensure_ascii=False, indent=1)


@pytest.mark.parametrize("language", ["vi", "fa"])
async def test_what_comes_of_what_people_do_is_said_in_their_language(desk: Console1, language: str) -> None:
    async with desk.browser("staff") as staff:
        staff.http.cookies.set("makegood_language", language)
        fingerprint = json.loads((await staff.get("/dead-letters", as_json=True)).text)["groups"][0]["fingerprint"]
        basis = json.loads((await staff.get("/claims/gejet-mall/C-5", as_json=True)).text)["case"]["basis"]
        review = {"merchant": "gejet-mall", "claim_id": "C-5", "verdict": "refund", "currency": "IRR", "basis": basis}
        for path, form in (
            (f"/dead-letters/{fingerprint}/dry-run", {}),
            ("/unmask", {"merchant": "gejet-mall", "claim_id": "C-5"}),
            ("/actions/review", review | {"amount": "1.5", "reason": "so"}),
            ("/actions/review", review | {"verdict": "reject", "reason": " "}),
            ("/actions/review", review | {"amount": "99999999999", "reason": "so"}),
        ):
            answer = await staff.post(path, form, as_json=False)
            assert answer.text
            assert left_in_english(answer.text, language) == [], path


async def test_the_exact_text_of_a_dead_letter_stands_beside_its_translation(desk: Console1) -> None:
    async with desk.browser("staff") as staff:
        staff.http.cookies.set("makegood_language", "vi")
        page = (await staff.get("/dead-letters?all=1")).text
    assert "phải là số nguyên" in page
    assert '<bdi class="original break" lang="en" dir="ltr">$.lines[0].quantity: must be a whole number</bdi>' in page
    assert page.count("không có câu cố định cho lỗi này") == 1  # for the one of the small day, which nobody writes


async def test_a_page_in_english_says_what_it_said(desk: Console1) -> None:
    async with desk.browser("staff") as staff:
        page = (await staff.get("/claims/gejet-mall/all-gejet-mall")).text
    assert "after receipt, <bdi>48</bdi> h are allowed" in page
    assert "A technical fault must be reported within 48 hours of receipt." in page
    assert "2.5 % of the whole deposit" in page


@pytest.mark.parametrize(
    ("html", "language"),
    [
        ("<p>No gift</p>", "fa"),
        ("<p>no gift</p>", "vi"),
        ("<p>هدیه <bdi>the goods are back</bdi></p>", "fa"),
        ('<p>đơn <span lang="en">reported late</span></p>', "vi"),
        ('<img alt="a picture">', "vi"),
        ('<button aria-label="Close it">×</button>', "fa"),
        ("<ul><li>intact</ul>", "fa"),
    ],
)
def test_english_is_noticed(html: str, language: str) -> None:
    assert left_in_english(f"<html lang='{language}'>{html}</html>", language)


def test_names_ids_and_marked_originals_are_let_be() -> None:
    page = """<html lang="vi"><p>Makegood: <bdi>C-5</bdi> <code>fault-window</code> <bdi lang="">my own words</bdi>
    <bdi class="original" lang="en">must be a string</bdi> <bdi lang="fa">کالا</bdi> <bdi>VND 5</bdi></p></html>"""
    assert left_in_english(page, "vi") == []
