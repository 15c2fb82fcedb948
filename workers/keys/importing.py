"""Bringing a destroyed master key back from its own export (the model's rule 43)."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from workers.contract import StartReencryption
from workers.contract.announcements import MasterKeyImported
from workers.database.pool import Connection
from workers.errors import ConflictError
from workers.jobs.enqueue import enqueue
from workers.keys import store
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.export_file import ExportFile, ExportFileError
from workers.keys.root_keys import RootKeys
from workers.keys.states import State, UnknownKeyError
from workers.keys.telling import tell
from workers.keys.unwrapping import unwrap_under, wrap_key


class ForeignExportError(ExportFileError):
    """The export is whole, and of another key than the one that is to come back."""

    code = "foreign-export"
    title = "The export is of another master key"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import led to: values in quarantine because of the key, and the job to retry them."""

    number: int
    quarantined: int
    retry_job_id: int | None


def import_key(
    connection: Connection,
    root_keys: RootKeys,
    *,
    organization_id: int,
    number: int,
    file: ExportFile,
    opener: Callable[[ExportFile], CleartextKey],
    actor: str,
    reason: str,
) -> Imported:
    """Make a destroyed key archived again, with the material that ``opener`` finds in ``file``.

    Values that wait in quarantine for the key are retried: a run is asked for in the same
    transaction, unless one is under way.

    Raises:
        UnknownKeyError: there is no such key.
        ConflictError: it is not destroyed.
        ForeignExportError: the file is of another organization, number or secret.
        ExportFileError: as ``opener``.
        RootKeyUnavailableError, WrappedKeyError: the root key does not wrap, or not provably.
    """
    stored = store.load_key(connection, organization_id, number)
    if stored is None:
        raise UnknownKeyError(f"There is no master key {number}; `keywright key list` shows them.")
    # What the headers say is not authentic yet. To refuse it, it need not be.
    _check_is_the_same(file, stored)
    if stored.state is not State.DESTROYED:
        raise ConflictError(
            f"Master key {number} is {stored.state}; only one that was destroyed is imported."
        )
    key = opener(file)
    root_key = root_keys.current
    wrapped = wrap_key(root_key, key, organization_id=organization_id, number=number)
    # As proof that it can be read again, and that it is what the row says.
    unwrap_under(root_key, wrapped, stored)
    with connection.transaction():
        store.move_key(
            connection,
            organization_id=organization_id,
            number=number,
            to=State.ARCHIVED,
            actor=actor,
            reason=reason,
            only_from=(State.DESTROYED,),
        )
        store.add_wraps(
            connection,
            organization_id=organization_id,
            number=number,
            wraps={root_key.identifier: wrapped},
        )
        quarantined = _values_in_quarantine(connection, organization_id, number)
        retry_job_id = _ask_for_a_run(connection, organization_id) if quarantined else None
        tell(
            connection,
            MasterKeyImported(number=number, actor=actor, quarantined=quarantined),
            organization_id=organization_id,
        )
    return Imported(number=number, quarantined=quarantined, retry_job_id=retry_job_id)


def _check_is_the_same(file: ExportFile, stored: store.StoredKey) -> None:
    if file.key.organization_id != stored.organization_id:
        raise ForeignExportError(
            f"The export is of another organization (its id is {file.key.organization_id}, this"
            f" one's {stored.organization_id}); a key is imported only where it came from."
        )
    if file.key.key_number != stored.number:
        raise ForeignExportError(
            f"The export is of master key {file.key.key_number}, not {stored.number}; import it"
            " under its own number."
        )
    if not hmac.compare_digest(file.key.fingerprint, stored.fingerprint):
        raise ForeignExportError(
            f"The export holds another secret than master key {stored.number} had; look for the"
            f" file with the check value {stored.check_value.hex()}."
        )


def _values_in_quarantine(connection: Connection, organization_id: int, number: int) -> int:
    row = connection.execute(
        """
        SELECT count(*) FROM keywright.quarantine
         WHERE organization_id = %(organization_id)s AND key_number = %(number)s
           AND class = 'destroyed_key' AND resolved_at IS NULL
        """,
        {"organization_id": organization_id, "number": number},
    ).fetchone()
    assert row is not None
    return int(row[0])


def _ask_for_a_run(connection: Connection, organization_id: int) -> int | None:
    row = connection.execute(
        """
        SELECT EXISTS (SELECT FROM keywright.reencryption_run
                        WHERE organization_id = %(organization_id)s
                          AND state NOT IN ('cancelled', 'completed'))
        """,
        {"organization_id": organization_id},
    ).fetchone()
    assert row is not None
    if row[0]:
        return None
    request = StartReencryption()
    return enqueue(
        connection, request, organization_id=organization_id, unique_key="after-import"
    ).job_id
