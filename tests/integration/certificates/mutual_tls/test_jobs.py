"""Client certificates as jobs that other systems ask for."""

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from tests.integration.certificates.mutual_tls.partners import ISSUING, PARTNER, Partners
from tests.integration.jobs.workbench import Workbench
from workers.audit.reading import list_entries
from workers.certificates.mutual_tls.jobs import (
    upload_client_certificate,
    withdraw_client_certificate,
)
from workers.certificates.mutual_tls.store import list_clients
from workers.contract import UploadClientCertificate, WithdrawClientCertificate
from workers.database.pool import open_pool
from workers.jobs.enqueue import enqueue


@pytest.fixture
def workbench(conninfo: str) -> Iterator[Workbench]:
    """A worker's tools."""
    with (
        open_pool(conninfo, size=2, name="ledger") as ledger,
        open_pool(conninfo, size=1, name="worker") as handlers,
    ):
        workbench = Workbench(ledger, handlers)
        yield workbench
        workbench.keeper.stop()


def test_a_client_certificate_is_accepted_and_withdrawn_by_jobs(
    partners: Partners, workbench: Workbench
) -> None:
    connection, owner = partners.connection, partners.organization_id
    request = UploadClientCertificate(pem=(PARTNER.pem + ISSUING.pem).decode(), label="Partner")
    for _ in range(2):  # every message may come twice
        job_id = enqueue(connection, request, organization_id=owner).job_id
        done = workbench.execute(upload_client_certificate, request, job_id=job_id)
        assert done.state == "succeeded", done.problem
        assert done.result is not None
        assert (done.result["unique_name"], done.result["version_number"]) == ("Partner", 1)
    [row] = list_clients(connection, owner)
    assert row.uploaded_by == f"job {job_id}"
    withdrawal = WithdrawClientCertificate(unique_name="partner")
    job_id = enqueue(connection, withdrawal, organization_id=owner).job_id
    done = workbench.execute(withdraw_client_certificate, withdrawal, job_id=job_id)
    assert done.result == {"unique_name": "Partner", "version_numbers": [1]}
    entries = [each for each in list_entries(connection) if "mutual-tls-client/" in each.object]
    verbs = [each.action.partition(".")[2] for each in reversed(entries)]
    assert verbs == ["upload", "update", "withdraw"]


def test_a_job_that_is_refused_says_every_reason(partners: Partners, workbench: Workbench) -> None:
    request = UploadClientCertificate(pem=PARTNER.pem.decode())
    job_id = enqueue(partners.connection, request, organization_id=partners.organization_id).job_id
    done = workbench.execute(upload_client_certificate, request, job_id=job_id)
    assert done.state == "failed"
    assert done.problem is not None
    assert [each["code"] for each in done.problem["faults"]] == ["unknown_root"]


def test_a_private_key_is_no_argument_and_not_repeated() -> None:
    with pytest.raises(ValidationError) as refused:
        UploadClientCertificate(pem="-----BEGIN PRIVATE KEY-----\nMC4CAQAw")
    assert "MC4CAQAw" not in str(refused.value)
