"""The jobs that make certificates, in the hands of workers: twice, cut off, and together."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.certificates.issuance.workshop import QUICK, Workshop
from tests.integration.jobs.workbench import Workbench, let_lease_run_out, problem
from tests.servers.waiting import until
from workers.certificates.issuance import drafts
from workers.certificates.issuance.key_types import generate_key
from workers.certificates.private_keys import PrivateKey
from workers.contract.certificates import (
    CopyCertificate,
    GenerateCertificate,
    KeyType,
    RekeyCertificate,
    Subject,
)
from workers.jobs.inspection import JobDetails, show_job
from workers.jobs.interruption import ShutdownRequested
from workers.jobs.reaper import reap_expired_leases

SIGNING = GenerateCertificate(label="Signing", profile="signing")


@pytest.fixture
def while_generating(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something happen while a key is being generated."""

    def arrange(happen: Callable[[], object]) -> None:
        def generate(key_type: KeyType) -> PrivateKey:
            happen()
            return generate_key(key_type)

        monkeypatch.setattr(drafts, "generate_key", generate)

    return arrange


def job(acme: Workshop, job_id: int) -> JobDetails:
    return show_job(acme.connection, job_id)


def result(details: JobDetails) -> dict[str, Any]:
    assert details.state == "succeeded", details.problem
    assert details.result is not None
    return details.result


def test_a_job_makes_a_certificate_and_says_which(acme: Workshop, workers: Workbench) -> None:
    done = acme.execute(workers, SIGNING)
    [version] = acme.versions("Signing")
    assert result(done) == {
        "certificate_id": version["certificate_id"],
        "version_id": version["version_id"],
        "unique_name": "Signing",
        "version_number": 1,
        "status": "valid",
        "not_after": version["not_after"].isoformat().replace("+00:00", "Z"),
        "made": True,
        "warnings": [],
    }
    assert acme.announced()[0][2]["requested_by"] == f"job {done.job_id}"


def test_a_job_copies_and_another_rekeys(acme: Workshop, workers: Workbench) -> None:
    acme.generate("a")
    assert result(acme.execute(workers, CopyCertificate(source="a", label="b")))["made"]
    rekeyed = result(acme.execute(workers, RekeyCertificate(unique_name="b", expected_version=1)))
    assert (rekeyed["unique_name"], rekeyed["version_number"]) == ("b", 2)
    late = result(acme.execute(workers, RekeyCertificate(unique_name="b", expected_version=1)))
    assert late == {**rekeyed, "made": False}
    assert len(acme.versions("b")) == 2


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (SIGNING, "unique_name: taken already: “Signing”"),
        (GenerateCertificate(label="b", key_type="P-256"), "key_type: P-256 is none of"),
        (CopyCertificate(source="x", label="b"), "There is no certificate named “x”"),
        (RekeyCertificate(unique_name="x"), "There is no certificate named “x”"),
    ],
)
def test_a_job_that_cannot_be_done_fails_at_once_with_the_reason(
    acme: Workshop, workers: Workbench, request_: Any, said: str
) -> None:
    acme.generate("Signing")
    done = acme.execute(workers, request_)
    assert (done.state, done.attempt) == ("failed", 1)
    assert problem(done)["detail"].startswith(said)
    assert list(acme.rows()) == ["Signing"]


def test_a_job_of_no_organization_fails(acme: Workshop, workers: Workbench) -> None:
    done = workers.execute(acme.handlers()[GenerateCertificate], SIGNING)
    assert problem(done)["detail"].startswith("organization: certificate.generate")


def test_a_message_that_comes_twice_makes_one(acme: Workshop, workers: Workbench) -> None:
    job_id = acme.ask(SIGNING)
    execution = workers.execution(acme.handlers())
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(execution.execute, [job_id] * 8))
    assert job(acme, job_id).state == "succeeded"
    assert len(acme.versions("Signing")) == 1
    assert len(acme.announced()) == 1


def test_two_jobs_for_one_name_make_one(acme: Workshop, workers: Workbench) -> None:
    jobs = [acme.ask(SIGNING) for _ in range(6)]
    execution = workers.execution(acme.handlers())
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(execution.execute, jobs))
    assert sorted(job(acme, each).state for each in jobs) == ["failed"] * 5 + ["succeeded"]
    assert len(acme.versions("Signing")) == 1


