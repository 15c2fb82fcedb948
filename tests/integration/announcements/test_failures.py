"""A job that failed is announced, whatever made it fail."""

from typing import Any

from tests.integration.announcements.catalogue import check_announcements
from tests.integration.jobs.workbench import (
    OutOfPaperError,
    Plain,
    Workbench,
    claim,
    let_lease_run_out,
)
from workers.database.pool import Connection
from workers.errors import NotFoundError
from workers.jobs.enqueue import enqueue
from workers.jobs.inspection import retry_job
from workers.jobs.reaper import reap_expired_leases
from workers.jobs.running import RunningJob


def refuse(_request: Plain, _job: RunningJob) -> None:
    """Fail for good."""
    raise NotFoundError("There is no certificate “web”.")


def failures(connection: Connection) -> list[tuple[int | None, str, dict[str, Any]]]:
    """Return organization, subject and data of what was announced of failures."""
    check_announcements(connection)
    return connection.execute(
        "SELECT organization_id, subject, data FROM keywright.announcement"
        " WHERE kind = 'job.failed' ORDER BY announcement_id"
    ).fetchall()


def test_a_job_that_failed_is_announced_without_what_it_held(
    connection: Connection, workbench: Workbench
) -> None:
    job = workbench.execute(refuse)
    assert failures(connection) == [
        (
            None,
            f"job/{job.job_id}",
            {
                "job_id": job.job_id,
                "kind": "test.plain",
                "attempt": 1,
                "requested_by": "database:keywright",
                "door": "sql",
                "problem": {
                    "type": "urn:keywright:problem:not-found",
                    "title": "There is no such thing",
                },
            },
        )
    ]


def test_one_that_is_tried_again_is_not(connection: Connection, workbench: Workbench) -> None:
    def defer(_request: Plain, _job: RunningJob) -> None:
        raise OutOfPaperError("Bring paper.")

    assert workbench.execute(defer).state == "scheduled"
    assert failures(connection) == []


def test_one_of_an_organization_is_announced_in_it(
    connection: Connection, workbench: Workbench, acme: int
) -> None:
    job_id = enqueue(connection, Plain(), organization_id=acme).job_id
    workbench.execute(refuse, Plain(), job_id=job_id)
    assert [row[0] for row in failures(connection)] == [acme]


def test_one_whose_workers_died_too_often_is_announced(connection: Connection) -> None:
    job_id = enqueue(connection, Plain()).job_id
    connection.execute("UPDATE keywright.job SET max_attempts = 1")
    claim(connection, job_id)
    let_lease_run_out(connection, job_id)
    reap_expired_leases(connection)
    [(_, _, data)] = failures(connection)
    assert data["problem"]["type"] == "urn:keywright:problem:worker-lost"


def test_each_failure_is_announced_anew(connection: Connection, workbench: Workbench) -> None:
    job_id = workbench.execute(refuse).job_id
    retry_job(connection, job_id)
    workbench.execute(refuse, Plain(), job_id=job_id)
    assert [row[1] for row in failures(connection)] == [f"job/{job_id}"] * 2
