"""A TCP proxy that misbehaves when told to: what a network does to a connection."""

import asyncio
import socket
import struct
from types import TracebackType
from typing import Self

from tests.servers.loop_thread import LoopThread
from tests.servers.ports import LOOPBACK, free_port

_CHUNK_BYTES = 65_536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, no time


class _Link:
    """One connection through the proxy: its two ends, and whether bytes of it were lost."""

    def __init__(self, *ends: asyncio.StreamWriter) -> None:
        self.ends = ends
        self.broken = False

    def reset(self) -> None:
        """Have both ends see "connection reset by peer"."""
        for end in self.ends:
            if not end.is_closing():
                raw: socket.socket = end.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            end.transport.abort()


class TcpProxy:
    """Forwards its ``port`` on loopback to a target, in a thread of its own.

    It runs from the moment it is made until ``close`` or the end of the ``with`` block.
    """

    def __init__(self, target_port: int, target_host: str = LOOPBACK) -> None:
        self.port = free_port()
        self._target = (target_host, target_port)
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._black_hole = False
        self._delay_seconds = 0.0
        self._thread = LoopThread("tcp-proxy")
        self._thread.run(self._listen())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def connections(self) -> int:
        """How many connections go through the proxy now."""
        return len(self._links)

    def cut(self) -> int:
        """Reset all connections, both ends of each, and return how many; new ones are taken."""
        return self._thread.run(self._reset(only_broken=False))

    def black_hole(self, on: bool) -> None:
        """Take connections and swallow what comes from either end, its closing included.

        When the hole closes, connections that lost something in it are reset.
        """
        self._black_hole = on
        if not on:
            self._thread.run(self._reset(only_broken=True))

    def refuse(self, on: bool) -> None:
        """Refuse new connections; those that are open stay."""
        self._thread.run(self._stop_listening() if on else self._listen())

    def delay(self, seconds: float) -> None:
        """Hold back what arrives, at most 64 KiB at a time, in either direction."""
        self._delay_seconds = seconds

    def close(self) -> None:
        """Reset all connections and stop listening; fine if that was done before."""
        if not self._thread.loop.is_closed():
            self.refuse(on=True)
            self.cut()
            self._thread.close()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _reset(self, *, only_broken: bool) -> int:
        links = [link for link in self._links if link.broken or not only_broken]
        for link in links:
            link.reset()
        self._links.difference_update(links)
        return len(links)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target_reader, target_writer = await asyncio.open_connection(*self._target)
        except OSError:
            _Link(writer).reset()
            return
        link = _Link(writer, target_writer)
        self._links.add(link)
        await asyncio.gather(
            self._forward(link, reader, target_writer), self._forward(link, target_reader, writer)
        )
        if not link.broken:
            for end in link.ends:
                end.close()
            self._links.discard(link)

    async def _forward(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        finish = writer.write_eof
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                await asyncio.sleep(self._delay_seconds)
                if self._black_hole:
                    link.broken = True
                else:
                    writer.write(chunk)
                    await writer.drain()
        except OSError:
            finish = link.reset
        if self._black_hole:
            link.broken = True
        else:
            finish()
