"""A mail server that takes everything and keeps nothing: what a real one costs is not the pipeline's.

`python -m bench.sink PARENT` prints the address it listens on; it ends with its parent.
"""

import asyncio
import os
import sys


class Taking(asyncio.Protocol):
    """Answers as an SMTP server that is always content."""

    def __init__(self) -> None:
        self._buffer = b""
        self._reading_mail = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            if self._reading_mail:
                _mail, end, rest = self._buffer.partition(b"\r\n.\r\n")
                if not end:
                    return
                self._buffer, self._reading_mail = rest, False
                self._transport.write(b"250 OK\r\n")
                continue
            line, end, rest = self._buffer.partition(b"\r\n")
            if not end:
                return
            self._buffer = rest
            self._answer(line[:4].upper())

    def _answer(self, verb: bytes) -> None:
        if verb == b"EHLO":
            self._transport.write(b"250-sink\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n250 PIPELINING\r\n")
        elif verb == b"DATA":
            self._reading_mail = True
            self._transport.write(b"354 go on\r\n")
        elif verb == b"QUIT":
            self._transport.write(b"221 bye\r\n")
            self._transport.close()
        else:
            self._transport.write(b"250 OK\r\n")


async def main(parent: int) -> None:
    server = await asyncio.get_running_loop().create_server(Taking, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"{host}:{port}", flush=True)
    while os.getppid() == parent:  # noqa: ASYNC110 - a parent's death sets no event
        await asyncio.sleep(1.0)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
