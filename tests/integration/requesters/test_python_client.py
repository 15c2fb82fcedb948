"""The Python client: a caller's own transaction, typed requests, errors that can be told apart."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.integration.requesters.crm import Crm
from workers.client import (
    InvalidArgumentsError,
    NoSuchJobError,
    NotAllowedError,
    TooLargeError,
    TooManyOpenJobsError,
    WrongStateError,
    cancel,
    enqueue,
    job_status,
    retry,
)
from workers.contract import (
    ExportKeystore,
    GenerateCertificate,
    Ping,
    RekeyCertificate,
    ScanExpiries,
    UploadCertificate,
)
from workers.errors import TransientError


def test_a_job_is_asked_for_in_the_callers_transaction_through_its_door(crm: Crm) -> None:
    with crm.own.transaction(force_rollback=True):
        enqueue(crm.own, Ping(), organization="Acme")
    assert crm.jobs() == 0
    with crm.own.transaction():
        job_id = enqueue(crm.own, GenerateCertificate(label="Web"), organization="ACME")
    row = crm.owner.execute(
        "SELECT kind, arguments, door, requested_by FROM keywright.job WHERE job_id = %s", [job_id]
    ).fetchone()
    assert row == ("certificate.generate", {"label": "Web"}, "python", "requester:crm")
    crm.ask()
    assert crm.one("SELECT door FROM keywright.job ORDER BY job_id DESC") == "sql"


def test_a_connection_with_rows_of_its_own_kind_will_do(crm: Crm) -> None:
    with psycopg.connect(crm.login, autocommit=True, row_factory=dict_row) as own:
        job_id = enqueue(own, Ping(), organization="Acme", unique_key="one")
        assert enqueue(own, Ping(), organization="Acme", unique_key="one") == job_id
        assert job_status(own, job_id).unique_key == "one"
        assert cancel(own, job_id) == "cancelled"
        retry(own, job_id)
        assert job_status(own, job_id).state == "scheduled"


def test_what_became_of_it_is_seen_by_who_asked_for_it(crm: Crm) -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    job = job_status(crm.own, enqueue(crm.own, Ping(), organization="acme", run_at=later))
    assert (job.kind, job.organization, job.state, job.attempt) == (
        *("system.ping", "Acme", "scheduled", 0),
    )
    assert (job.run_at, job.result, job.problem, job.finished_at) == (later, None, None, None)


def test_references_are_sent_as_text(crm: Crm) -> None:
    password = uuid4()
    enqueue(crm.own, ExportKeystore(password=str(password)), organization="Acme")
    assert crm.one("SELECT arguments FROM keywright.job") == {"password": str(password)}


def test_what_is_not_granted_is_told_apart(crm: Crm) -> None:
    for request, organization in ((Ping(), "Rival"), (Ping(), "Nobody"), (ScanExpiries(), "Acme")):
        with pytest.raises(NotAllowedError) as refused:
            enqueue(crm.own, request, organization=organization)
        assert str(refused.value) == (
            "This requester has no grant for this kind of job in this organization."
            " An operator gives one: keywright requester grant."
        )


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", "a\0b"], ids=repr)
def test_a_key_that_will_not_do_is_told_apart(crm: Crm, key: str) -> None:
    with pytest.raises(InvalidArgumentsError):
        enqueue(crm.own, Ping(), organization="Acme", unique_key=key)


def test_arguments_that_will_not_do_are_told_apart(crm: Crm) -> None:
    wrong = GenerateCertificate.model_construct(label=7)
    with pytest.raises(InvalidArgumentsError, match=r"^Label: is to be string\.$"):
        enqueue(crm.own, wrong, organization="Acme")
    large = UploadCertificate.model_construct(unique_name="x", chain="x" * 10_000_000)
    with pytest.raises(TooLargeError, match=r"at most \d+ bytes"):
        enqueue(crm.own, large, organization="Acme")
    with pytest.raises(InvalidArgumentsError):
        enqueue(crm.own, RekeyCertificate.model_construct(unique_name="a\0b"), organization="Acme")


def test_a_full_organization_is_a_reason_to_try_again_later(crm: Crm) -> None:
    crm.owner.execute("UPDATE keywright.organization SET most_open_jobs = 0")
    with pytest.raises(TooManyOpenJobsError) as refused:
        enqueue(crm.own, Ping(), organization="Acme")
    assert isinstance(refused.value, TransientError)


def test_foreign_and_unknown_jobs_are_refused_alike(crm: Crm) -> None:
    foreign = crm.one(
        "INSERT INTO keywright.job (kind, queue, organization_id, max_attempts)"
        " VALUES ('system.ping', 'maintenance', 1, 1) RETURNING job_id"
    )
    for call in (job_status, cancel, retry):
        for job_id in (foreign, 999_999):
            with pytest.raises(NoSuchJobError, match=rf"^This requester has no job {job_id}\.$"):
                call(crm.own, job_id)


def test_what_is_finished_is_not_cancelled_and_what_waits_is_not_retried(crm: Crm) -> None:
    job_id = enqueue(crm.own, Ping(), organization="Acme")
    with pytest.raises(WrongStateError):
        retry(crm.own, job_id)
    cancel(crm.own, job_id)
    with pytest.raises(WrongStateError):
        cancel(crm.own, job_id)


def test_what_else_goes_wrong_is_left_as_it_is(crm: Crm) -> None:
    with crm.own.transaction(force_rollback=True):
        crm.own.execute("SET TRANSACTION READ ONLY")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            enqueue(crm.own, Ping(), organization="Acme")


def test_it_brings_along_nothing_but_the_contract() -> None:
    program = (
        "import sys, workers.client;"
        " print(*sorted({'.'.join(name.split('.')[:2]) for name in sys.modules"
        " if name.startswith('workers.')}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["workers.client", "workers.contract", "workers.errors"]
