"""A program in a service's place: answers /ready, and drains on SIGTERM.

STANDIN_STUBBORN makes it ignore SIGTERM, STANDIN_STATUS end at once with that status.
"""

import asyncio
import json
import os
import signal
import sys


async def main() -> int:
    ready = True

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"assigned": ready, "running": ready}).encode()
        writer.write(b"HTTP/1.0 " + (b"200 OK" if ready else b"503 No") + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    if status := os.environ.get("STANDIN_STATUS"):
        print("ending at once")
        return int(status)
    server = await asyncio.start_server(answer, "127.0.0.1", int(os.environ["MAKEGOOD_HEALTH_PORT"]))
    asked = asyncio.Event()
    if os.environ.get("STANDIN_STUBBORN"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print, "not now")
    else:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    print(f"replica {os.environ['MAKEGOOD_REPLICA']} up")
    await asked.wait()
    ready = False
    print("drained")
    server.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
