"""What a service's /ready says."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from cli.stack.ports import HOST
from cli.stack.state import Condition

LIMIT = 2.0
ANSWER_BYTES = 64 * 1024


async def ask(port: int, path: str = "/ready") -> tuple[int, dict[str, Any]] | None:
    """Status and facts of one answer; None when there is none within the limit."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(LIMIT):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
            await writer.drain()
            answer = await reader.read(ANSWER_BYTES)
            while chunk := await reader.read(ANSWER_BYTES):
                answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        facts = json.loads(body)
        return int(head.split()[1]), facts if isinstance(facts, dict) else {}
    except (OSError, TimeoutError, ValueError, IndexError):
        return None
    finally:
        if writer is not None:
            writer.close()


async def condition(port: int) -> Condition:
    """ready, draining or starting, as the process itself has it."""
    answer = await ask(port)
    if answer is None:
        return "starting"
    status, facts = answer
    if status == 200:
        return "ready"
    return "draining" if facts.get("running") is False else "starting"


def later(now: Condition, *, ready_before: bool) -> Condition:
    """The condition of a process that may have been ready before: then it is not starting, it is ready no more."""
    return "unready" if now == "starting" and ready_before else now
