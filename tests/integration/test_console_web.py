"""The page over a real Postgres: who may see and do what, and what an action leaves behind."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from services.console.backtests import Backtests
from services.console.web.desk import checked
from shared.bus.redrive import HEADER, read
from shared.events import TYPES, ClaimReviewed, parse
from shared.events.envelope import open_data
from tests.conftest import MakeDatabase
from tests.console_desk import PASSWORD, Console1, console
from tests.console_samples import day
from tests.stack import eventually

PACKAGES = ["shared.bus", "services.console"]
REVIEW = {"merchant": "gejet-mall", "claim_id": "C-5", "verdict": "refund", "currency": "IRR", "reason": "as agreed"}


@pytest.fixture
async def desk(make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Console1]:
    async with console(await make_database(PACKAGES), tmp_path) as one:
        await one.read(day(14).records)
        one.desk.watch.now = await one.desk.watch.gather()
        yield one


async def basis(desk: Console1, claim: str) -> str:
    async with desk.browser("viewer", "10.9.9.9") as browser:
        found: str = json.loads((await browser.get(f"/claims/{claim}", as_json=True)).text)["case"]["basis"]
        return found


def routes(app: FastAPI) -> list[APIRoute]:
    found = [route for route in app.routes if isinstance(route, APIRoute)]
    found += [r for included in app.routes for r in getattr(included, "routes", []) or [] if isinstance(r, APIRoute)]
    return found


async def test_nothing_but_sign_in_and_static_files_is_reachable_without_a_session(desk: Console1) -> None:
    paths = json.loads(json.dumps(desk.app.openapi()["paths"]))
    assert len(paths) >= 20
    async with desk.browser() as nobody:
        for path, methods in paths.items():
            if path.startswith("/sign-in"):
                continue
            plain = path.replace("{", "").replace("}", "").replace(":path", "")
            for method in methods:
                answer = await nobody.http.request(method, plain, headers={"accept": "application/json"})
                assert answer.status_code == 401, (method, path)
        for path in ("/openapi.json", "/docs", "/redoc", "/metrics", "/nothing", "/now/live"):
            assert (await nobody.get(path)).status_code == 303, path
        assert (await nobody.get("/static/console.css")).status_code == 200
        assert (await nobody.get("/static/../site.py")).status_code in (303, 404)


async def test_whatever_changes_something_asks_for_the_token(desk: Console1) -> None:
    open_ones = {"/sign-in", "/sign-in/preferences"}
    changing = [
        (path, method)
        for path, methods in desk.app.openapi()["paths"].items()
        for method in methods
        if method != "get" and path not in open_ones
    ]
    assert len(changing) >= 8
    assert callable(checked)
    async with desk.browser("admin") as browser:
        browser.csrf = "wrong"
        form = {**REVIEW, "basis": "x", "answer": "refuse"}
        for path, _ in changing:
            answer = await browser.post(path.replace("{fingerprint}", "f"), form)
            assert (answer.status_code, json.loads(answer.text)["error"]) == (403, "csrf"), path
    assert not await desk.emitted()


async def test_another_site_cannot_post_here(desk: Console1) -> None:
    async with desk.browser("staff") as browser:
        for header in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            answer = await browser.http.post("/sign-out", data={"csrf": browser.csrf}, headers=header)
            assert answer.status_code == 403
        assert (await browser.get("/todo")).status_code == 200


async def test_a_host_name_that_is_not_ours_is_refused(desk: Console1) -> None:
    async with desk.browser() as nobody:
        assert (await nobody.http.get("/sign-in", headers={"host": "evil.example"})).status_code == 400


async def test_security_headers_are_on_everything(desk: Console1) -> None:
    async with desk.browser("viewer") as browser:
        for path in ("/now", "/sign-in", "/static/console.js", "/nothing"):
            policy = (await browser.get(path)).headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
        page = (await browser.get("/now")).text
        assert " style=" not in page
        assert "<script>" not in page
        assert " onclick" not in page


@pytest.mark.parametrize("name", ["staff", "nobody"])
async def test_sign_in_is_limited_by_name_and_address(desk: Console1, name: str) -> None:
    async with desk.browser() as browser:
        answers = [(await browser.sign_in(name, "wrong")).status_code for _ in range(6)]
        assert answers == [401] * 5 + [429]
        assert (await browser.sign_in("staff", PASSWORD)).status_code == 429
    async with desk.browser(address="10.0.0.2") as elsewhere:
        assert (await elsewhere.sign_in("admin", PASSWORD)).status_code == 303


async def test_a_session_ends_with_the_sign_out(desk: Console1) -> None:
    async with desk.browser("viewer") as browser:
        cookies = dict(browser.http.cookies)
        assert (await browser.post("/sign-out", {})).status_code == 303
        browser.http.cookies.update(cookies)
        assert (await browser.get("/todo")).status_code == 303
    assert [action for _, action, _ in await desk.audit()] == ["sign_in", "sign_out"]


async def test_viewers_see_and_do_nothing_else(desk: Console1) -> None:
    async with desk.browser("viewer") as viewer:
        for path in ("/now", "/claims", "/claims/gejet-mall/C-5", "/todo", "/dead-letters", "/policies"):
            assert (await viewer.get(path)).status_code == 200, path
        assert (await viewer.get("/audit")).status_code == 403
        for path, form in (
            ("/actions/review", {**REVIEW, "basis": "0.2.0", "amount": "5"}),
            ("/unmask", {"merchant": "gejet-mall", "claim_id": "C-5"}),
        ):
            assert (await viewer.post(path, form)).status_code == 403
        group = json.loads((await viewer.get("/dead-letters", as_json=True)).text)["groups"][0]["fingerprint"]
        assert (await viewer.post(f"/dead-letters/{group}/redrive", {})).status_code == 403
        letter = json.loads((await viewer.get(f"/dead-letters/{group}", as_json=True)).text)["letters"][0]
        assert letter["value"] is None
    assert not await desk.emitted()


async def test_a_review_is_an_event_with_its_audit_row(desk: Console1) -> None:
    async with desk.browser("staff") as staff:
        answer = await staff.post("/actions/review", {**REVIEW, "basis": await basis(desk, "gejet-mall/C-5"), "amount": "۵۶۸۷۵۰۰"})  # fmt: skip  # noqa: E501
        assert answer.status_code == 200, answer.text
        page = await staff.get("/claims/gejet-mall/C-5")
        assert "staff</bdi> has acted on this" in page.text
    (event,) = await desk.emitted()
    assert (event.topic, event.type, event.key, event.subject) == (
        "reviews.v1",
        "claim.reviewed.v1",
        b"gejet-mall/O-5",
        "C-5",
    )
    assert event.value is not None
    review = parse(ClaimReviewed, event.value)
    assert (review.verdict, review.actor, review.review_id) == ("refund", "staff", json.loads(answer.text)["event_id"])
    assert review.amount is not None
    assert (review.amount.amount, review.amount.currency) == ("5687500", "IRR")
    assert event.traceparent.startswith("00-")
    assert ("staff", "claim.reviewed.v1", "C-5") in await desk.audit()


async def test_two_people_cannot_decide_the_same_standing(desk: Console1) -> None:
    form = {**REVIEW, "basis": await basis(desk, "gejet-mall/C-5"), "amount": "5687500"}
    async with desk.browser("staff") as one, desk.browser("admin") as other:
        answers = await asyncio.gather(one.post("/actions/review", form), other.post("/actions/review", form))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len(await desk.emitted()) == 1


@pytest.mark.parametrize(
    ("claim", "changes", "status", "error"),
    [
        ("gejet-mall/C-5", {"amount": "12500001"}, 422, "problem.above_left"),
        ("gejet-mall/C-13", {"amount": "12500001"}, 422, "problem.above_left"),
        ("gejet-mall/C-13", {"amount": "11687500"}, 422, "problem.below_refunded"),
        ("gejet-mall/C-5", {"amount": "0"}, 422, "problem.below_refunded"),
        ("gejet-mall/C-5", {"amount": "1.5"}, 422, "problem.amount"),
        ("gejet-mall/C-5", {"amount": "1,000"}, 422, "problem.amount"),
        ("gejet-mall/C-5", {"amount": ""}, 422, "problem.amount"),
        ("gejet-mall/C-5", {"amount": "5", "currency": "VND"}, 422, "problem.currency"),
        ("gejet-mall/C-5", {"verdict": "reject", "reason": " "}, 422, "problem.bad"),
        ("gejet-mall/C-5", {"amount": "5", "basis": "0.1.0"}, 409, "problem.moved"),
        ("gejet-mall/C-1", {"amount": "5"}, 409, "problem.not_admitted"),
        ("gejet-mall/C-none", {"amount": "5", "basis": "x"}, 404, "problem.no_claim"),
    ],
)
async def test_a_review_that_would_not_be_taken_is_not_sent(
    desk: Console1, claim: str, changes: dict[str, str], status: int, error: str
) -> None:
    claim_id = claim.rpartition("/")[2]
    seen = "x" if claim_id == "C-none" else await basis(desk, claim)
    async with desk.browser("staff") as staff:
        answer = await staff.post("/actions/review", {**REVIEW, "claim_id": claim_id, "basis": seen, **changes})
    assert (answer.status_code, json.loads(answer.text)["error"]) == (status, error)
    assert not await desk.emitted()
    assert not [action for _, action, _ in await desk.audit() if action != "sign_in"]


async def test_an_override_of_a_paid_claim_may_use_all_that_is_left(desk: Console1) -> None:
    form = {**REVIEW, "claim_id": "C-13", "basis": await basis(desk, "gejet-mall/C-13"), "amount": "12500000"}
    async with desk.browser("staff") as staff:
        assert (await staff.post("/actions/review", form)).status_code == 200


async def test_answers_and_returns_are_events_that_intake_takes(desk: Console1) -> None:
    async with desk.browser("staff") as staff:
        seller = {"merchant": "gejet-mall", "claim_id": "C-4", "basis": await basis(desk, "gejet-mall/C-4")}
        partial = {**seller, "answer": "refund_partial", "amount": "1000", "currency": "IRR", "note": "half"}
        assert (await staff.post("/actions/answer", partial)).status_code == 200
        back = {"merchant": "gejet-mall", "claim_id": "C-10", "basis": await basis(desk, "gejet-mall/C-10")}
        back |= {"line.1": "2", "carton": "torn", "misuse": "no", "fault": "customer", "postage": "", "paid_by": ""}
        assert (await staff.post("/actions/return", back)).status_code == 200
        none = {**back, "line.1": "0"}
        assert (await staff.post("/actions/return", none)).status_code == 422
    answered, returned = sorted(await desk.emitted(), key=lambda e: e.topic, reverse=True)
    assert answered.value is not None
    assert returned.value is not None
    said = json.loads(answered.value)
    assert (answered.topic, said["answer"], said["amount"]["amount"]) == ("sellers.v1", "refund_partial", "1000")
    found = json.loads(returned.value)
    assert (returned.topic, found["lines"]) == ("returns.v1", [{"line_id": "1", "quantity": 2}])
    assert (found["inspection"]["carton"], found["inspection"]["misuse"], found["postage"]) == ("torn", False, None)
    for event in (answered, returned):
        assert event.value is not None
        open_data(event.type, event.value)


async def test_every_unmasking_is_in_the_audit(desk: Console1) -> None:
    async with desk.browser("staff") as staff:
        masked = await staff.get("/claims/gejet-mall/C-5")
        assert "sara@example.ir" not in masked.text
        case = json.loads((await staff.get("/claims/gejet-mall/C-5", as_json=True)).text)["case"]
        placed = next(m for m in case["timeline"] if m["type"] == "order.placed.v1")
        where = f"topic={placed['topic']}&partition={placed['partition']}&offset={placed['offset']}"
        raw = await staff.get(f"/raw?merchant=gejet-mall&order_id=O-5&{where}")
        assert "O-5" in raw.text
        assert "sara@example.ir" not in raw.text
        assert "نظرم عوض شد" not in masked.text
        assert "example.org" not in masked.text
        assert "unmask" not in {action for _, action, _ in await desk.audit()}
        shown = await staff.post("/unmask", {"merchant": "gejet-mall", "claim_id": "C-5"}, as_json=False)
        assert "sara@example.ir" in shown.text
        assert "نظرم عوض شد" in shown.text
    assert ("staff", "unmask", "C-5") in await desk.audit()


async def test_an_event_is_shown_whole_to_staff_alone_and_the_audit_says_so(desk: Console1) -> None:
    async with desk.browser("viewer") as viewer, desk.browser("staff") as staff:
        case = json.loads((await viewer.get("/claims/gejet-mall/C-5", as_json=True)).text)["case"]
        said = next(m for m in case["timeline"] if m["type"] == "claim.submitted.v1")
        event = {
            "merchant": "gejet-mall",
            "order_id": "O-5",
            "topic": said["topic"],
            "partition": str(said["partition"]),
        }
        event["offset"] = str(said["offset"])
        masked = await viewer.http.get("/raw", params=event)
        assert "C-5" in masked.text
        assert "نظرم عوض شد" not in masked.text
        assert (await viewer.post("/raw/unmask", event)).status_code == 403
        assert "raw_unmasked" not in {action for _, action, _ in await desk.audit()}
        whole = json.loads((await staff.post("/raw/unmask", event)).text)
        assert "نظرم عوض شد" in whole["value"]
        assert not whole["masked"]
        assert (await staff.post("/raw/unmask", event | {"offset": "999"})).status_code == 404
    assert [a for a in await desk.audit() if a[1] == "raw_unmasked"] == [("staff", "raw_unmasked", "C-5")]


async def test_what_people_wrote_and_what_letters_quote_is_not_for_viewers(desk: Console1) -> None:
    async with desk.browser("viewer") as viewer, desk.browser("staff") as staff:
        assert "account closed" in (await staff.get("/claims/gejet-mall/C-7")).text
        assert "account closed" not in (await viewer.get("/claims/gejet-mall/C-7")).text
        assert "IRT" in (await staff.get("/dead-letters")).text
        groups = await viewer.get("/dead-letters")
        assert "is not an ISO 4217 code" in groups.text
        assert "IRT" not in groups.text


async def test_a_redrive_sends_each_open_letter_back_once_as_it_came(desk: Console1) -> None:
    async with desk.browser("staff") as staff:
        groups = json.loads((await staff.get("/dead-letters", as_json=True)).text)["groups"]
        assert sorted((g["origin_topic"], g["open"]) for g in groups) == [("claims.v1", 3), ("orders.v1", 1)]
        group = next(g["fingerprint"] for g in groups if g["origin_topic"] == "claims.v1")
        page = await staff.get(f"/dead-letters/{group}")
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert(1)" in page.text
        dry = json.loads((await staff.post(f"/dead-letters/{group}/dry-run", {})).text)
        assert (dry["letters"], dry["would_pass"], list(dry["refused_again"].values())) == (3, 0, [3])
        assert not await desk.emitted()
        assert json.loads((await staff.post(f"/dead-letters/{group}/redrive", {})).text) == {"letters": 3}
        assert json.loads((await staff.post(f"/dead-letters/{group}/redrive", {})).text) == {"letters": 0}
    sent = await desk.emitted()
    assert [(e.topic, e.key, e.value) for e in sent] == [
        ("claims.v1", None, b'{"claim_id": "<script>alert(1)</script>')
    ] * 3
    assert {e.partition for e in sent} == {0, 1, 2}
    for event in sent:
        headers = dict(event.headers or [])
        mark = read(headers.pop(HEADER).decode())
        assert mark is not None
        assert (mark.service, mark.lane) == ("intake", event.partition)
        assert headers == {"ce_id": b"x"}


async def test_a_drop_needs_a_reason_and_keeps_the_letter(desk: Console1) -> None:
    async with desk.browser("admin") as admin:
        groups = json.loads((await admin.get("/dead-letters", as_json=True)).text)["groups"]
        group = next(g["fingerprint"] for g in groups if g["origin_topic"] == "orders.v1")
        assert (await admin.post(f"/dead-letters/{group}/drop", {"reason": " "})).status_code == 422
        assert (await admin.post(f"/dead-letters/{group}/drop", {"reason": "a test order"})).status_code == 200
        left = json.loads((await admin.get("/dead-letters", as_json=True)).text)["groups"]
        assert group not in {g["fingerprint"] for g in left}
        every = json.loads((await admin.get("/dead-letters?all=1", as_json=True)).text)["groups"]
        assert next(g["dropped"] for g in every if g["fingerprint"] == group) == 1
    assert (await desk.desk.watch.gather()).dead_letters == 3


async def test_csv_has_every_claim_and_no_formula(desk: Console1) -> None:
    from services.console.web.claims import harmless

    assert [harmless(c) for c in ("=1+1", "+1", "-1", "@x", "ok")] == ["'=1+1", "'+1", "'-1", "'@x", "ok"]
    async with desk.browser("viewer") as viewer:
        lines = (await viewer.get("/claims.csv?merchant=hakago")).text.splitlines()
        assert len(lines) == 1 + 4
        assert "C-6,O-6,c-O-6,wrong_item,paid,refund,2187500,VND" in "\n".join(lines)
    assert ("viewer", "csv", None) in await desk.audit()


async def test_the_now_page_says_who_must_act(desk: Console1) -> None:
    async with desk.browser("viewer") as viewer:
        now = json.loads((await viewer.get("/now.json")).text)
        page = (await viewer.get("/now")).text
    assert {act["what"]: act["n"] for act in now["act"]} == {
        "dead_letters": 4,
        "reviews": 4,
        "stuck": 2,
        "overdue": 4,
    } or {act["what"]: act["n"] for act in now["act"]} == {"dead_letters": 4, "reviews": 4, "stuck": 2}
    assert {s["stage"]: s["total"] for s in now["stages"]} == {
        "received": 14,
        "admitted": 10,
        "assessed": 10,
        "decided": 4,
        "instructed": 4,
        "paid": 2,
        "notified": 4,
    }
    assert "Somebody needs to act" in page


@pytest.mark.parametrize(("language", "says"), [("fa", 'dir="rtl"'), ("vi", 'lang="vi"'), ("en", 'dir="ltr"')])
async def test_every_screen_renders_in_every_language(desk: Console1, language: str, says: str) -> None:
    async with desk.browser("admin") as admin:
        admin.http.cookies.set("makegood_language", language)
        paths = [f"/claims/{'hakago' if n % 3 == 0 else 'gejet-mall'}/C-{n}" for n in range(1, 15)]
        paths += ["/now", "/claims", "/todo", "/dead-letters?all=1", "/policies", "/policies/hakago/1", "/audit"]
        for path in paths:
            page = await admin.get(path)
            assert page.status_code == 200, (path, page.text[:500])
            assert says in page.text


async def test_odd_ids_have_pages_too(make_database: MakeDatabase, tmp_path: Path) -> None:
    from tests.console_samples import Topics, life

    topics = Topics()
    for name in ("a/b c?#%", "\u202eevil", "<b>"):
        life(topics, name, "paid")
    async with console(await make_database(PACKAGES), tmp_path) as desk:
        await desk.read(topics.records)
        async with desk.browser("viewer") as viewer:
            found = json.loads((await viewer.get("/claims", as_json=True)).text)["claims"]
            assert len(found) == 3
            page = (await viewer.get("/claims")).text
            assert "<b></bdi>" not in page
            for link in [line.split('"')[0] for line in page.split('<a href="/claims/')[1:]]:
                assert (await viewer.get(f"/claims/{link}")).status_code == 200, link


async def test_the_contract_can_be_browsed_and_nothing_can_be_sent_from_there(desk: Console1) -> None:
    async with desk.browser("viewer") as viewer:
        topics = json.loads((await viewer.get("/contract", as_json=True)).text)["topics"]
        assert {type_ for topic in topics for type_ in topic["types"]} == set(TYPES)
        for type_ in TYPES:
            page = json.loads((await viewer.get(f"/contract/{type_}", as_json=True)).text)
            assert {m["path"] for m in page["members"]} >= set(page["json_schema"]["properties"])
            assert "<form" not in (await viewer.get(f"/contract/{type_}")).text.partition("<main")[2]
        members = {
            m["path"]: m for m in json.loads((await viewer.get("/contract/order.placed.v1.json")).text)["members"]
        }
        assert members["lines[].quantity"]["required"]
        assert not members["customer.email"]["required"]
        assert (await viewer.get("/contract/claim.lost.v1")).status_code == 404
        assert (await viewer.get("/contract/asyncapi.yaml")).text.startswith("asyncapi: 3.")
    assert not [r for r in routes(desk.app) if r.path.startswith("/contract") and r.methods != {"GET"}]


WAITS = """
import pathlib, sys, time
go = pathlib.Path(sys.argv[1])
for _ in range(3000):
    if go.exists():
        break
    time.sleep(0.01)