def test_jobs_that_rekey_at_the_same_time_make_one_version(
    acme: Workshop,
    workers: Workbench,
    while_generating: Callable[[Callable[[], object]], None],
) -> None:
    acme.generate("a")
    both = threading.Barrier(2)
    while_generating(lambda: both.wait(10))
    jobs = [acme.ask(RekeyCertificate(unique_name="a")) for _ in range(2)]
    execution = workers.execution(acme.handlers())
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(execution.execute, jobs))
    assert sorted(result(job(acme, each))["made"] for each in jobs) == [False, True]
    assert [result(job(acme, each))["version_number"] for each in jobs] == [2, 2]
    assert len(acme.versions("a")) == 2


def test_nothing_is_held_while_a_key_is_generated(
    acme: Workshop,
    workers: Workbench,
    while_generating: Callable[[Callable[[], object]], None],
) -> None:
    seen: list[Any] = []

    def look() -> None:
        with workers.pool.connection(), workers.pool.connection(timeout=1):  # all there are
            seen.append(
                acme.connection.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND state <> 'idle' AND pid <> %s"
                    "   AND backend_type = 'client backend'",
                    [acme.connection.info.backend_pid],
                ).fetchone()
            )

    while_generating(look)
    assert acme.execute(workers, SIGNING).state == "succeeded"
    assert acme.execute(workers, RekeyCertificate(unique_name="Signing")).state == "succeeded"
    assert seen == [(0,), (0,)]


def test_a_certificate_that_appears_meanwhile_keeps_its_name(
    acme: Workshop,
    workers: Workbench,
    while_generating: Callable[[Callable[[], object]], None],
) -> None:
    first = iter((True,))

    def somebody_else() -> None:
        if next(first, False):
            acme.generate("Signing", **QUICK)

    while_generating(somebody_else)
    done = acme.execute(workers, SIGNING)
    assert (done.state, problem(done)["type"]) == ("failed", "urn:keywright:problem:conflict")
    assert len(acme.versions("Signing")) == 1


def test_a_worker_that_dies_with_a_key_leaves_nothing_and_another_makes_one(
    acme: Workshop,
    workers: Workbench,
    while_generating: Callable[[Callable[[], object]], None],
) -> None:
    attempts: list[int] = []

    def die_once() -> None:
        attempts.append(1)
        if len(attempts) == 1:  # as after kill -9: nobody records anything, the lease runs out
            let_lease_run_out(acme.connection, job_id)
            assert reap_expired_leases(acme.connection) == 1
            execution.execute(job_id)

    while_generating(die_once)
    job_id = acme.ask(SIGNING)
    execution = workers.execution(acme.handlers())
    execution.execute(job_id)
    assert result(job(acme, job_id))["version_number"] == 1
    assert (len(attempts), job(acme, job_id).attempt) == (2, 2)
    assert len(acme.versions("Signing")) == 1
    assert len(acme.announced()) == 1


def test_a_worker_that_stops_gives_the_job_back_and_keeps_nothing(
    acme: Workshop,
    workers: Workbench,
    while_generating: Callable[[Callable[[], object]], None],
) -> None:
    def stop() -> None:
        raise ShutdownRequested

    while_generating(stop)
    done = acme.execute(workers, SIGNING)
    assert (done.state, done.attempt) == ("scheduled", 0)
    assert acme.rows() == {}


def test_a_job_that_is_cancelled_meanwhile_keeps_nothing(
    acme: Workshop, workers: Workbench
) -> None:
    def handle(request: Any, running: Any) -> Any:
        running.cancellation_asked = True
        return acme.handlers()[GenerateCertificate](request, running)

    done = workers.execute(handle, SIGNING, job_id=acme.ask(SIGNING))
    assert done.state == "cancelled"
    assert acme.rows() == {}


def test_a_large_key_holds_up_neither_the_keeper_nor_other_jobs(
    acme: Workshop, workers: Workbench
) -> None:
    slow = [acme.ask(GenerateCertificate(label=f"slow {n}", key_type="RSA-4096")) for n in range(2)]
    execution = workers.execution(acme.handlers())
    with ThreadPoolExecutor(2) as threads:
        ends = [threads.submit(execution.execute, each) for each in slow]
        until(
            lambda: all(job(acme, each).state in ("running", "succeeded") for each in slow),
            "both are being worked on",
        )
        quick = acme.execute(workers, SIGNING)
        for end in ends:
            end.result()
    assert quick.finished_at is not None
    assert quick.started_at is not None
    assert quick.finished_at - quick.started_at < timedelta(seconds=2)
    assert all(job(acme, each).state == "succeeded" for each in slow)


def test_what_a_ca_is_to_sign_is_made_by_a_job_too(acme: Workshop, workers: Workbench) -> None:
    request = GenerateCertificate(
        label="TLS", ca_signed=True, profile="tls_client", subject=Subject(common_name="crm")
    )
    assert result(acme.execute(workers, request))["status"] == "unusable"
