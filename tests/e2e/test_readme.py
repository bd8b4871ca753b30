"""What the README tells a newcomer to do, done."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

from tests.stack import Stack

ROOT = Path(__file__).parents[2]
LIMIT = 60


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, cwd=ROOT)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def test_the_python_example_gets_its_refund(stack: Stack, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(example.replace("127.0.0.1:9092", stack.kafka))
    printed = run(sys.executable, str(script))
    assert printed.startswith("pay back 6500000 IRR once, under ")


async def test_the_shell_example_goes_through(stack: Stack) -> None:
    claims = str(Path(sys.executable).with_name("claims"))
    await asyncio.to_thread(run, claims, "publish", "docs/first-claim.jsonl", "--kafka", stack.kafka)
    (refund,) = await stack.collect(
        "refunds.v1", lambda found: found, match=lambda r: r.data["claim_id"] == "first-claim"
    )
    assert refund.data["amount"] == "5837500", "6,000,000 less 2.5 % of the deposit of 6,500,000 (GN4)"
    way = await asyncio.to_thread(run, claims, "where", "first-claim", "--kafka", stack.kafka)
    assert "withdrawal" in way
    listed = await asyncio.to_thread(
        run, claims, "listen", "refunds.v1", "--from-start", "--json", "--for", "5", "--kafka", stack.kafka
    )
    assert "first-claim" in {json.loads(line)["data"]["claim_id"] for line in listed.splitlines()}
