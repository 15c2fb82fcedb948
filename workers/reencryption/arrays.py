"""Arrays for Postgres, packed at once: a few hundred values go with each statement of a run.

psycopg dumps a list value by value, which costs a tenth of all that a run does on the client. The
two types that nearly every run sends are packed here in one step (PostgreSQL's array_recv).
"""

import struct
from collections.abc import Sequence
from typing import Any

from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

from workers.database.pool import Connection

_BYTEA, _INT8 = 17, 20
_BYTEA_ARRAY, _INT8_ARRAY = 1001, 1016

# Dimensions, whether there are NULLs, type of the elements; then length and lower bound.
_head = struct.Struct(">iiIii").pack
_length = struct.Struct(">i").pack

_INTEGERS = frozenset({"smallint", "integer", "bigint"})


class ByteaArray(bytes):
    """A bytea[] in binary."""

    __slots__ = ()


class Int8Array(bytes):
    """A bigint[] in binary."""

    __slots__ = ()


def array_of(values: Sequence[Any], type_name: str) -> Any:
    """Return values of one type as a parameter that is an array of them."""
    if not values:
        return list(values)
    if type_name == "bytea" and None not in values:
        parts: list[bytes] = [b""] * (2 * len(values))
        parts[0::2] = map(_length, map(len, values))
        parts[1::2] = values
        return ByteaArray(_head(1, 0, _BYTEA, len(values), 1) + b"".join(parts))
    if type_name in _INTEGERS:
        numbers = [8] * (2 * len(values))
        numbers[1::2] = values
        return Int8Array(
            _head(1, 0, _INT8, len(values), 1) + struct.pack(">" + "iq" * len(values), *numbers)
        )
    return list(values)


def send_arrays(connection: Connection) -> None:
    """Let a connection send what ``array_of`` returns."""
    connection.adapters.register_dumper(ByteaArray, _ByteaArrayDumper)
    connection.adapters.register_dumper(Int8Array, _Int8ArrayDumper)


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: bytes) -> Buffer:
        return obj


class _ByteaArrayDumper(_PackedDumper):
    oid = _BYTEA_ARRAY


class _Int8ArrayDumper(_PackedDumper):
    oid = _INT8_ARRAY
