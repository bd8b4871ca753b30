"""The console in a real Chromium, over the running pipeline: sign in, see a claim appear, decide it, redrive a dead
letter, try a policy, go by keyboard alone, read it all in Persian. Every screen, wide and narrow, light and dark, is
looked at by axe-core, and nothing sticks out.

Needs Debian's `chromium` and `chromium-driver`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import httpx2
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.browser import WIDE, Browser, chromium, look_at_everything, try_the_policy
from tests.console_samples import claim, order
from tests.stack import Message, Stack, event, eventually

PASSWORD = "for this test only, long enough"


@pytest.fixture
async def page(stack: Stack, tmp_path: Path) -> AsyncIterator[str]:
    """The console as a process on the running pipeline; its address."""
    name = f"console_{os.getpid()}"
    admin = await asyncpg.connect(stack.postgres)
    await admin.execute(f'CREATE DATABASE "{name}"')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    parts = urlsplit(stack.postgres)
    env = {
        **os.environ,
        "MAKEGOOD_KAFKA": stack.kafka,
        "MAKEGOOD_DATABASE": urlunsplit(parts._replace(path=f"/{name}")),
        "MAKEGOOD_CONSOLE_PORT": str(port),
        "MAKEGOOD_CONSOLE_DATA": str(tmp_path),
        "MAKEGOOD_CONSOLE_ADMIN_PASSWORD": PASSWORD,
        "MAKEGOOD_CONSOLE_SERVICES": f"notification=http://127.0.0.1:{stack.service('notification').health}",
        "MAKEGOOD_MAILS_KEY": stack.supervisor.mails_key,
        "MAKEGOOD_LOG": "console",
    }
    log = (tmp_path / "console.log").open("wb")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.console", env=env, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        async with httpx2.AsyncClient() as http:

            async def up() -> bool:
                assert process.returncode is None, (tmp_path / "console.log").read_text()
                try:
                    return (await http.get(f"{address}/sign-in")).status_code == 200
                except httpx2.HTTPError:
                    return False

            await eventually(up, 60, why="the console answers")
        yield address
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(30):
                assert await process.wait() == 0, (tmp_path / "console.log").read_text()[-3000:]
        finally:
            log.close()
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            await admin.close()


@pytest.fixture
def browser(page: str) -> Iterator[Browser]:
    with chromium(page) as opened:
        yield opened


def shop(name: str) -> tuple[list[Message], Message, Message]:
    """An order of two watches, received, and a claim on one of them; its return; and an order that cannot be right."""
    placed = order(f"O-{name}")
    wanted = {**claim(f"C-{name}", placed, quantity=1), "reported_at": "2026-11-20T12:00:00Z"}
    names = {"merchant": "gejet-mall", "order_id": f"O-{name}"}
    came = {
        "return_id": f"R-{name}",
        "claim_id": f"C-{name}",
        **names,
        "received_at": "2026-11-21T08:00:00Z",
        "lines": [{"line_id": "1", "quantity": 1}],
        "inspection": {"carton": "intact", "packaging_opened": False, "misuse": False, "seal": "none"},
    }
    bad = {**order(f"O-{name}-bad"), "payments": [{"payment_id": "p-1", "provider": "x", "amount": "1"}]}
    start = [
        event("order.placed.v1", placed),
        event("order.delivered.v1", {**names, "received_at": "2026-11-20T08:00:00Z"}),
        event("claim.submitted.v1", wanted),
    ]
    return start, event("return.received.v1", came), event("order.placed.v1", bad)


@pytest.mark.timeout(900)
async def test_a_day_at_the_console(stack: Stack, page: str, browser: Browser, unique: str) -> None:
    name = unique
    start, came_back, bad = shop(name)
    claim_path = f"/claims/gejet-mall/{quote(f'C-{name}', safe='')}"
    do = asyncio.to_thread

    await do(browser.sign_in, PASSWORD)
    await do(browser.open, "/now")
    await stack.publish(start)
    await do(browser.find, f'#figures a[href="{claim_path}"]')  # without loading the page again

    await stack.publish([came_back, bad])
    await do(_decide, browser, claim_path)
    (instruction,) = await stack.collect(
        "refunds.v1", lambda found: len(found) == 1, match=lambda r: r.data["claim_id"] == f"C-{name}"
    )
    assert instruction.data["amount"] == "5687500"
    await do(_read_mails, browser, claim_path, f"O-{name}")

    await do(_redrive, browser)
    # Another claim that nobody decides, so that no screen is empty.
    waits, its_return, _ = shop(f"{name}-waits")
    await stack.publish(waits)
    await do(browser.eventually_on, "/claims", f"C-{name}-waits")
    await stack.publish([its_return])
    await do(browser.eventually_on, "/todo", f"C-{name}-waits")
    await do(try_the_policy, browser)
    await do(_by_keyboard_alone, browser, claim_path)
    await do(look_at_everything, browser, claim_path)


def _decide(browser: Browser, claim_path: str) -> None:
    """Take one of the two readings on the To do page, and see the pipeline answer."""

    def task() -> WebElement | None:
        browser.open("/todo")
        found = browser.driver.find_elements(By.XPATH, f"//section[@id='reviews']//article[.//a[@href='{claim_path}']]")
        return found[0] if found else None

    browser.until(task, "the claim waits for a decision")
    article = task()
    assert article is not None
    article.find_element(By.CSS_SELECTOR, "summary").click()
    takes = article.find_elements(By.CSS_SELECTOR, "button[data-fill]")
    assert sorted(take.get_attribute("data-value") or "" for take in takes) == ["5687500", "5843750"]
    next(take for take in takes if take.get_attribute("data-value") == "5687500").click()
    article.find_element(By.CSS_SELECTOR, "textarea").send_keys("the whole deposit bears the fee")
    article.find_element(By.CSS_SELECTOR, "form button.main").click()
    browser.until(lambda: claim_path in browser.driver.current_url, "the claim's page")

    def answered() -> bool:
        browser.open(claim_path)
        return "payment instructed" in browser.find("h1 + .mark").text

    browser.until(answered, "the review became an instruction")
    story = browser.find("#story").text
    for words in ("Claim submitted", "Goods came back", "Reviewed by a person", "Decided", "Payment instructed"):
        assert words in story
    assert "admin" in story
    browser.find("#story details").click()
    browser.until(lambda: "order_id" in browser.find("#story details .event").text, "the raw event")
    assert "sara@example.ir" not in browser.text()


def _read_mails(browser: Browser, claim_path: str, order_id: str) -> None:
    """What the customer was told, as they read it: after it was unmasked, and not before."""

    def told() -> bool:
        browser.open(claim_path)
        assert order_id not in "".join(mail.text for mail in browser.driver.find_elements(By.CSS_SELECTOR, ".mail"))
        browser.find("form[action='/unmask'] button").click()
        browser.until(lambda: _is_at(browser, "/unmask"), "the claim unmasked")
        return any(order_id in mail.text for mail in browser.driver.find_elements(By.CSS_SELECTOR, ".mail"))

    browser.until(told, "the text of a mail")
    assert "sara@example.ir" in browser.text()


def _redrive(browser: Browser) -> None:
    """The order whose payments do not add up: tried, sent back, and refused again, once."""

    def group() -> str:
        browser.open("/dead-letters")
        links = browser.driver.find_elements(By.XPATH, "//a[contains(., 'payments add up to 1 IRR')]")
        return (links[0].get_attribute("href") or "") if links else ""

    browser.until(group, "the dead letter is there")
    address = group()
    browser.driver.get(address)
    browser.find("button[hx-post]").click()
    browser.until(lambda: "would go back" in browser.find("#dry").text, "the dry run")
    browser.find("form[action$=redrive] button").click()

    def again() -> bool:
        browser.driver.get(address)
        return len(browser.driver.find_elements(By.CSS_SELECTOR, "article.card")) >= 2

    browser.until(again, "intake refused it again")
    assert "Redriven" in browser.text()


FOCUSED = """
const e = document.activeElement, r = e.getBoundingClientRect(), s = getComputedStyle(e);
const all = [...document.querySelectorAll('*')];
return {at: all.indexOf(e), what: e.outerHTML.slice(0, 120), wide: r.width, high: r.height, top: r.top,
        bottom: r.bottom,
        ring: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2, screen: innerHeight, main: e.id};
