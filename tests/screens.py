"""Pictures of every screen, from a running stack: `make up`, the sample day (`claims demo --against …`) into it, then
`python -m tests.screens .makegood docs/screens`. Each is checked as in the browser test before its picture is taken.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cli.stack import state
from cli.stack.folders import DataFolder
from tests.browser import chromium, look_at_everything, try_the_policy

CLAIM = "gm-029"
"""Of the sample day: a withdrawal, refunded less what its clauses take off."""


def main(data: str, folder: str) -> int:
    """Take them; 0, or 1 where no stack runs in the data folder."""
    told = state.read(DataFolder.at(Path(data)).state)
    if told is None or told.console is None or told.console_password is None:
        print(f"no stack with a console is running in {data}", file=sys.stderr)
        return 1
    keep = Path(folder)
    keep.mkdir(parents=True, exist_ok=True)
    for old in keep.glob("*.png"):
        old.unlink()
    password = Path(told.console_password).read_text("utf-8").strip()
    with chromium(told.console, keep) as browser:
        browser.sign_in(password)
        try_the_policy(browser)
        browser.open("/claims?merchant=gejet-mall&reason=withdrawal")
        claim_path = browser.find(f'a[href*="/{CLAIM}"]').get_attribute("href") or ""
        look_at_everything(browser, claim_path.removeprefix(browser.address))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
