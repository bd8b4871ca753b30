"""`claims demo --against`, `publish`, `where` and `listen` on the running pipeline, as a person calls them."""

import asyncio
import json
import os
import sys

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.sample.day import FILES
from tests.stack import Stack, eventually


async def at_once(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """Run a command that waits for nobody's signals, in this process."""
    result = await asyncio.to_thread(CliRunner(env={"COLUMNS": "120"}).invoke, app, arguments, stdin)
    return result.exit_code, result.stdout, result.stderr


async def claims(*arguments: str, limit: float = 90) -> tuple[int, str, str]:
    """Run the command as a process of its own; exit status, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
    )
    try:
        async with asyncio.timeout(limit):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.timeout(240)
async def test_the_sample_day_ends_as_it_should_again_and_again(stack: Stack) -> None:
    for _ in range(2):
        status, out, err = await claims("demo", "--against", stack.kafka)
        assert status == 0, out[-3000:] + err
        assert "claims ended as the sample says" in out
        assert "gm-028  gejet-mall withdrawal                refund         76,537,500 IRR GN2 GN4" in out
        assert "hk-013  hakago     missing_quantity          refund            776,667 VND HQ.2" in out
        assert "12 of 12 bad inputs" in out


async def test_publish_then_where_then_listen(stack: Stack, unique: str) -> None:
    first = [json.loads((FILES / name).read_text().splitlines()[0]) for name in ("1-orders.jsonl", "3-claims.jsonl")]
    order, claim = f"{unique}-o", f"{unique}-c"
    lines = []
    for event in first:
        event["data"] |= {"order_id": order} | ({"claim_id": claim} if "claim_id" in event["data"] else {})
        event["data"] |= {"reason": "out_of_stock"} if "reason" in event["data"] else {}
        lines.append(json.dumps({"type": event["type"], "data": event["data"]}, ensure_ascii=False))
    for _ in range(2):  # the second time without effect, since the ids are made from what is said
        status, out, err = await at_once("publish", "-", "--kafka", stack.kafka, stdin="\n".join(lines))
        assert (status, err) == (0, "")
        assert "2 events published" in out
        await stack.quiet()

    async def told() -> bool:
        _, out, _ = await at_once("where", claim, "--kafka", stack.kafka)
        return "notification.sent: decided" in out

    await eventually(told, 30, why="the customer is told")
    status, out, _ = await at_once("where", claim, "--kafka", stack.kafka)
    assert status == 0
    assert f"Claim {claim} of gejet-mall, order {order}: decided: refund" in out.splitlines()[0]
    for word in ("order.placed", "claim.submitted", "claim.admitted", "claim.assessed", "GN4b", "refund.instructed"):
        assert word in out
    assert out.count("claim.admitted") == 1

    status, out, _ = await at_once("where", claim, "--kafka", stack.kafka, "--json", "--merchant", "gejet-mall")
    shown = json.loads(out)
    assert (status, shown["end"], shown["order_ids"]) == (0, "decided: refund", [order])
    assert [each["headers"]["ce_type"] for each in shown["events"]].count("claim.decided.v1") == 1
    contact = first[0]["data"]["customer"]["email"]
    assert contact not in out
    _, out, _ = await at_once("where", claim, "--kafka", stack.kafka, "--json", "--merchant", "gejet-mall", "--unmask")
    assert contact in out

    status, _, err = await at_once("where", claim, "--kafka", stack.kafka, "--merchant", "hakago")
    assert status == 1
    assert "nothing is known" in err

    status, out, _ = await at_once(
        "listen", "refunds.v1", "--kafka", stack.kafka, "--from-start", "--json", "--for", "6"
    )
    assert status == 0
    ours = [each for line in out.splitlines() if (each := json.loads(line))["data"]["claim_id"] == claim]
    assert [each["data"]["amount"] for each in ours] == ["79400000"]


async def test_two_merchants_with_the_same_claim_id_are_told_apart(stack: Stack, unique: str) -> None:
    claim = f"{unique}-same"
    for merchant in ("gejet-mall", "hakago"):
        event = json.loads((FILES / "3-claims.jsonl").read_text().splitlines()[0])
        event["data"] |= {"claim_id": claim, "order_id": f"{unique}-{merchant}", "merchant": merchant}
        line = json.dumps({"type": event["type"], "data": event["data"]})
        assert (await at_once("publish", "-", "--kafka", stack.kafka, stdin=line))[0] == 0
    await stack.quiet()
    status, _, err = await at_once("where", claim, "--kafka", stack.kafka)
    assert status == 1
    assert "gejet-mall, hakago have a claim" in err
    status, out, _ = await at_once("where", claim, "--kafka", stack.kafka, "--merchant", "hakago")
    assert status == 0
    assert out.splitlines()[0].endswith(": parked")
    assert "gejet-mall" not in out
