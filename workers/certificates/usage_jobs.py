"""The jobs on usages, ``certificate.delete`` and ``certificate.restore``."""

from workers.certificates.deletion import delete_certificate
from workers.certificates.restoring import restore_certificate
from workers.certificates.usages import add_usage, move_usage, remove_usage
from workers.contract import (
    DeleteCertificate,
    JobRequest,
    MoveUsage,
    RegisterUsage,
    RemoveUsage,
    RestoreCertificate,
)
from workers.contract.certificate_policies import DeletedCertificate, RestoredCertificate
from workers.contract.usages import RegisteredUsage
from workers.errors import InvalidRequestError
from workers.jobs.running import RunningJob


def register_usage(request: RegisterUsage, job: RunningJob) -> RegisteredUsage:
    """Register a usage, in the transaction that ends the job."""
    usage_id = add_usage(
        job.connection,
        organization_id=_owner(request, job),
        unique_name=request.certificate,
        place_kind=request.place_kind,
        place=request.place,
        version_number=request.version_number,
        now=job.now,
    )
    return RegisteredUsage(usage_id=usage_id)


def switch_usage(request: MoveUsage, job: RunningJob) -> None:
    """Move a usage, in the transaction that ends the job."""
    move_usage(
        job.connection,
        organization_id=_owner(request, job),
        place_kind=request.place_kind,
        place=request.place,
        unique_name=request.certificate,
        version_number=request.version_number,
    )


def withdraw_usage(request: RemoveUsage, job: RunningJob) -> None:
    """Remove a usage, in the transaction that ends the job."""
    remove_usage(
        job.connection,
        organization_id=_owner(request, job),
        place_kind=request.place_kind,
        place=request.place,
    )


def delete_unused(request: DeleteCertificate, job: RunningJob) -> DeletedCertificate:
    """Delete a certificate that nothing uses, in the transaction that ends the job."""
    certificate_id = delete_certificate(
        job.connection,
        organization_id=_owner(request, job),
        unique_name=request.unique_name,
        now=job.now,
    )
    return DeletedCertificate(certificate_id=certificate_id)


def restore_deleted(request: RestoreCertificate, job: RunningJob) -> RestoredCertificate:
    """Bring a certificate back, in the transaction that ends the job."""
    restored = restore_certificate(
        job.connection,
        organization_id=_owner(request, job),
        unique_name=request.unique_name,
        new_name=request.new_name,
        certificate_id=request.certificate_id,
    )
    return RestoredCertificate(
        certificate_id=restored.certificate_id,
        unique_name=restored.unique_name,
        not_after=restored.not_after,
    )


def _owner(request: JobRequest, job: RunningJob) -> int:
    if job.organization_id is None:
        raise InvalidRequestError(
            f"organization: {request.kind} is asked for on behalf of one; name it."
        )
    return job.organization_id
