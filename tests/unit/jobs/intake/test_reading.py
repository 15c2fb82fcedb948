import struct

import pika
import pytest

from tests.integration.jobs.intake.raw_headers import FAR, RawHeaders, deep
from workers.jobs.intake.reading import TolerantConnection, UnreadableHeaders, read_without_headers

KNOWN = {
    "content_type": "application/json",
    "user_id": "crm",
    "reply_to": "keywright.reply.crm",
    "correlation_id": "7",
    "delivery_mode": 2,
}


def header_frame(properties: pika.BasicProperties, body_size: int = 5) -> bytes:
    payload = struct.pack(">HHQ", 60, 0, body_size) + b"".join(properties.encode())
    return struct.pack(">BHL", 2, 3, len(payload)) + payload + b"\xce"


@pytest.mark.parametrize("fields", [FAR, deep(2000)], ids=range(2))
def test_properties_are_read_where_headers_cannot_be(fields: bytes) -> None:
    data = header_frame(RawHeaders(fields, **KNOWN))
    size, read = TolerantConnection._read_frame(_Buffer(data + b"the next frame"))  # type: ignore[arg-type]
    assert size == len(data)
    assert isinstance(read, pika.frame.Header)
    assert (read.channel_number, read.body_size) == (3, 5)
    assert isinstance(read.properties, UnreadableHeaders)
    assert {name: getattr(read.properties, name) for name in KNOWN} == KNOWN


def test_what_pika_can_read_is_left_to_it() -> None:
    data = header_frame(pika.BasicProperties(headers={"a": 1}, **KNOWN))  # type: ignore[arg-type]
    _, read = TolerantConnection._read_frame(_Buffer(data))  # type: ignore[arg-type]
    assert isinstance(read, pika.frame.Header)
    assert type(read.properties) is pika.BasicProperties
    assert read.properties.headers == {"a": 1}


def test_a_frame_that_has_not_come_whole_is_waited_for() -> None:
    data = header_frame(RawHeaders(FAR, **KNOWN))
    assert TolerantConnection._read_frame(_Buffer(data[:-1])) == (0, None)  # type: ignore[arg-type]


def test_a_stream_out_of_step_ends_the_connection() -> None:
    data = header_frame(RawHeaders(FAR, **KNOWN))[:-1] + b"x"
    with pytest.raises(pika.exceptions.InvalidFrameError):
        TolerantConnection._read_frame(_Buffer(data))  # type: ignore[arg-type]


def test_the_content_encoding_is_stepped_over() -> None:
    encoded = struct.pack(">H", 0xE010) + b"\x01t\x04gzip" + struct.pack(">I", len(FAR)) + FAR
    payload = struct.pack(">HHQ", 60, 0, 5) + encoded + b"\x03crm"
    data = struct.pack(">BHL", 2, 3, len(payload)) + payload + b"\xce"
    _, read = read_without_headers(data)
    assert (read.properties.content_encoding, read.properties.user_id) == ("gzip", "crm")


class _Buffer:
    """What the hook sees of a connection."""

    def __init__(self, data: bytes) -> None:
        self._frame_buffer = data
