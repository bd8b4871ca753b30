"""Dead letters from the command line, on a running pipeline."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import MakeStack
from tests.stack import Stack, event, eventually

CLAIMS = str(Path(sys.executable).with_name("claims"))


def dlq(stack: Stack, *arguments: str, status: int = 0) -> str:
    command = [CLAIMS, "dlq", *arguments, "--data", str(stack.plan.data.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def listed(stack: Stack, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dlq(stack, "ls", "--json", *arguments))
    return found


async def test_look_redrive_and_drop(make_stack: MakeStack, unique: str) -> None:
    stack = make_stack()
    order = {"merchant": "gejet-mall", "order_id": f"{unique}-o", "received_at": "yesterday"}
    await stack.publish(event("order.delivered.v1", order | {"order_id": f"{unique}-{n}"}) for n in range(3))
    await stack.publish([event("claim.submitted.v1", {"note": "\x1b[2Jboo"})])
    await eventually(lambda: len(listed(stack)) == 4, 30, every=0.5, why="four dead letters")
    letters = listed(stack)

    bad_instant = next(x["fingerprint"] for x in letters if x["type"] == "order.delivered.v1")
    assert {x["path"] for x in letters if x["fingerprint"] == bad_instant} == {"$.received_at"}
    text = dlq(stack, "ls")
    assert "3 × intake could not take order.delivered.v1 of orders.v1" in text
    (claim,) = (x["id"] for x in letters if x["type"] == "claim.submitted.v1")
    assert "\x1b" not in dlq(stack, "show", claim)

    assert "3 dead letters would be redriven" in dlq(stack, "redrive", "--fingerprint", bad_instant, "--dry-run")
    assert len(listed(stack)) == 4
    assert "3 dead letters redriven" in dlq(stack, "redrive", "--fingerprint", bad_instant)

    def died_again() -> bool:
        return [x["attempts"] for x in listed(stack, "--fingerprint", bad_instant)] == [2, 2, 2]

    await eventually(died_again, 30, every=0.5, why="what is still bad dies again, counted")
    assert len(listed(stack, "--state", "redriven")) == 3

    assert "needs a reason" in await asyncio.to_thread(dlq, stack, "drop", claim, "--reason", " ", status=2)
    assert "1 dead letter dropped" in dlq(stack, "drop", claim, "--reason", "a test", "--by", "mina")
    (dropped,) = listed(stack, "--state", "dropped")
    assert (dropped["id"], dropped["closed_by"], dropped["closed_reason"]) == (claim, "mina", "a test")
    assert "0 dead letters" in dlq(stack, "drop", claim, "--reason", "again", status=1)
