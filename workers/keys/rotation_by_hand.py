"""Rotation at the word of a person: of whichever key is active, at once."""

from dataclasses import dataclass

from workers.contract import StartReencryption
from workers.database.pool import Connection
from workers.jobs.enqueue import enqueue
from workers.keys import store
from workers.keys.root_keys import RootKeys
from workers.keys.rotation import Prepared, Rotated, prepare, promote, transactions_of


@dataclass(frozen=True, kw_only=True)
class RotatedByHand:
    """The active key's number by now; ``rotated`` False: somebody else was faster.

    ``reencryption_job`` moves the encrypted fields to it, where that was asked for.
    """

    number: int
    former: int | None
    rotated: bool
    reencryption_job: int | None


def rotate_by_hand(
    connection: Connection,
    root_keys: RootKeys,
    *,
    organization_id: int,
    actor: str,
    reason: str,
    reencrypt: bool = False,
) -> RotatedByHand:
    """Let a new key take the place of the active one; without any, make the first.

    ``connection`` must be in autocommit mode and outside any transaction.

    Raises:
        As ``rotate``.
    """
    done = prepare(
        transactions_of(connection),
        root_keys,
        organization_id=organization_id,
        expected_number=store.active_number(connection, organization_id),
        actor=actor,
        reason=reason,
    )
    if isinstance(done, Rotated):
        return _outcome(done, None)
    with connection.transaction():
        return put_to_use(connection, done, actor=actor, reason=reason, reencrypt=reencrypt)


def put_to_use(
    connection: Connection, prepared: Prepared, *, actor: str, reason: str, reencrypt: bool
) -> RotatedByHand:
    """Do the second half of a rotation in the caller's transaction, and have the fields follow.

    Raises:
        As ``promote``.
    """
    done = promote(connection, prepared, actor=actor, reason=reason)
    if not done.rotated or not reencrypt:
        return _outcome(done, None)
    job = enqueue(
        connection,
        StartReencryption(),
        organization_id=prepared.organization_id,
        unique_key=f"to-{done.number}",
    )
    return _outcome(done, job.job_id)


def _outcome(done: Rotated, job_id: int | None) -> RotatedByHand:
    return RotatedByHand(
        number=done.number, former=done.former, rotated=done.rotated, reencryption_job=job_id
    )