"""


def _by_keyboard_alone(browser: Browser, claim_path: str) -> None:
    """The skip link, the order of the tab key, a ring around what has the focus, and the pages' keys."""

    def press(*keys: str) -> dict[str, Any]:
        actions = ActionChains(browser.driver)
        for held in keys[:-1]:
            actions.key_down(held)
        actions.send_keys(keys[-1])
        for held in keys[:-1]:
            actions.key_up(held)
        actions.perform()
        found: dict[str, Any] = browser.driver.execute_script(FOCUSED)
        return found

    browser.width(WIDE)
    for path in ("/todo", claim_path, "/claims"):
        browser.open(path)
        first = press(Keys.TAB)
        assert 'class="skip"' in first["what"]
        assert first["top"] >= 0, "the skip link is seen once it has the focus"
        assert press(Keys.ENTER)["main"] == "main"
        browser.open(path)
        seen: list[int] = []
        while len(seen) < 400:
            now = press(Keys.TAB)
            if seen and now["at"] <= seen[-1]:
                break
            seen.append(now["at"])
            assert now["ring"], now["what"]
            assert now["wide"] > 0, now["what"]
            assert now["high"] > 0, now["what"]
            assert now["bottom"] > 0, now["what"]
            assert now["top"] < now["screen"], now["what"]
        reached = browser.driver.execute_script(
            "const places = 'a[href], button, input:not([type=hidden]), select, textarea, summary';"
            "return [...document.querySelectorAll(places)]"
            ".filter(e => e.checkVisibility() && e.type !== 'radio').length"
        )
        assert len(seen) >= reached, f"the tab key reaches {len(seen)} of {reached} places of {path}"
    for number, path in ((1, "/now"), (2, "/claims"), (3, "/todo"), (7, "/audit")):
        press(Keys.ALT, str(number))
        browser.until(partial(_is_at, browser, path), f"Alt+{number} opens {path}")


def _is_at(browser: Browser, path: str) -> bool:
    return urlsplit(browser.driver.current_url).path == path
