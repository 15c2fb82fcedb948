"""Just enough BER and DER (X.690 §8) to walk to a field; what a field means is not known here."""

from collections.abc import Iterator
from typing import NamedTuple

_MAX_DEPTH = 32
# Of things nested without a stated length, which have to be walked to find their end.
_MAX_ELEMENTS = 250_000
_MAX_OID_BYTES = 64
_GOES_ON = 0x80  # in a tag or an object identifier: another byte follows
_LONG_TAG = 0x1F
_UNSTATED = 0x80

INTEGER, BIT_STRING, OCTET_STRING, OID = 0x02, 0x03, 0x04, 0x06
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31
# Context-specific tags [0] and [3] of constructed values.
CONTEXT_0, CONTEXT_3 = 0xA0, 0xA3


class MalformedError(ValueError):
    """The bytes are not what they should be; the text says how, ``how_to_fix`` what helps."""

    def __init__(self, what: str, how_to_fix: str = "ask its issuer for an intact one") -> None:
        super().__init__(what)
        self.how_to_fix = how_to_fix


class Element(NamedTuple):
    """One tag-length-value within ``source``; the offsets count from its beginning."""

    source: bytes
    tag: int
    start: int
    content_start: int
    content_end: int
    end: int

    @property
    def content(self) -> bytes:
        """The value alone."""
        return self.source[self.content_start : self.content_end]

    @property
    def encoded(self) -> bytes:
        """Tag, length and value."""
        return self.source[self.start : self.end]

    def children(self) -> Iterator["Element"]:
        """Yield the elements within, each read only when asked for.

        Raises:
            MalformedError: the next one does not fit in here.
        """
        at = self.content_start
        while at < self.content_end:
            child = read_element(self.source, at, self.content_end)
            yield child
            at = child.end


def read_element(source: bytes, at: int = 0, limit: int | None = None) -> Element:
    """Return the element that begins at ``at`` and ends at ``limit`` at the latest.

    Raises:
        MalformedError: there is none.
    """
    return _Walk(source).read(at, len(source) if limit is None else limit, 0)


def oid_text(content: bytes) -> str:
    """Return the dotted form of an object identifier's value, such as ``2.5.4.3`` (X.690 §8.19).

    Raises:
        MalformedError: it is empty, cut off or longer than any in use.
    """
    if not 0 < len(content) <= _MAX_OID_BYTES or content[-1] & _GOES_ON:
        raise MalformedError("an object identifier cannot be read")
    numbers: list[int] = []
    number = 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & _GOES_ON:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(each) for each in (first, numbers[0] - 40 * first, *numbers[1:]))


class _Walk:
    """One reading of ``source``, which counts its steps so that it ends in bounded time."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._elements = 0

    def read(self, at: int, limit: int, depth: int) -> Element:
        source = self._source
        cursor = at + 1
        if at < limit and source[at] & _LONG_TAG == _LONG_TAG:  # §8.1.2.4
            while cursor < limit and source[cursor] & _GOES_ON:
                cursor += 1
            cursor += 1
        if cursor >= limit:
            raise MalformedError("it is cut off", "copy it again as a whole")
        length = source[cursor]
        cursor += 1
        if length == _UNSTATED:
            return self._read_until_end_mark(at, cursor, limit, depth)
        if length > _UNSTATED:
            size = length & 0x7F
            length = int.from_bytes(source[cursor : min(cursor + size, limit)], "big")
            cursor += size
        end = cursor + length
        if end > limit:
            # A damaged length may claim anything.
            claimed = f" of {end - at:,}" if end - at < 1 << 32 else ""
            raise MalformedError(
                f"it is cut off: {limit - at:,}{claimed} bytes are there",
                "copy it again as a whole",
            )
        return Element(source, source[at], at, cursor, end, end)

    def _read_until_end_mark(self, at: int, cursor: int, limit: int, depth: int) -> Element:
        content_start = cursor
        while self._source[cursor : min(cursor + 2, limit)] != b"\0\0":
            self._elements += 1
            if depth >= _MAX_DEPTH or self._elements > _MAX_ELEMENTS:
                raise MalformedError("it is nested too deep or has too many parts")
            cursor = self.read(cursor, limit, depth + 1).end
        return Element(self._source, self._source[at], at, content_start, cursor, cursor + 2)
