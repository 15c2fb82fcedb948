"""``certificate.generate``, ``certificate.rekey`` and ``certificate.copy``.

A key is generated while the job holds neither a transaction nor a connection; what was made is
kept, and announced, in the transaction that records the job's success. A job that is cut off before
leaves nothing, and one that runs again makes another key: whatever comes twice, one is kept.
"""

from workers.certificates.issuance.drafts import Order, carry_out
from workers.certificates.issuing import keep, newest_version
from workers.certificates.ordering import order_copy, order_new, order_rekey
from workers.certificates.tools import CertificateTools
from workers.contract.certificates import (
    CopyCertificate,
    GenerateCertificate,
    IssuedCertificate,
    RekeyCertificate,
)
from workers.contract.request import JobRequest
from workers.errors import InvalidRequestError
from workers.jobs.running import RunningJob


def generate_certificate(
    request: GenerateCertificate, job: RunningJob, *, tools: CertificateTools
) -> IssuedCertificate:
    """Make a certificate, or the request that a CA is to sign."""
    owner = _owner(request, job)
    with tools.ledger.connection() as connection:
        order = order_new(connection, request, organization_id=owner)
    return _make(order, job, tools)


def copy_certificate(
    request: CopyCertificate, job: RunningJob, *, tools: CertificateTools
) -> IssuedCertificate:
    """Make a certificate like another, with a key pair of its own."""
    owner = _owner(request, job)
    with tools.ledger.connection() as connection:
        order = order_copy(connection, request, organization_id=owner)
    return _make(order, job, tools)


def rekey_certificate(
    request: RekeyCertificate, job: RunningJob, *, tools: CertificateTools
) -> IssuedCertificate:
    """Give a certificate a new key pair, unless somebody else has done so."""
    owner = _owner(request, job)
    with tools.ledger.connection() as connection:
        order = order_rekey(connection, request, organization_id=owner)
        if order is None:
            return newest_version(connection, owner, request.unique_name)
    return _make(order, job, tools)


def _make(order: Order, job: RunningJob, tools: CertificateTools) -> IssuedCertificate:
    job.stop_if_asked()
    draft = carry_out(order, now=job.now, usual_caps=tools.lifetime_caps)
    job.stop_if_asked()
    return keep(job.connection, tools, draft, now=job.now, requested_by=f"job {job.job_id}")


def _owner(request: JobRequest, job: RunningJob) -> int:
    if job.organization_id is None:
        raise InvalidRequestError(f"organization: {request.kind} is asked for one organization.")
    return job.organization_id
