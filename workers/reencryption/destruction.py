"""Destroying a master key: scheduled, cancellable, and refused as long as something needs the key.

What needs a key is counted, not remembered: a census of every registered field, after the write
fence, says whether a value under it is left anywhere.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from workers.contract import DestroyMasterKey
from workers.contract.announcements import (
    DestructionCancelled,
    DestructionScheduled,
    MasterKeyDestroyed,
)
from workers.contract.keys import Destroyed
from workers.database.pool import Connection
from workers.encryption.connections import Connections
from workers.encryption.fence import raise_fence
from workers.encryption.registry import EncryptedField, list_fields
from workers.errors import ConflictError, InvalidRequestError, NotFoundError
from workers.jobs.running import RunningJob
from workers.keys import store as keys
from workers.keys.states import State
from workers.keys.telling import tell
from workers.reencryption import store
from workers.reencryption.at_work import wait_for_workers
from workers.reencryption.census import count_by_key
from workers.reencryption.tables import by_table
from workers.reencryption.tools import Tools

HOLD = timedelta(days=7)
"""How long a key stays after somebody asked for its end, unless they say otherwise. It should be
longer than backups are kept: a restored one would need the key."""

FENCE_SECONDS = 20


class KeyStillNeededError(ConflictError):
    """Values, or a run, need the key; the text lists them. Nothing was changed."""

    code = "key-still-needed"
    title = "The master key is still needed"


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something that needs a key: a field with so many values under it, or an unfinished run."""

    what: str
    values: int | None = None

    def __str__(self) -> str:
        return self.what if self.values is None else f"{self.what} ({self.values:,} values)"


def schedule_destruction(
    connection: Connection,
    *,
    organization_id: int,
    number: int,
    at: datetime,
    actor: str,
    reason: str,
) -> None:
    """Have a key destroyed at a time. Until then it works as before, and it can be kept after all.

    Raises:
        NotFoundError: there is no such key.
        ConflictError: it is active, or destroyed already.
    """
    told = DestructionScheduled(number=number, at=at, actor=actor, reason=reason)
    _set_time(connection, organization_id, number, at, told)


def cancel_destruction(
    connection: Connection, *, organization_id: int, number: int, actor: str
) -> None:
    """Keep a key that was to be destroyed.

    Raises:
        NotFoundError: there is no such key.
        ConflictError: it is destroyed already.
    """
    told = DestructionCancelled(number=number, actor=actor)
    _set_time(connection, organization_id, number, None, told)


def _set_time(
    connection: Connection,
    organization_id: int,
    number: int,
    at: datetime | None,
    told: DestructionCancelled | DestructionScheduled,
) -> None:
    place = {"organization_id": organization_id, "number": number, "at": at}
    with connection.transaction():
        row = connection.execute(
            "SELECT state::text FROM keywright.master_key WHERE organization_id ="
            " %(organization_id)s AND key_number = %(number)s FOR NO KEY UPDATE",
            place,
        ).fetchone()
        if row is None:
            raise NotFoundError(
                f"There is no master key {number}; `keywright key list` shows them."
            )
        if row[0] == State.ACTIVE and at is not None:
            raise ConflictError(
                f"Master key {number} is active; rotate it first, then re-encrypt what it has"
                " encrypted."
            )
        if row[0] == State.DESTROYED:
            raise ConflictError(f"Master key {number} is destroyed already.")
        connection.execute(
            "UPDATE keywright.master_key SET destroy_at = %(at)s"
            " WHERE organization_id = %(organization_id)s AND key_number = %(number)s",
            place,
        )
        tell(connection, told, organization_id=organization_id)


def evidence(
    ledger: Connection, connections: Connections, *, organization_id: int, number: int
) -> list[Need]:
    """Return what needs a key: every field with values under it, and an unfinished run."""
    needs = []
    for table in by_table(list_fields(ledger, organization_id=organization_id)):
        with connections.connect(table.connection_name, "census") as connection:
            for index, field in enumerate(table.fields):
                census = count_by_key(connection, table, index, organization_id)
                if values := census.by_key.get(number, 0):
                    needs.append(Need(what=_place(field), values=values))
    if (run_id := store.unfinished_run(ledger, organization_id)) is not None:
        needs.append(Need(what=f"re-encryption run {run_id}, which is not finished"))
    return needs


def destroy_master_key(request: DestroyMasterKey, job: RunningJob, *, tools: Tools) -> Destroyed:
    """Destroy a key whose time has come, unless something needs it; then it is kept.

    Raises:
        KeyStillNeededError: with the list. Its destruction has to be scheduled anew.
    """
    if job.organization_id is None:
        raise InvalidRequestError("organization: say whose key is to be destroyed.")
    owner, number = job.organization_id, request.key_number
    with tools.ledger.connection() as ledger:
        if not _is_due(ledger, owner, number):
            return Destroyed(destroyed=False)
        names = {field.connection_name for field in list_fields(ledger, organization_id=owner)}
        for name in names:
            with tools.connections.connect(name, "fence") as connection:
                raise_fence(connection, owner, timeout_seconds=FENCE_SECONDS)
                wait_for_workers(connection, owner, timeout_seconds=FENCE_SECONDS)
        needs = evidence(ledger, tools.connections, organization_id=owner, number=number)
    if needs:
        with job.checkpoint() as connection:
            cancel_destruction(
                connection, organization_id=owner, number=number, actor=f"job {job.job_id}"
            )
        raise KeyStillNeededError(
            f"Master key {number} was kept, for it is needed by {'; '.join(map(str, needs))}."
            " Re-encrypt these, then schedule its destruction anew."
        )
    connection = job.connection
    if not _is_due(connection, owner, number, lock=True):
        return Destroyed(destroyed=False)
    keys.move_key(
        connection,
        organization_id=owner,
        number=number,
        to=State.DESTROYED,
        actor=f"job {job.job_id}",
        reason="its destruction was scheduled, and nothing needs it",
    )
    tell(connection, MasterKeyDestroyed(number=number), organization_id=owner)
    tools.keyring.forget(owner, number)
    return Destroyed(destroyed=True)


def _is_due(
    connection: Connection, organization_id: int, number: int, *, lock: bool = False
) -> bool:
    return (
        connection.execute(
            "SELECT FROM keywright.master_key WHERE organization_id = %(organization_id)s"
            " AND key_number = %(number)s AND destroy_at <= now()"
            f"{' FOR NO KEY UPDATE' if lock else ''}",
            {"organization_id": organization_id, "number": number},
        ).rowcount
        > 0
    )


def _place(field: EncryptedField) -> str:
    place = f"{field.table_schema}.{field.table_name}.{field.column_name}"
    return f"{field.field_name} = {place}"
