"""The ledger forgets what went well long ago, and nothing else."""

from datetime import timedelta

import pytest

from tests.integration.jobs.workbench import Workbench, count, take_over
from tests.servers.waiting import until
from workers.contract import Ping, PurgeJobs
from workers.contract.maintenance import Purged
from workers.database.pool import Connection
from workers.jobs.housekeeping import ping, purge_jobs
from workers.jobs.inspection import cancel_job
from workers.jobs.running import RunningJob


def finished(connection: Connection, number: int, state: str, *, ago: timedelta) -> None:
    """Insert jobs that ended so long ago."""
    connection.execute(
        "INSERT INTO keywright.job (kind, queue, max_attempts, state, finished_at, problem)"
        " SELECT 'test.plain', 'certificates', 1, %s::keywright.job_state, now() - %s, '{}'"
        " FROM generate_series(1, %s)",
        [state, ago, number],
    )


def left(connection: Connection) -> list[str]:
    """Return the states of what is left, the purge itself aside."""
    rows = connection.execute(
        "SELECT state::text FROM keywright.job WHERE kind = 'test.plain' ORDER BY job_id"
    )
    return [found[0] for found in rows]


def test_ping_does_nothing_successfully(workbench: Workbench) -> None:
    job = workbench.execute(ping, Ping())
    assert (job.state, job.result) == ("succeeded", None)


def test_what_went_well_or_was_cancelled_long_ago_is_deleted(
    connection: Connection, workbench: Workbench
) -> None:
    for state in ("succeeded", "failed", "cancelled"):
        finished(connection, 2, state, ago=timedelta(days=31))
        finished(connection, 1, state, ago=timedelta(days=29))
    job = workbench.execute(purge_jobs, PurgeJobs())
    assert (job.state, job.result) == ("succeeded", {"jobs": 4, "messages": 0})
    assert left(connection) == ["succeeded", "failed", "failed", "failed", "cancelled"]


@pytest.mark.parametrize(("days", "deleted"), [(1, 2), (5, 1), (3650, 0)])
def test_how_long_ago_is_the_choice_of_who_asks(
    connection: Connection, workbench: Workbench, days: int, deleted: int
) -> None:
    finished(connection, 1, "succeeded", ago=timedelta(days=3))
    finished(connection, 1, "succeeded", ago=timedelta(days=3000))
    job = workbench.execute(purge_jobs, PurgeJobs(older_than_days=days))
    assert job.result == {"jobs": deleted, "messages": 0}


def test_what_is_not_finished_stays_however_old(
    connection: Connection, workbench: Workbench
) -> None:
    connection.execute(
        "INSERT INTO keywright.job (kind, queue, max_attempts, run_at, enqueued_at)"
        " SELECT 'test.plain', 'certificates', 1, at, at"
        " FROM (VALUES (now() - interval '9 years')) AS long_ago (at)"
    )
    assert workbench.execute(purge_jobs, PurgeJobs()).result == {"jobs": 0, "messages": 0}
    assert left(connection) == ["scheduled"]


def test_a_large_purge_goes_in_batches_with_progress(
    connection: Connection, workbench: Workbench
) -> None:
    finished(connection, 5001, "succeeded", ago=timedelta(days=31))
    job = workbench.execute(purge_jobs, PurgeJobs())
    assert job.result == {"jobs": 5001, "messages": 0}
    assert job.progress is not None
    assert job.progress["done"] == 5001
    assert count(connection) == 1


def test_a_purge_that_lost_its_job_deletes_nothing_more(
    connection: Connection, workbench: Workbench
) -> None:
    finished(connection, 3, "succeeded", ago=timedelta(days=31))

    def overtaken(request: PurgeJobs, job: RunningJob) -> Purged:
        take_over(connection, job.job_id)
        return purge_jobs(request, job)

    job = workbench.execute(overtaken, PurgeJobs())
    assert (job.state, job.worker) == ("running", "other:2")
    assert left(connection) == ["succeeded"] * 3


def test_a_purge_that_was_cancelled_stops_between_its_batches(
    connection: Connection, hasty_workbench: Workbench
) -> None:
    finished(connection, 3, "succeeded", ago=timedelta(days=31))

    def cancelled(request: PurgeJobs, job: RunningJob) -> Purged:
        cancel_job(connection, job.job_id)
        until(lambda: job.cancellation_asked, "the keeper to pass it on")
        return purge_jobs(request, job)

    job = hasty_workbench.execute(cancelled, PurgeJobs())
    assert job.state == "cancelled"
    assert left(connection) == ["succeeded"] * 3
