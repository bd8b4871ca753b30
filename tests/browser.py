"""Chromium, what a person does with it, and every screen of the console looked at.

Needs Debian's `chromium` and `chromium-driver`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.untranslated import left_in_english

AXE = (Path(__file__).parent / "e2e" / "vendor" / "axe.min.js").read_text("utf-8")
WIDE, NARROW = 1280, 400
HIGHEST = 16_000
"""Pixels of a picture; what is below is left out of it."""
LIMIT = 40.0
HEADINGS = {"en": "Now", "vi": "Hiện tại", "fa": "اکنون"}


@dataclass
class Browser:
    """Chromium, and what a person does with it."""

    driver: webdriver.Chrome
    address: str
    keep: Path | None = None
    """Folder of the pictures; None: none are kept."""

    def open(self, path: str) -> None:
        self.driver.get(self.address + path)

    def width(self, pixels: int) -> None:
        self._size(pixels, 900)

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

    def sign_in(self, password: str) -> None:
        self.open("/todo")
        assert "/sign-in" in self.driver.current_url
        self.find("#name").send_keys("admin")
        self.find("#password").send_keys(password)
        self.find("button.main").click()
        self.until(lambda: self.driver.current_url.endswith("/todo"), "signed in")

    def sign_out(self) -> None:
        self.find("form.who button").click()
        self.until(lambda: self.driver.find_elements(By.CSS_SELECTOR, "#password"), "signed out")

    def speak(self, language: str) -> None:
        """Choose a language on the page that is open."""
        self.find(f'button[name="language"][value="{language}"]').click()
        self.until(lambda: self.find("html").get_attribute("lang") == language, "the language changed")
        assert self.find("html").get_attribute("dir") == ("rtl" if language == "fa" else "ltr")

    def theme(self, name: str) -> None:
        """Choose light or dark on the page that is open."""
        self.find(f'button[name="theme"][value="{name}"]').click()
        self.until(lambda: self.find("html").get_attribute("data-theme") == name, "the theme changed")

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
        if self.keep is not None:
            self._size(
                there, min(int(self.driver.execute_script("return document.documentElement.scrollHeight")), HIGHEST)
            )
            self.driver.save_screenshot(str(self.keep / f"{name}.png"))

    def _size(self, wide: int, high: int) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": wide, "height": high, "deviceScaleFactor": 1, "mobile": False},
        )


@contextmanager
def chromium(address: str, keep: Path | None = None) -> Iterator[Browser]:
    """A browser of its own; nothing that it loads may offend against the content security policy."""
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
        yield Browser(driver, address, keep)
        log = driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's own stubs
        complaints = [str(entry["message"]) for entry in log]
        assert not [message for message in complaints if "Content Security Policy" in message]
    finally:
        driver.quit()


def screens(browser: Browser, claim_path: str) -> dict[str, str]:
    """Every screen behind the sign-in, by name: its path. Needs a dead letter."""
    browser.open("/dead-letters?all=1")
    group = browser.find("table.rows a").get_attribute("href") or ""
    return {
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
        "error": "/claims/gejet-mall/nobody-s-claim",
    }


def try_the_policy(browser: Browser) -> None:
    """A backtest of the version in force on what the pipeline has recorded: it runs beside, and its result stays."""
    browser.open("/policies/gejet-mall/1")
    browser.find("#days option[value='0']").click()
    browser.find("#backtest form button.main").click()
    browser.until(
        lambda: "would have ended otherwise" in browser.find("#backtest-result").text, "the backtest's result", 90
    )


def look_at_everything(browser: Browser, claim_path: str) -> None:
    """Check every screen: wide and narrow in each language, dark in the one that is written from the right, and at last
    the sign-in. The browser is signed in, and is not any more afterwards."""
    paths = screens(browser, claim_path)
    for language, heading in HEADINGS.items():
        browser.open("/now")
        browser.speak(language)
        browser.until(partial(_headed, browser, heading), "the words changed")
        for width in (WIDE, NARROW):
            for name, path in paths.items():
                _look(browser, name, path, language, width)
    browser.theme("dark")
    for name, path in paths.items():
        _look(browser, name, path, "fa", WIDE, "dark")
    browser.open("/now")
    browser.sign_out()
    _look(browser, "sign-in", "/sign-in", "fa", WIDE, "dark")
    browser.theme("light")
    for language in HEADINGS:
        browser.speak(language)
        for width in (WIDE, NARROW):
            _look(browser, "sign-in", "/sign-in", language, width)


def _look(browser: Browser, name: str, path: str, language: str, width: int, how: str = "") -> None:
    browser.width(width)
    browser.open(path)
    browser.find("main h1")
    assert language == "en" or left_in_english(browser.driver.page_source, language) == [], (name, language)
    browser.check(f"{name}-{language}-{how or ('wide' if width == WIDE else 'narrow')}")


def _headed(browser: Browser, heading: str) -> bool:
    return browser.find("h1").text == heading
