"""See on a claim's page of the console what its customer was told: `ADMIN_PASSWORD=… see-a-letter.py ADDRESS`.

Signs in, looks for a claim with a letter, sees that its text is hidden, unmasks it, and prints the text.
Ends with 1 where no claim shows one within a minute.
"""

import html
import json
import os
import re
import sys
import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

ADDRESS = sys.argv[1]
BROWSER = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
LETTER = re.compile(r'<pre class="mail"[^>]*>(.*?)</pre>', re.DOTALL)


def ask(path: str, form: dict[str, str] | None = None, **headers: str) -> str:
    """The answer to GET, or to POST where there is a form."""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(ADDRESS + path, data, headers)  # noqa: S310 - the address comes from who calls
    with BROWSER.open(request, timeout=20) as answer:
        said: str = answer.read().decode()
        return said


def letters(page: str) -> list[str]:
    """The texts of the letters on a page."""
    return [html.unescape(text) for text in LETTER.findall(page)]


token = re.search(r'name="token" value="([^"]+)"', ask("/sign-in"))
assert token is not None, "the form to sign in has no token"
password = os.environ["ADMIN_PASSWORD"].strip()
ask("/sign-in", {"name": "admin", "password": password, "token": token[1], "next": "/now"})
csrf = json.loads(ask("/me", accept="application/json"))["csrf"]
until = time.monotonic() + 60
while time.monotonic() < until:
    for claim in json.loads(ask("/claims.json"))["claims"]:
        path = (
            f"/claims/{urllib.parse.quote(claim['merchant'], safe='')}/{urllib.parse.quote(claim['claim_id'], safe='')}"
        )
        assert not letters(ask(path)), "a text is shown before it is unmasked"
        names = {"csrf": csrf, "merchant": claim["merchant"], "claim_id": claim["claim_id"]}
        told = [text for text in letters(ask("/unmask", names)) if claim["order_id"] in text]
        if told:
            print(f"{ADDRESS}{path}\n{told[0]}")
            sys.exit(0)
    time.sleep(1)
sys.exit("no claim shows a letter")
