"""As little of SMTP (RFC 5321) as a well-behaved client can do with."""

import asyncio
from typing import Protocol

_END_OF_LINE = b"\r\n"
_END_OF_MESSAGE = b"\r\n.\r\n"


class Counter(Protocol):
    """A number that processes share."""

    value: int


class BareSmtp(asyncio.Protocol):
    """One connection: says yes to every command and counts the messages."""

    def __init__(self, count: Counter) -> None:
        self._count = count
        self._received = bytearray()
        self._in_message = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            end = _END_OF_MESSAGE if self._in_message else _END_OF_LINE
            at = self._received.find(end)
            if at < 0:
                return
            line = bytes(self._received[: min(at, 4)])
            del self._received[: at + len(end)]
            if self._in_message:
                self._in_message = False
                self._count.value += 1
                self._transport.write(b"250 OK\r\n")
            else:
                self._answer(line.upper())

    def _answer(self, command: bytes) -> None:
        match command:
            case b"EHLO":
                self._transport.write(
                    b"250-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n"
                )
            case b"DATA":
                self._in_message = True
                self._transport.write(b"354 Go on\r\n")
            case b"QUIT":
                self._transport.write(b"221 Bye\r\n")
                self._transport.close()
            case _:
                self._transport.write(b"250 OK\r\n")
