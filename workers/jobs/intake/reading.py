"""A connection that delivers every message, also one whose headers pika cannot read.

pika 1.4 reads headers as they arrive, and what it cannot read (a time beyond the year 9999, very
deep tables) ends the connection. The message would come again and end the next one, and with
each end count up the deliveries of all that were prefetched, until innocent ones are put aside.
"""

import struct

import pika
import pika.exceptions
from pika import frame, spec
from pika.adapters.select_connection import SelectConnection

_HEADER_AT = 12  # of the properties, in a frame: after class, weight and body size (AMQP §4.2.6.1)


class UnreadableHeaders(pika.BasicProperties):
    """The properties of a message, without its headers: these could not be read."""


class TolerantConnection(SelectConnection):
    """Overrides a private hook of pika 1.4, which its tests would miss."""

    def _read_frame(self) -> "tuple[int, frame.Frame | frame.ProtocolHeader | None]":
        data: bytes = self._frame_buffer  # type: ignore[attr-defined]
        try:
            return frame.decode_frame(data)
        except pika.exceptions.InvalidFrameError:
            raise
        except Exception:  # whatever it is that pika stumbles over
            if data[0] != spec.FRAME_HEADER:
                raise
            return read_without_headers(data)


def read_without_headers(data: bytes) -> tuple[int, frame.Header]:
    """Read a whole content header frame, but for the table of headers in it."""
    _, channel_number, size = struct.unpack_from(">BHL", data)
    end = spec.FRAME_HEADER_SIZE + size
    content = data[spec.FRAME_HEADER_SIZE : end]
    (body_size,) = struct.unpack_from(">Q", content, 4)
    properties = UnreadableHeaders()
    properties.decode(_without_headers(content[_HEADER_AT:]))
    return end + spec.FRAME_END_SIZE, frame.Header(channel_number, body_size, properties)


def _without_headers(encoded: bytes) -> bytes:
    (flags,) = struct.unpack_from(">H", encoded)
    at = 2
    for flag in (
        spec.BasicProperties.FLAG_CONTENT_TYPE,
        spec.BasicProperties.FLAG_CONTENT_ENCODING,
    ):
        if flags & flag:
            at += 1 + encoded[at]  # a short string: its length, and that many bytes
    (size,) = struct.unpack_from(">L", encoded, at)
    return encoded[:at] + bytes(4) + encoded[at + 4 + size :]