print(go.read_text())
sys.exit(3 if go.read_text().startswith("no") else 0)
"""
SUM = {"claims": 3, "changed": 1, "before": "100", "after": "90", "difference": "-10"}
RESULT = {
    "currency": "IRR",
    "total": SUM,
    "changes": [SUM | {"from": "refund", "to": "refund, less"}],
    "by_reason": [SUM | {"reason": "withdrawal"}],
    "changed": [
        {
            "claim_id": "C-6",
            "reason": "withdrawal",
            "from": {"outcome": "refund"},
            "to": {"outcome": "awaiting return"},
            "difference": "-10",
        }
    ],
}


async def test_a_backtest_runs_once_at_a_time_and_its_result_stays(desk: Console1, tmp_path: Path) -> None:
    go = tmp_path / "go"
    desk.desk.backtests = Backtests(desk.pool, "nowhere:1", (sys.executable, "-c", WAITS, str(go)))
    path = "/policies/gejet-mall/1/backtest"

    async with desk.browser("viewer") as viewer, desk.browser("staff") as staff:

        async def ended() -> dict[str, Any]:
            found: dict[str, Any] = json.loads((await viewer.get(path, as_json=True)).text)["backtest"]
            return found if found["ended_at"] else {}

        assert json.loads((await viewer.get(path, as_json=True)).text) == {"backtest": None}
        assert (await viewer.post(path, {"days": "30"})).status_code == 403
        assert (await staff.post("/policies/gejet-mall/99/backtest", {"days": "30"})).status_code == 404
        assert (await staff.post(path, {"days": "30"})).status_code == 202
        assert (await staff.post("/policies/hakago/1/backtest", {"days": "0"})).status_code == 409
        assert "Running for" in (await viewer.get("/policies/gejet-mall/1")).text
        go.write_text(json.dumps(RESULT))
        found = (await eventually(ended, 30))["found"]
        assert found["moved"][0]["after_end"] == "awaiting return"
        page = (await viewer.get("/policies/gejet-mall/1")).text
        assert "refund, less" in page
        assert "would have ended otherwise" in page
        go.write_text("no topics")
        assert (await staff.post(path, {"days": "0"})).status_code == 202
        assert "ended with 3" in (await eventually(ended, 30))["problem"]
    assert [action for _, action, _ in await desk.audit()].count("backtest") == 2


async def test_a_backtest_that_was_cut_off_is_closed_and_one_that_takes_too_long_is_ended(
    desk: Console1, tmp_path: Path
) -> None:
    tests = Backtests(
        desk.pool, "nowhere:1", (sys.executable, "-c", WAITS, str(tmp_path / "never")), timedelta(milliseconds=50)
    )

    async def problem() -> str:
        last = await tests.latest("gejet-mall", 1)
        assert last is not None
        return last.problem or ""

    await tests.begin(tmp_path, "gejet-mall", 1, "d", None, "staff")
    assert await eventually(problem, 30) == "took longer than 0:00:00.050000"
    await desk.pool.execute(
        "INSERT INTO backtest (merchant, version, digest, actor, begun_at) VALUES ('gejet-mall', 1, 'd', 'x', now())"
    )
    await tests.recover()
    assert await problem() == "interrupted"


async def test_to_do_says_what_is_left_as_the_claims_page_does(desk: Console1) -> None:
    async with desk.browser("viewer") as viewer:
        tasks = json.loads((await viewer.get("/todo", as_json=True)).text)["reviews"]
        assert {task["claim"]["claim_id"] for task in tasks} == {"C-5", "C-7", "C-12", "C-14"}
        for task in tasks:
            claim = task["claim"]
            page = await viewer.get(f"/claims/{claim['merchant']}/{claim['claim_id']}", as_json=True)
            assert task["left"] == json.loads(page.text)["case"]["left"]
            assert task["left"] > 0
