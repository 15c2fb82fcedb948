"""``certificate.upload``: asked for, carried out once, refused with everything that is wrong."""

from base64 import encodebytes

import pytest
from pydantic import ValidationError

from tests.integration.certificates.signing.desk import Desk
from tests.integration.jobs.workbench import Workbench, problem
from workers.certificates.uploading_jobs import upload_certificate
from workers.contract.chains import MAX_UPLOAD, UploadCertificate
from workers.jobs.enqueue import enqueue
from workers.jobs.execution import Handler
from workers.jobs.inspection import JobDetails


def handler(desk: Desk) -> Handler:
    return lambda request, job: upload_certificate(request, job, tools=desk.acme.tools)


def execute(desk: Desk, workers: Workbench, request: UploadCertificate) -> JobDetails:
    return workers.execute(handler(desk), request, job_id=desk.acme.ask(request))


def test_a_job_takes_in_a_chain_and_comes_twice_without_harm(
    desk: Desk, workers: Workbench
) -> None:
    desk.ask()
    request = UploadCertificate(
        unique_name="Web", chain=desk.authority.chain(desk.request()).decode()
    )
    done = execute(desk, workers, request)
    assert done.result is not None
    assert (done.state, done.result["outcome"], done.result["version_number"]) == (
        *("succeeded", "signed"),
        1,
    )
    before = desk.acme.versions("Web")
    again = execute(desk, workers, request)
    assert again.result is not None
    assert (again.state, again.result["outcome"]) == ("succeeded", "there_already")
    assert desk.acme.versions("Web") == before
    assert desk.acme.announced()[-1][2]["requested_by"] == f"job {done.job_id}"


def test_a_job_renews_and_takes_the_base64_of_der(desk: Desk, workers: Workbench) -> None:
    desk.ask()
    desk.upload(desk.authority.chain(desk.request()))
    authority = desk.authority
    bundle = authority.bundle(authority.chain(desk.request()), form="DER")
    done = execute(
        desk,
        workers,
        UploadCertificate(unique_name="web", chain=encodebytes(bundle).decode()),
    )
    assert done.result is not None
    assert (done.result["outcome"], done.result["version_number"]) == ("renewed", 2)


def test_a_refused_chain_fails_the_job_at_once_with_every_fault(
    desk: Desk, workers: Workbench
) -> None:
    desk.ask()
    desk.ask("Mail")
    chain = (
        desk.authority.sign(desk.request("Mail"))
        + desk.authority.root
        + b"""
-----BEGIN CERTIFICATE-----
MIIB
-----END CERTIFICATE-----
"""
    )
    done = execute(desk, workers, UploadCertificate(unique_name="Web", chain=chain.decode()))
    assert (done.state, done.attempt) == ("failed", 1)
    told = problem(done)
    assert told["type"] == "urn:keywright:problem:chain-refused"
    assert [(each["code"], each["position"]) for each in told["faults"]] == [
        ("key_mismatch", 1),
        ("missing_issuer", 1),
        ("surplus", 2),
        ("unreadable", 3),
    ]
    assert all(each["how_to_fix"] for each in told["faults"])
    assert desk.acme.rows()["Web"].status == "unusable"


def test_a_job_is_asked_for_one_organization(desk: Desk, workers: Workbench) -> None:
    request = UploadCertificate(unique_name="Web", chain="x")
    job_id = enqueue(desk.acme.connection, request).job_id
    done = workers.execute(handler(desk), request, job_id=job_id)
    assert "one organization" in problem(done)["detail"]


def test_rule_20_and_21_what_is_too_large_or_secret_never_becomes_a_job() -> None:
    with pytest.raises(ValidationError, match="at most 1048576"):
        UploadCertificate(unique_name="Web", chain="x" * (MAX_UPLOAD + 1))
    secret = "-----BEGIN EC PRIVATE KEY-----\nMIIB\n"
    with pytest.raises(ValidationError, match="there is a private key in it") as refused:
        UploadCertificate(unique_name="Web", chain=secret)
    assert "MIIB" not in str(refused.value)
