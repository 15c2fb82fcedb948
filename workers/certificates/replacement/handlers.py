"""``replacement.start``, ``replacement.advance`` and ``replacement.roll_back``."""

from workers.certificates.replacement.moves import Moved, advance, finish, roll_back
from workers.certificates.replacement.plan import Place, StepState
from workers.certificates.replacement.starting import (
    check_request,
    draft_successor,
    order_successor,
    start_with,
)
from workers.certificates.tools import CertificateTools
from workers.contract.replacement import (
    AdvanceReplacement,
    PlaceName,
    PlacesMoved,
    ReplacementStarted,
    RollBackReplacement,
    StartReplacement,
)
from workers.contract.request import JobRequest
from workers.errors import InvalidRequestError
from workers.jobs.running import RunningJob


def start_replacement(
    request: StartReplacement, job: RunningJob, *, tools: CertificateTools
) -> ReplacementStarted:
    """Start a replacement, and keep the successor made for it, both in the job's last transaction.

    The key pair is made before, while the job holds no connection.
    """
    owner = _owner(request, job)
    check_request(request)
    with tools.ledger.connection() as connection:
        order = order_successor(connection, request, organization_id=owner)
    job.stop_if_asked()
    draft = draft_successor(order, tools, now=job.now)
    job.stop_if_asked()
    done = start_with(
        job.connection,
        tools,
        request,
        draft,
        organization_id=owner,
        requested_by=f"job {job.job_id}",
        now=job.now,
    )
    started, successor = done.started, done.successor
    if started is None:
        return ReplacementStarted(
            replacement_id=None,
            created=False,
            waits_for_signature=True,
            new_version=successor.version_number if successor else None,
            places=0,
        )
    return ReplacementStarted(
        replacement_id=started.replacement_id,
        created=started.created,
        waits_for_signature=False,
        new_version=started.new.version_number,
        places=started.places,
        remarks=started.remarks,
    )


def advance_replacement(request: AdvanceReplacement, job: RunningJob) -> PlacesMoved:
    """Let places take their next step, in the transaction that ends the job."""
    owner, actor = _owner(request, job), f"job {job.job_id}"
    if request.to == "completed":
        if request.places:
            raise InvalidRequestError("places: a replacement is completed for all; leave them out.")
        moved = finish(
            job.connection,
            organization_id=owner,
            replacement_id=request.replacement_id,
            actor=actor,
            now=job.now,
        )
    else:
        moved = advance(
            job.connection,
            organization_id=owner,
            replacement_id=request.replacement_id,
            to=StepState(request.to),
            places=_places(request.places),
            without_overlap=request.without_overlap,
            actor=actor,
            now=job.now,
        )
    return _counted(moved)


def roll_back_replacement(request: RollBackReplacement, job: RunningJob) -> PlacesMoved:
    """Let places go back, in the transaction that ends the job."""
    moved = roll_back(
        job.connection,
        organization_id=_owner(request, job),
        replacement_id=request.replacement_id,
        places=_places(request.places),
        actor=f"job {job.job_id}",
        now=job.now,
    )
    return _counted(moved)


def _places(names: tuple[PlaceName, ...]) -> tuple[Place, ...]:
    return tuple(Place(each.place_kind, each.place) for each in names)


def _counted(moved: Moved) -> PlacesMoved:
    return PlacesMoved(
        state=moved.state,
        moved=len(moved.moved),
        there_already=len(moved.there_already),
        too_early=len(moved.too_early),
    )


def _owner(request: JobRequest, job: RunningJob) -> int:
    if job.organization_id is None:
        raise InvalidRequestError(f"organization: {request.kind} is asked for one organization.")
    return job.organization_id
