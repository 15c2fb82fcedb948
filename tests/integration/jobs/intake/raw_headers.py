"""Message properties with headers that pika would neither write nor read."""

import struct
from typing import Any

import pika

FAR = b"\x03farT" + struct.pack(">Q", 2**62)
"""A time beyond what Python can tell."""


def deep(levels: int) -> bytes:
    """Return a field of tables in tables."""
    field = b"\x01xV"
    for _ in range(levels):
        field = b"\x01xF" + struct.pack(">I", len(field)) + field
    return field


class RawHeaders(pika.BasicProperties):
    """Properties whose table of headers holds exactly these encoded fields.

    Of the other properties, those are sent that a request has.
    """

    def __init__(self, fields: bytes, **also: Any) -> None:
        super().__init__(**also)
        self.fields = fields

    def encode(self) -> list[bytes]:
        """Encode them (AMQP 0-9-1 §4.2.6.1), with the table after the content type."""
        flags = self.FLAG_HEADERS
        before, after = b"", b""
        if self.content_type is not None:
            flags |= self.FLAG_CONTENT_TYPE
            before = _short(self.content_type)
        if self.delivery_mode is not None:
            flags |= self.FLAG_DELIVERY_MODE
            after += bytes([int(self.delivery_mode)])
        if self.correlation_id is not None:
            flags |= self.FLAG_CORRELATION_ID
            after += _short(self.correlation_id)
        if self.reply_to is not None:
            flags |= self.FLAG_REPLY_TO
            after += _short(self.reply_to)
        if self.user_id is not None:
            flags |= self.FLAG_USER_ID
            after += _short(self.user_id)
        table = struct.pack(">I", len(self.fields)) + self.fields
        return [struct.pack(">H", flags), before, table, after]


def _short(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogateescape")
    return bytes([len(encoded)]) + encoded
