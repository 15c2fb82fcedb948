"""Encrypted fields: the service that others use.

What belongs here: the format of a ciphertext, the registry of encrypted columns, and how an
application reads and writes their values. Not the bulk runs over them (``workers.reencryption``).
An application needs ``FieldCipher``, and what it raises.
"""

from workers.encryption.ciphertext import (
    DecryptionError,
    MalformedCiphertextError,
    NotCiphertextError,
    TagMismatchError,
)
from workers.encryption.fence import NoTransactionError
from workers.encryption.field_cipher import FieldCipher
from workers.encryption.field_writer import FieldWriter
from workers.encryption.row_keys import RowKeyError
from workers.encryption.viewing import may_view

__all__ = [
    "DecryptionError",
    "FieldCipher",
    "FieldWriter",
    "MalformedCiphertextError",
    "NoTransactionError",
    "NotCiphertextError",
    "RowKeyError",
    "TagMismatchError",
    "may_view",
]
