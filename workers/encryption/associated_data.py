"""The associated data of a value: what binds a ciphertext to the place it was written for.

Each element is preceded by its length, u32 big-endian, so that no two places are told apart by
where one element ends and the next begins:

    format and algorithm, 1 | key number, u32 | organization, i64 | field, 16 | row key elements

Pure. How a row key becomes bytes stands in ``workers.encryption.row_keys``.
"""

from uuid import UUID

from workers.encryption.ciphertext import FORMAT_BYTE


def associated_data_prefix(key_number: int, organization_id: int, field_id: UUID) -> bytes:
    """Return what all values of a field, organization and key share; the row key follows it."""
    return b"".join(
        with_length(element)
        for element in (
            bytes((FORMAT_BYTE,)),
            key_number.to_bytes(4, "big"),
            organization_id.to_bytes(8, "big", signed=True),
            field_id.bytes,
        )
    )


def with_length(element: bytes) -> bytes:
    """Return an element preceded by its length."""
    return len(element).to_bytes(4, "big") + element
