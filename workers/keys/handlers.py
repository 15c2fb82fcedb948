"""``master_key.rotate``, ``master_key.review`` and ``master_key.rewrap``."""

from pydantic import BaseModel

from workers.contract import ReviewMasterKeys, RewrapMasterKeys, RotateMasterKey
from workers.errors import InvalidRequestError
from workers.jobs.due import enqueue_due
from workers.jobs.running import RunningJob
from workers.keys.policy import (
    destructions_due,
    rotations_due_by_policy,
    rotations_due_by_wear,
)
from workers.keys.rewrapping import rewrap_all
from workers.keys.root_keys import RootKeys
from workers.keys.rotation import Rotated, prepare
from workers.keys.rotation_by_hand import put_to_use


class RotationOutcome(BaseModel):
    """The number of the active key by now; ``rotated`` False: somebody else was faster."""

    number: int
    former: int | None
    rotated: bool
    reencryption_job: int | None = None


class Rewrapped(BaseModel):
    """How many keys got a wrap under the root key in use."""

    wrapped: int


class Reviewed(BaseModel):
    """How many jobs a review asked for that nobody had asked for yet."""

    rotations: int
    destructions: int


def rotate_master_key(
    request: RotateMasterKey, job: RunningJob, *, root_keys: RootKeys
) -> RotationOutcome:
    """Let the next key take the place of the expected one, and data follow if that was asked for.

    The new key is put to use in the transaction that ends the job. A job that is cut off before
    that leaves a key which the next attempt takes up.
    """
    if job.organization_id is None:
        raise InvalidRequestError("organization: master_key.rotate is asked for one organization.")
    actor = f"job {job.job_id}"
    prepared = prepare(
        job.checkpoint,
        root_keys,
        organization_id=job.organization_id,
        expected_number=request.expected_number,
        actor=actor,
        reason=request.reason,
    )
    if isinstance(prepared, Rotated):
        return RotationOutcome(number=prepared.number, former=prepared.former, rotated=False)
    job.stop_if_asked()
    done = put_to_use(
        job.connection, prepared, actor=actor, reason=request.reason, reencrypt=request.reencrypt
    )
    return RotationOutcome(
        number=done.number,
        former=done.former,
        rotated=done.rotated,
        reencryption_job=done.reencryption_job,
    )


def review_master_keys(_request: ReviewMasterKeys, job: RunningJob) -> Reviewed:
    """Ask for the rotations and destructions that are due.

    It reads state, and every job says which key it is about, so a review that runs twice, or beside
    another, changes nothing.
    """
    connection = job.connection
    rotations = [*rotations_due_by_policy(connection), *rotations_due_by_wear(connection)]
    return Reviewed(
        rotations=enqueue_due(connection, rotations),
        destructions=enqueue_due(connection, destructions_due(connection)),
    )


def rewrap_master_keys(
    _request: RewrapMasterKeys, job: RunningJob, *, root_keys: RootKeys
) -> Rewrapped:
    """Wrap every master key under the root key in use, too; cut off anywhere, it goes on there."""
    done = rewrap_all(
        job.checkpoint,
        root_keys,
        report=job.report_progress,
        stop_if_asked=job.stop_if_asked,
    )
    done.check_complete()
    return Rewrapped(wrapped=done.wrapped)
