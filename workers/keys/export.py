"""Exporting a master key: who may leave, sealed how, and that everybody can see that it left."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workers.audit.recording import record
from workers.contract.announcements import MasterKeyExported
from workers.database.pool import Connection, database_clock
from workers.errors import ConflictError
from workers.keys import store
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.export_file import ExportedKey
from workers.keys.export_sealing import (
    check_passphrase,
    describe,
    seal_to_certificate,
    seal_with_passphrase,
)
from workers.keys.listing import show_key
from workers.keys.new_file import new_private_file
from workers.keys.root_keys import RootKeys
from workers.keys.rsa_keys import Recipient
from workers.keys.states import State, UnknownKeyError
from workers.keys.telling import tell
from workers.keys.unwrapping import unwrap_key

_EXPORTABLE = (State.ARCHIVED, State.COMPROMISED)


@dataclass(frozen=True, kw_only=True)
class Seal:
    """A way to seal a key; ``protection`` says which, for people, and ``apply`` makes the text."""

    protection: str
    apply: Callable[[CleartextKey, ExportedKey], str]


def passphrase_seal(passphrase: str) -> Seal:
    """Return the seal of a passphrase.

    Raises:
        InvalidRequestError: it is too short or too long.
    """
    check_passphrase(passphrase)
    return Seal(
        protection="passphrase",
        apply=lambda key, about: seal_with_passphrase(
            key, about, passphrase, salt=os.urandom(16), nonce=os.urandom(12)
        ),
    )


def certificate_seal(recipient: Recipient) -> Seal:
    """Return the seal to the holder of a certificate."""
    return Seal(
        protection=f"certificate {recipient.identifier.hex()}",
        apply=lambda key, about: seal_to_certificate(
            key, about, recipient, ephemeral_key=os.urandom(32)
        ),
    )


def export_key(
    connection: Connection,
    root_keys: RootKeys,
    *,
    organization_id: int,
    number: int,
    seal: Seal,
    path: Path,
    actor: str,
) -> ExportedKey:
    """Write a key, sealed, to a new file at ``path`` that only its owner may read; announce it.

    The announcement is on record before the file has its name: none leaves unseen, though one that
    was announced may not have been written, if the process died in between.

    Raises:
        UnknownKeyError: there is no such key.
        ConflictError: it is not archived or compromised, or the file exists.
        InvalidRequestError: the file cannot be written.
        Others: as ``unwrap_key``.
    """
    details = show_key(connection, organization_id, number)
    stored = store.load_key(connection, organization_id, number)
    assert stored is not None  # keys are never deleted
    _check_state(number, stored.state)
    with new_private_file(path) as write:
        key = unwrap_key(root_keys, stored)
        about = describe(
            key,
            organization_id=organization_id,
            key_number=number,
            created_at=details.created_at,
            exported_at=database_clock(connection),
        )
        write(seal.apply(key, about).encode("ascii"))
        tell(
            connection,
            MasterKeyExported(
                number=number,
                actor=actor,
                protection=seal.protection,
                check_value=about.check_value.hex(),
            ),
            organization_id=organization_id,
        )
        record(
            connection,
            action="master_key.export",
            object_name=f"master-key/{organization_id}/{number}",
            organization_id=organization_id,
            after={"protection": seal.protection, "check_value": about.check_value.hex()},
        )
    return about


def _check_state(number: int, state: State) -> None:
    if state in _EXPORTABLE:
        return
    if state is State.ACTIVE:
        raise ConflictError(
            f"Master key {number} is active, and only archived ones are exported; rotate first"
            f" (`keywright key rotate`), then export {number}."
        )
    if state is State.SUSPENDED:
        raise ConflictError(
            f"Master key {number} is suspended, so it may not be used for anything; reinstate it"
            " first (`keywright key reinstate`)."
        )
    if state is State.DESTROYED:
        raise ConflictError(
            f"Master key {number} was destroyed, so there is nothing to export; its earlier export"
            " brings it back (`keywright key import`)."
        )
    raise UnknownKeyError(f"Master key {number} was never put to use, so no value can be under it.")
