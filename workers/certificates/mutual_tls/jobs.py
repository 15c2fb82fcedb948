"""``mutual_tls.upload`` and ``mutual_tls.withdraw``."""

from workers.certificates.mutual_tls.uploading import upload_client
from workers.certificates.mutual_tls.withdrawing import withdraw
from workers.contract import JobRequest, UploadClientCertificate, WithdrawClientCertificate
from workers.contract.mutual_tls import AcceptedClient, WithdrawnClient
from workers.errors import InvalidRequestError
from workers.jobs.running import RunningJob


def upload_client_certificate(request: UploadClientCertificate, job: RunningJob) -> AcceptedClient:
    """Accept a client certificate, in the transaction that ends the job."""
    uploaded = upload_client(
        job.connection,
        organization_id=_owner(request, job),
        data=request.pem.encode("utf-8"),
        source="pem",
        uploaded_by=f"job {job.job_id}",
        now=job.now,
        member_id=request.member_id,
        unique_name=request.unique_name,
        label=request.label,
        renews=request.renews,
    )
    return AcceptedClient(
        unique_name=uploaded.unique_name,
        version_number=uploaded.version_number,
        fingerprint=uploaded.fingerprint.hex(),
        not_after=uploaded.not_after,
        warnings=[str(each) for each in uploaded.warnings],
    )


def withdraw_client_certificate(
    request: WithdrawClientCertificate, job: RunningJob
) -> WithdrawnClient:
    """Accept a client certificate no longer, in the transaction that ends the job."""
    withdrawn = withdraw(
        job.connection,
        organization_id=_owner(request, job),
        unique_name=request.unique_name,
        version_number=request.version_number,
        by=f"job {job.job_id}",
        now=job.now,
    )
    return WithdrawnClient(
        unique_name=withdrawn[0].unique_name,
        version_numbers=[each.version_number for each in withdrawn],
    )


def _owner(request: JobRequest, job: RunningJob) -> int:
    if job.organization_id is None:
        raise InvalidRequestError(f"organization: {request.kind} is asked for one organization.")
    return job.organization_id
