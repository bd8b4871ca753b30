"""The console in a real Chromium, over the running pipeline: sign in, see a claim appear, decide it, redrive a dead
letter, try a policy, go by keyboard alone, read it all in Persian. Every screen, wide and narrow, is looked at by
axe-core, and nothing sticks out.

Needs Debian's `chromium` and `chromium-driver`. With MAKEGOOD_SCREENS=<folder> the screens are kept as pictures.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import httpx2
import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.console_samples import claim, order
from tests.stack import Message, Stack, event, eventually

PASSWORD = "for this test only, long enough"
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text("utf-8")
WIDE, NARROW = 1280, 400
LIMIT = 40.0


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
        "MAKEGOOD_CONSOLE_MAIL": str(stack.mail),
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


@dataclass
class Browser:
    """Chromium, and what a person does with it."""

    driver: webdriver.Chrome
    address: str

    def open(self, path: str) -> None:
        self.driver.get(self.address + path)

    def width(self, pixels: int) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )

    def find(self, css: str) -> WebElement:
        return WebDriverWait(self.driver, LIMIT).until(lambda d: d.find_element(By.CSS_SELECTOR, css))

    def until(self, what: Callable[[], object], why: str, limit: float = LIMIT) -> None:
        # What is looked at may be swapped for its newer self, or the page be left, between finding and reading; the
        # driver has several names for that.
        waiting = WebDriverWait(self.driver, limit, ignored_exceptions=(WebDriverException,))
        waiting.until(lambda _: what(), message=why)

    def text(self) -> str:
        return self.driver.find_element(By.CSS_SELECTOR, "body").text

    def eventually_on(self, path: str, words: str) -> None:
        """Load a page again and again until it has the words."""

        def there() -> bool:
            self.open(path)
            return words in self.text()

        self.until(there, f"{words} on {path}")

    def sign_in(self) -> None:
        self.open("/todo")
        assert "/sign-in" in self.driver.current_url
        self.find("#name").send_keys("admin")
        self.find("#password").send_keys(PASSWORD)
        self.find("button.main").click()
        self.until(lambda: self.driver.current_url.endswith("/todo"), "signed in")

    def check(self, name: str) -> None:
        """Axe finds nothing, nothing sticks out of the page; keep the picture where asked for."""
        self.driver.execute_script(AXE)
        violations = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run({resultTypes: ['violations']}).then(r => done(r.violations.map("
            "v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 160)).join(' | '))))"
        )
        assert violations == [], (name, violations)
        wide, there = self.driver.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= there, f"{name} is {wide} wide on {there}"
        folder = os.environ.get("MAKEGOOD_SCREENS")
        if folder:
            high = self.driver.execute_script("return document.documentElement.scrollHeight")
            self.driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": there, "height": min(int(high), 4000), "deviceScaleFactor": 1, "mobile": False},
            )
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))


@pytest.fixture
def browser(page: str) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    binary, driver_ = shutil.which("chromium"), shutil.which("chromedriver")
    assert binary, "apt-get install chromium"
    assert driver_, "apt-get install chromium-driver"
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_))
    driver.set_script_timeout(60)
    driver.set_page_load_timeout(60)
    try:
        yield Browser(driver, page)
        log = driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's own stubs
        complaints = [str(entry["message"]) for entry in log]
        assert not [message for message in complaints if "Content Security Policy" in message]
    finally:
        driver.quit()


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

    await do(browser.sign_in)
    await do(browser.open, "/now")
    await stack.publish(start)
    await do(browser.find, f'#figures a[href="{claim_path}"]')  # without loading the page again

    await stack.publish([came_back, bad])
    await do(_decide, browser, claim_path)
    (instruction,) = await stack.collect(
        "refunds.v1", lambda found: len(found) == 1, match=lambda r: r.data["claim_id"] == f"C-{name}"
    )
    assert instruction.data["amount"] == "5687500"

    await do(_redrive, browser)
    # Another claim that nobody decides, so that no screen is empty.
    waits, its_return, _ = shop(f"{name}-waits")
    await stack.publish(waits)
    await do(browser.eventually_on, "/claims", f"C-{name}-waits")
    await stack.publish([its_return])
    await do(browser.eventually_on, "/todo", f"C-{name}-waits")
    await do(_try_the_policy, browser)
    await do(_by_keyboard_alone, browser, claim_path)
    await do(_look_at_everything, browser, claim_path, f"O-{name}")


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


def _try_the_policy(browser: Browser) -> None:
    """A backtest of the version in force on what the pipeline has recorded: it runs beside, and its result stays."""
    browser.open("/policies/gejet-mall/1")
    browser.find("#days option[value='0']").click()
    browser.find("#backtest form button.main").click()
    browser.until(
        lambda: "would have ended otherwise" in browser.find("#backtest-result").text, "the backtest's result", 90
    )


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


def _headed(browser: Browser, heading: str) -> bool:
    return browser.find("h1").text == heading


def _look_at_everything(browser: Browser, claim_path: str, order_id: str) -> None:
    browser.open("/dead-letters?all=1")
    group = browser.find("table.rows a").get_attribute("href") or ""
    screens = {
        "now": "/now",
        "claims": "/claims",
        "claim": claim_path,
        "todo": "/todo",
        "dead-letters": "/dead-letters?all=1",
        "dead-letter": group.removeprefix(browser.address),
        "policies": "/policies",
        "policy": "/policies/gejet-mall/1",
        "contract": "/contract",
        "contract-type": "/contract/claim.decided.v1",
        "audit": "/audit",
    }
    for language, heading in (("en", "Now"), ("vi", "Hiện tại"), ("fa", "اکنون")):
        browser.open("/now")
        browser.find(f'button[name="language"][value="{language}"]').click()
        browser.until(partial(_headed, browser, heading), "the language changed")
        assert browser.find("html").get_attribute("dir") == ("rtl" if language == "fa" else "ltr")
        for width in (WIDE, NARROW):
            for name, path in screens.items():
                browser.width(width)
                browser.open(path)
                browser.find("main h1")
                browser.check(f"{name}-{language}-{'wide' if width == WIDE else 'narrow'}")
    browser.find('button[name="theme"][value="dark"]').click()
    browser.until(lambda: browser.find("html").get_attribute("data-theme") == "dark", "the theme changed")
    for name in ("now", "claim", "todo", "claims"):
        browser.width(WIDE)
        browser.open(screens[name])
        browser.check(f"{name}-fa-dark")
    assert order_id
