"""``certificate.upload``."""

from workers.certificates.reading.contents import read_certificates
from workers.certificates.tools import CertificateTools
from workers.certificates.uploading import Upload, keep, prepare
from workers.contract.chains import UploadCertificate, UploadedChain
from workers.errors import InvalidRequestError
from workers.jobs.running import RunningJob


def upload_certificate(
    request: UploadCertificate, job: RunningJob, *, tools: CertificateTools
) -> UploadedChain:
    """Take in what an authority has signed, in the transaction that ends the job.

    A chain that is there already is not taken in twice, so a job that runs again changes nothing.
    """
    if job.organization_id is None:
        raise InvalidRequestError(f"organization: {request.kind} is asked for one organization.")
    upload = Upload(
        organization_id=job.organization_id,
        unique_name=request.unique_name,
        readings=(read_certificates(request.chain.encode(), source="chain"),),
        accept=request.accept,
        lifetime_caps=request.lifetime_caps,
    )
    with tools.ledger.connection() as connection:
        prepared = prepare(connection, tools, upload, now=job.now)
    return keep(job.connection, tools, prepared, now=job.now, requested_by=f"job {job.job_id}")
