"""Begin, pause, resume and cancel a run: what people and other jobs ask for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from workers.contract import ConcludeReencryption, PrepareReencryption, WorkOnReencryption
from workers.contract.announcements import ReencryptionCancelled
from workers.database.pool import Connection
from workers.encryption.registry import EncryptedField, find_field, list_fields
from workers.errors import ConflictError, InvalidRequestError
from workers.jobs.enqueue import enqueue
from workers.keys.keyring import KeyRing
from workers.reencryption import quarantine, ranges, store
from workers.reencryption.options import RunOptions
from workers.reencryption.store import Purpose, Run
from workers.reencryption.telling import tell

_MAY_START_FROM = {
    "reencrypt": ("encrypted", "encrypting"),
    "encrypt": ("plaintext", "encrypting", "encrypted", "decrypting"),
    "decrypt": ("encrypted", "encrypting", "decrypting"),
}


def choose_fields(
    connection: Connection, organization_id: int, purpose: Purpose, names: Sequence[str]
) -> list[EncryptedField]:
    """Return the fields of a run; without names, all that hold ciphertext of the organization.

    Raises:
        NotFoundError: a name is no field's.
        InvalidRequestError: a field is another organization's, or there is none to choose.
        ConflictError: a field is in a state from which this purpose does not start.
    """
    allowed = _MAY_START_FROM[purpose]
    if not names:
        if purpose != "reencrypt":
            raise InvalidRequestError(f"fields: name the fields to {purpose}.")
        found = [
            field
            for field in list_fields(connection, organization_id=organization_id)
            if field.state in allowed
        ]
        if not found:
            raise InvalidRequestError(
                "The organization has no encrypted fields; `keywright field register` makes some."
            )
        return found
    chosen = [find_field(connection, name) for name in dict.fromkeys(names)]
    for field in chosen:
        if field.organization_id not in (None, organization_id):
            raise InvalidRequestError(f"{field.field_name} is a field of another organization.")
        if field.state not in allowed:
            raise ConflictError(
                f"{field.field_name} is in state {field.state}; to {purpose}, it must be in"
                f" {' or '.join(allowed)}. Nothing was begun."
            )
    return chosen


def start_run(
    connection: Connection,
    keyring: KeyRing,
    *,
    organization_id: int,
    purpose: Purpose = "reencrypt",
    field_names: Sequence[str] = (),
    options: RunOptions | None = None,
    requested_by: str,
) -> int:
    """Begin a run, in the caller's transaction, and return its id; workers do the rest.

    Raises:
        ConflictError: another run of the organization is not finished, or as ``choose_fields``.
        Others: as ``choose_fields`` and ``KeyRing.active_key``.
    """
    fields = choose_fields(connection, organization_id, purpose, field_names)
    target = None
    if purpose != "decrypt":
        target = keyring.active_key(organization_id, uses=0).number
    run_id = store.insert_run(
        connection,
        organization_id=organization_id,
        purpose=purpose,
        field_ids=[field.field_id for field in fields],
        target_number=target,
        options=(options or RunOptions()).to_json(),
        requested_by=requested_by,
    )
    ask_to_prepare(connection, store.load_run(connection, run_id))
    return run_id


def ask_to_prepare(connection: Connection, run: Run) -> None:
    """Have the fence raised and the tables divided."""
    enqueue(
        connection,
        PrepareReencryption(run_id=run.run_id),
        organization_id=run.organization_id,
        unique_key=str(run.run_id),
    )


def ask_to_conclude(connection: Connection, run: Run) -> None:
    """Have the census taken."""
    enqueue(
        connection,
        ConcludeReencryption(run_id=run.run_id),
        organization_id=run.organization_id,
        unique_key=str(run.run_id),
    )


def ask_for_work(connection: Connection, run: Run) -> None:
    """See to it that every slot of the run has a job; call it with the run's row locked."""
    missing = set(range(RunOptions.from_json(run.options).workers))
    for slot in sorted(missing - store.slots_at_work(connection, run.run_id)):
        ask_for_a_turn(connection, run, slot=slot, turn=0)


def ask_for_a_turn(
    connection: Connection, run: Run, *, slot: int, turn: int, run_at: datetime | None = None
) -> None:
    """Ask for one job of a slot."""
    enqueue(
        connection,
        WorkOnReencryption(run_id=run.run_id, slot=slot, turn=turn),
        organization_id=run.organization_id,
        unique_key=f"{run.run_id}/{slot}/{turn}",
        run_at=run_at,
    )


def pause_run(connection: Connection, run_id: int, *, reason: str) -> bool:
    """Pause a run; its workers stop within a second. False: it was not at work.

    Raises:
        NotFoundError: there is no such run.
    """
    with connection.transaction():
        run = store.load_run(connection, run_id, lock=True)
        if run.state not in ("starting", "rewriting", "verifying"):
            return False
        store.change_run(
            connection, run_id, state="paused", resume_state=run.state, waiting_for=reason[:500]
        )
    return True


def resume_run(connection: Connection, run_id: int) -> bool:
    """Let a paused run go on; one at work that lost its jobs gets new ones. False: it is finished.

    Whoever resumes a run that came upon too many values which do not open accepts those: it pauses
    again only after as many more.

    Raises:
        NotFoundError: there is no such run.
    """
    with connection.transaction():
        run = store.load_run(connection, run_id, lock=True)
        if run.state in ("cancelled", "completed"):
            return False
        state = run.resume_state or run.state
        options = RunOptions.from_json(run.options)
        accepted = quarantine.count_seen(connection, run_id)
        if accepted > options.most_quarantined:
            options = replace(options, most_quarantined=accepted + options.most_quarantined)
        store.change_run(
            connection,
            run_id,
            state=state,
            resume_state=None,
            waiting_for=None,
            options=options.to_json(),
        )
        if state == "starting":
            ask_to_prepare(connection, run)
        elif ranges.count_open(connection, run_id)[0]:
            ask_for_work(connection, run)
        else:
            ask_to_conclude(connection, run)
    return True


def cancel_run(connection: Connection, run_id: int) -> bool:
    """End a run where it is; every value stays readable. False: it was finished already.

    Raises:
        NotFoundError: there is no such run.
    """
    with connection.transaction():
        run = store.load_run(connection, run_id, lock=True)
        if run.state in ("cancelled", "completed"):
            return False
        connection.execute(
            """
            UPDATE keywright.reencryption_run
               SET state = 'cancelled', resume_state = NULL, waiting_for = NULL,
                   finished_at = clock_timestamp()
             WHERE run_id = %(run_id)s
            """,
            {"run_id": run_id},
        )
        ranges.drop_open(connection, run_id)
        tell(
            connection,
            ReencryptionCancelled(run_id=run_id, purpose=run.purpose),
            organization_id=run.organization_id,
        )
    return True
