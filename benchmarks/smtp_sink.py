"""A mail server that takes everything and keeps nothing, in a process of its own."""

import asyncio
import socket
import warnings
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Literal, Self

import aiosmtpd.smtp

from benchmarks.bare_smtp import BareSmtp, Counter

SinkKind = Literal["aiosmtpd", "bare"]
"""``aiosmtpd`` takes about half a millisecond of CPU time for a message, and one core is its limit;
``bare`` takes a tenth of that, so that the client is what is measured.
"""

HOST = "127.0.0.1"


class SinkProcess:
    """A running sink; ``port`` is on loopback.

    Use it as a context manager: the process ends with the block, or with its parent.
    """

    def __init__(self, kind: SinkKind = "aiosmtpd") -> None:
        context = get_context("spawn")
        self._count: Counter = context.Value("Q", 0, lock=False)
        ours, theirs = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_serve, args=(kind, self._count, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        self.port: int = ours.recv()

    def received(self) -> int:
        """Count the messages accepted so far."""
        return self._count.value

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.join()


class _CountingHandler:
    def __init__(self, count: Counter) -> None:
        self._count = count

    async def handle_DATA(self, *_: Any) -> str:  # noqa: N802  # aiosmtpd calls it by this name
        self._count.value += 1
        return "250 OK"


def _serve(kind: SinkKind, count: Counter, ready: Connection) -> None:
    # aiosmtpd uses attributes of its own that it has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    asyncio.run(_serve_forever(kind, count, ready))


async def _serve_forever(kind: SinkKind, count: Counter, ready: Connection) -> None:
    loop = asyncio.get_running_loop()
    handler = _CountingHandler(count)

    def connection() -> asyncio.BaseProtocol:
        if kind == "bare":
            return BareSmtp(count)
        protocol: asyncio.BaseProtocol = aiosmtpd.smtp.SMTP(handler, hostname="sink", loop=loop)
        return protocol

    server = await loop.create_server(connection, HOST, 0, backlog=socket.SOMAXCONN)
    ready.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()
