"""Row keys as bytes: the part of the associated data that says which row a value stands in.

Each key column is one element: its length, a tag for the kind of its type, and the value in one
canonical form. Types that Postgres compares and converts without loss share a tag, so widening an
integer or lengthening a varchar leaves every ciphertext readable. Pure.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias
from uuid import UUID

from workers.encryption.associated_data import with_length
from workers.errors import InvalidRequestError

RowEncoder: TypeAlias = Callable[[Sequence[Any]], bytes]
ColumnsEncoder: TypeAlias = Callable[[Sequence[Sequence[Any]]], list[bytes]]

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # for timestamps without a time zone
_EPOCH_UTC: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST_DIGITS: Final = 131072  # that a numeric has before its decimal point

_pack_integer: Final = struct.Struct(">IBq").pack
_UUID_PREFIX: Final = struct.pack(">IB", 17, 3)


class RowKeyError(InvalidRequestError):
    """The row key does not fit the field: too few values, or one of another type."""

    code = "row-key"
    title = "The row key does not fit the field"


def row_encoder(types: Sequence[str]) -> RowEncoder:
    """Return the function that encodes one row key: its values in the order of ``types``.

    ``types`` are names of ``KEY_TYPES``, the values what psycopg returns for them. The function
    raises RowKeyError where a value is none of its column.
    """
    encoders = [KEY_TYPES[name] for name in types]
    if len(encoders) == 1:
        [encode] = encoders

        def encode_single(row: Sequence[Any]) -> bytes:
            if len(row) != 1 or isinstance(row, str | bytes):
                raise _wrong_length(row, types)
            return _encode(encode, row[0], types[0])

        return encode_single

    def encode_row(row: Sequence[Any]) -> bytes:
        if len(row) != len(encoders) or isinstance(row, str | bytes):
            raise _wrong_length(row, types)
        return b"".join(map(_encode, encoders, row, types))

    return encode_row


def columns_encoder(types: Sequence[str]) -> ColumnsEncoder:
    """Return the function that encodes many row keys, given one sequence of values per column.

    For values that the database has just returned: those of a wrong type raise what they raise.
    """
    encoders = [KEY_TYPES[name] for name in types]

    def encode_columns(columns: Sequence[Sequence[Any]]) -> list[bytes]:
        if len(encoders) == 1:
            return _encode_column(encoders[0], columns[0])
        elements = [
            _encode_column(encode, column) for encode, column in zip(encoders, columns, strict=True)
        ]
        return [b"".join(row) for row in zip(*elements, strict=True)]

    return encode_columns


def same_encoding(some: Sequence[str], others: Sequence[str]) -> bool:
    """Whether row keys of these types are the same bytes: ``integer`` and ``bigint`` are."""
    return [KEY_TYPES[each] for each in some] == [KEY_TYPES[each] for each in others]


def _encode(encode: Callable[[Any], bytes], value: Any, type_name: str) -> bytes:
    try:
        return encode(value)
    except (TypeError, ValueError, AttributeError, OverflowError, struct.error):
        # The value itself may be an address or a name, and is not repeated.
        raise RowKeyError(
            f"row: a {type(value).__name__} is given where the key column is of type {type_name},"
            f" or its value is out of range; give {_EXPECTED[encode]}."
        ) from None


def _wrong_length(row: Sequence[Any], types: Sequence[str]) -> RowKeyError:
    given = "a single value" if isinstance(row, str | bytes) else f"{len(row)} values"
    return RowKeyError(
        f"row: {given} instead of a tuple of {len(types)}; give the values of all key columns"
        f" ({', '.join(types)}) in their order."
    )


def _encode_column(encode: Callable[[Any], bytes], values: Sequence[Any]) -> list[bytes]:
    if encode is _integer:  # the usual case, without a call per value
        pack = _pack_integer
        return [pack(9, 1, value) for value in values]
    return [encode(value) for value in values]


def _integer(value: int) -> bytes:
    if value is True or value is False:
        raise TypeError
    return _pack_integer(9, 1, value)


def _text(value: str) -> bytes:
    return with_length(b"\x02" + value.encode())


def _padded_text(value: str) -> bytes:
    # Postgres takes the blanks at the end of a char(n) for no part of the value.
    return _text(value.rstrip(" "))


def _uuid(value: UUID) -> bytes:
    return _UUID_PREFIX + value.bytes


def _bytes(value: bytes) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError
    return with_length(b"\x04" + bytes(value))


def _date(value: date) -> bytes:
    if isinstance(value, datetime):
        raise TypeError
    return struct.pack(">IBi", 5, 5, value.toordinal() - _EPOCH_DAY)


def _timestamp(value: datetime) -> bytes:
    if value.tzinfo is not None:
        raise TypeError
    return struct.pack(">IBq", 9, 6, (value - _EPOCH) // _MICROSECOND)


def _timestamptz(value: datetime) -> bytes:
    # The instant alone counts, not the zone that it is told in; naive ones do not subtract.
    return struct.pack(">IBq", 9, 7, (value - _EPOCH_UTC) // _MICROSECOND)


def _numeric(value: Decimal | int) -> bytes:
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise TypeError
    number = Decimal(value)
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS:
        raise ValueError
    if not number:
        return with_length(b"\x080")
    # Not normalize(): that rounds to the precision of the moment's context.
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return with_length(b"\x08" + text.encode())


def _boolean(value: bool) -> bytes:
    if value is not True and value is not False:
        raise TypeError
    return with_length(b"\x09\x01" if value else b"\x09\x00")


KEY_TYPES: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "smallint": _integer,
    "integer": _integer,
    "bigint": _integer,
    "text": _text,
    "varchar": _text,
    "bpchar": _padded_text,
    "uuid": _uuid,
    "bytea": _bytes,
    "date": _date,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
    "numeric": _numeric,
    "boolean": _boolean,
}
"""The types that a key column may have, by names that Postgres understands in a cast."""

_EXPECTED: Final = {
    _integer: "an int",
    _text: "a str",
    _padded_text: "a str",
    _uuid: "a uuid.UUID",
    _bytes: "bytes",
    _date: "a datetime.date",
    _timestamp: "a datetime without a time zone",
    _timestamptz: "a datetime with a time zone",
    _numeric: "a finite Decimal",
    _boolean: "a bool",
}
