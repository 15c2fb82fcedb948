"""``master_key.rotate``, ``master_key.review``, ``master_key.rewrap``, ``sealing_key.rotate``."""

from datetime import timedelta

from workers.contract import ReviewMasterKeys, RewrapMasterKeys, RotateMasterKey, RotateSealingKey
from workers.contract.keys import Reviewed, Rewrapped, RotationOutcome
from workers.errors import InvalidRequestError
from workers.jobs.due import enqueue_due
from workers.jobs.enqueue import enqueue
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
from workers.keys.sealing_keys import (
    due_for_rotation,
    remove_expired,
    rewrap_sealing_keys,
    rotate_sealing_key,
)


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


def review_master_keys(request: ReviewMasterKeys, job: RunningJob) -> Reviewed:
    """Ask for the rotations and destructions that are due; remove sealing keys whose time is over.

    It reads state, and every job says which key it is about, so a review that runs twice, or beside
    another, changes nothing.
    """
    connection = job.connection
    rotations = [*rotations_due_by_policy(connection), *rotations_due_by_wear(connection)]
    remove_expired(connection)
    if former := due_for_rotation(connection, after=timedelta(days=request.sealing_key_days)):
        enqueue(connection, RotateSealingKey(expected=former), unique_key=former)
    return Reviewed(
        rotations=enqueue_due(connection, rotations),
        destructions=enqueue_due(connection, destructions_due(connection)),
    )


def rotate_published_key(
    request: RotateSealingKey, job: RunningJob, *, root_keys: RootKeys
) -> None:
    """Publish the next sealing key, unless somebody else has."""
    rotate_sealing_key(job.connection, root_keys, expected=request.expected)


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
    with job.checkpoint() as connection:
        wrapped = rewrap_sealing_keys(connection, root_keys)
    done.check_complete()
    return Rewrapped(wrapped=done.wrapped + wrapped)
