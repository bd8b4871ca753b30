"""`claims replay --verify` and `claims policy backtest` on what the running pipeline has really recorded."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.reading import all_of
from tests.e2e.test_event_tools import claims
from tests.stack import Message, Received, Stack, event
from tests.versions import gejet_at_5_percent

WITHDRAWN, OUT_OF_STOCK, LATE = 3, 2, 1


def order_and_claim(ids: dict[str, str], price: str, reason: str, reported: str) -> Iterable[Message]:
    """One unit at that price with 150,000 shipping and a fee of 50,000, delivered, and claimed unopened."""
    paid = str(int(price) + 200_000)
    order = {"merchant": ids["merchant"], "order_id": ids["order_id"]}
    yield event(
        "order.placed.v1",
        order
        | {
            "placed_at": "2026-11-01T09:00:00+03:30",
            "currency": "IRR",
            "customer": {"customer_id": "k"},
            "lines": [{"line_id": "1", "sku": "S", "title": "T", "quantity": 1, "unit_price": price}],
            "discount": "0",
            "shipping": {"amount": "150000", "carrier": "post", "collect": False},
            "transaction_fee": "50000",
            "payments": [{"payment_id": "p", "provider": "card", "amount": paid}],
        },
    )
    yield event("order.delivered.v1", order | {"received_at": "2026-11-02T09:00:00+03:30"})
    lines = [{"line_id": "1", "quantity": 1}]
    told = {"channel": "web", "reason": reason, "reported_at": reported, "lines": lines}
    yield event("claim.submitted.v1", ids | told | {"facts": {"packaging_opened": False}})
    if reason == "withdrawal":
        back = {"return_id": f"{ids['claim_id']}-r", "received_at": "2026-11-05T09:00:00+03:30", "lines": lines}
        yield event("return.received.v1", ids | back | {"inspection": {"packaging_opened": False}})


def published(run: str) -> Iterable[Message]:
    kinds = [("withdrawal", "2026-11-02T20:00:00+03:30")] * WITHDRAWN
    kinds += [("out_of_stock", "2026-11-02T20:00:00+03:30")] * OUT_OF_STOCK
    kinds += [("withdrawal", "2026-11-09T20:00:00+03:30")] * LATE
    for number, (reason, reported) in enumerate(kinds):
        ids = {"merchant": "gejet-mall", "order_id": f"{run}-o{number}", "claim_id": f"{run}-c{number}"}
        yield from order_and_claim(ids, str(1_000_000 * (number + 1)), reason, reported)


async def at_once(*arguments: object) -> tuple[int, str]:
    """Run a command in this process; exit status and output."""
    runner = CliRunner(env={"COLUMNS": "200"})
    result = await asyncio.to_thread(runner.invoke, app, [str(one) for one in arguments])
    return result.exit_code, result.output


@pytest.mark.timeout(300)
async def test_replay_is_clean_and_finds_what_was_changed_and_a_version_is_tried(
    stack: Stack, unique: str, tmp_path: Path
) -> None:
    await stack.publish(published(unique))
    count = WITHDRAWN + OUT_OF_STOCK + LATE

    def mine(one: Received) -> bool:
        return one.type == "claim.decided.v1" and one.data["claim_id"].startswith(f"{unique}-c")

    await stack.collect("decisions.v1", lambda found: len(found) >= count, match=mine, limit=60)
    await stack.quiet()
    export = await exported(stack, tmp_path)
    await replayed(stack, export, unique)
    await tried(stack, export, unique, gejet_at_5_percent(tmp_path))


async def exported(stack: Stack, folder: Path) -> Path:
    """The pipeline's own topics as `claims listen` prints them."""
    names = ("admissions.v1", "assessments.v1", "decisions.v1", "refunds.v1")
    there = len(await all_of(stack.kafka, names))
    status, out, err = await claims(
        "listen", *names, "--json", "--from-start", "--count", str(there), "--kafka", stack.kafka
    )
    assert status == 0, err
    return written(folder / "topics.jsonl", out)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def lines_of(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


async def replayed(stack: Stack, export: Path, run: str) -> None:
    """Nothing differs, from the topics and from the file; a decision changed in the file is shown, and only it."""
    for source in (("--kafka", stack.kafka), ("--from", export)):
        status, out = await at_once("replay", "--verify", *source)
        assert status == 0, out
        assert "came out the same, to the byte" in out
    lines = [json.loads(line) for line in lines_of(export)]
    decided = next(
        one for one in lines if one["topic"] == "decisions.v1" and one["data"].get("claim_id") == f"{run}-c0"
    )
    # 2.5 % of 1,200,000 paid is 30,000.
    assert decided["data"]["refund"]["amount"] == "970000"
    decided["data"]["refund"]["amount"] = "980000"
    tampered = written(export.with_name("tampered.jsonl"), "".join(json.dumps(one) + "\n" for one in lines))
    status, out = await at_once("replay", "--verify", "--from", tampered)
    assert status == 1
    assert f"order gejet-mall/{run}-o0" in out
    assert "$.refund.amount" in out
    assert "recorded: 980000" in out
    assert "replayed: 970000" in out
    assert "1 difference(s)" in out


async def tried(stack: Stack, export: Path, run: str, version: Path) -> None:
    """5 % in place of 2.5 % keeps another 2.5 % of what was paid: of 1,200,000, 2,200,000 and 3,200,000."""
    expected = {
        f"{run}-c0": ("970000", "940000", "-30000"),
        f"{run}-c1": ("1945000", "1890000", "-55000"),
        f"{run}-c2": ("2920000", "2840000", "-80000"),
    }
    for source in (("--kafka", stack.kafka), ("--from", export)):
        found = await backtested(version, *source)
        assert {
            one["claim_id"]: (one["from"]["amount"], one["to"]["amount"], one["difference"])
            for one in found["changed"]
            if one["claim_id"].startswith(f"{run}-c")
        } == expected
    lines = [line for line in lines_of(export) if f"{run}-o" in line]
    own = written(export.with_name("own.jsonl"), "\n".join(lines))
    found = await backtested(version, "--from", own)
    # Refunded by hand: 970,000 + 1,945,000 + 2,920,000, and 4,200,000 + 5,200,000 out of stock; one came too late.
    assert found["total"] == {
        "claims": 6, "changed": 3, "before": "15235000", "after": "15070000", "difference": "-165000",
    }  # fmt: skip
    assert [(one["reason"], one["changed"], one["difference"]) for one in found["by_reason"]] == [
        ("out_of_stock", 0, "0"),
        ("withdrawal", 3, "-165000"),
    ]
    assert await backtested(version, "--from", own, "--since", "2026-11-09") | {"speed": {}, "policy": {}} == {
        "policy": {},
        "since": "2026-11-09T00:00:00+00:00",
        "currency": "IRR",
        "total": {"claims": 1, "changed": 0, "before": "0", "after": "0", "difference": "0"},
        "changes": [],
        "by_reason": [
            {"reason": "withdrawal", "claims": 1, "changed": 0, "before": "0", "after": "0", "difference": "0"}
        ],
        "changed": [],
        "speed": {},
    }


async def backtested(version: Path, *arguments: object) -> Any:
    status, out = await at_once("policy", "backtest", version, *arguments, "--json")
    assert status == 0, out
    return json.loads(out)
