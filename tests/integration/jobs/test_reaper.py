"""Jobs that nobody works on although somebody should: found, and offered once more."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.integration.jobs.workbench import (
    claim,
    database_clock,
    finish_as,
    let_lease_run_out,
    new_jobs,
    row,
    states,
)
from tests.servers.waiting import until
from workers.database.pool import Connection, Pool
from workers.jobs.claim import finish_jobs
from workers.jobs.inspection import cancel_job
from workers.jobs.reaper import Reaper, reap_expired_leases, recall_stale_hints
from workers.jobs.relay import offer_window


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reapers look twenty times a second."""
    monkeypatch.setattr("workers.jobs.reaper.PERIOD_SECONDS", 0.05)


@pytest.fixture
def silent(connection: Connection) -> int:
    """A job whose worker fell silent during the first of three attempts."""
    [job_id] = new_jobs(connection, 1)
    claim(connection, job_id)
    let_lease_run_out(connection, job_id)
    return job_id


def hinted(connection: Connection, job_id: int, *, seconds_ago: float, hints: int = 1) -> None:
    """Make it seem as if a job had been offered so long ago, for the n-th time."""
    connection.execute(
        "UPDATE keywright.job SET state = 'ready', hints = %s,"
        " hinted_at = now() - make_interval(secs => %s) WHERE job_id = %s",
        [hints, seconds_ago, job_id],
    )


def test_the_job_of_a_silent_worker_is_tried_again_at_once(
    connection: Connection, silent: int
) -> None:
    assert reap_expired_leases(connection) == 1
    job = row(connection, silent)
    assert (job["state"], job["attempt"], job["hints"]) == ("scheduled", 1, 0)
    assert (job["claim"], job["lease_until"], job["finished_at"]) == (None, None, None)
    assert job["run_at"] <= database_clock(connection)
    assert job["problem"] == {
        "type": "urn:keywright:problem:worker-lost",
        "title": "The worker fell silent",
        "detail": "Worker test:1 stopped renewing its lease during attempt 1 of 3.",
        "instance": f"urn:keywright:job:{silent}",
        "attempt": 1,
    }
    assert claim(connection, silent).attempt == 2


def test_without_an_attempt_left_it_fails_and_says_why(connection: Connection, silent: int) -> None:
    connection.execute("UPDATE keywright.job SET attempt = max_attempts")
    assert reap_expired_leases(connection) == 1
    job = row(connection, silent)
    assert (job["state"], job["attempt"]) == ("failed", 3)
    assert job["finished_at"] is not None
    assert job["problem"]["detail"].endswith("attempt 3 of 3.")


def test_one_that_was_asked_to_stop_is_cancelled(connection: Connection, silent: int) -> None:
    cancel_job(connection, silent)
    assert reap_expired_leases(connection) == 1
    job = row(connection, silent)
    assert job["state"] == "cancelled"
    assert job["finished_at"] is not None


def test_a_lease_that_has_not_run_out_is_left_alone(connection: Connection) -> None:
    [running, waiting] = new_jobs(connection, 2)
    claim(connection, running)
    before = [row(connection, running), row(connection, waiting)]
    assert reap_expired_leases(connection) == 0
    assert [row(connection, running), row(connection, waiting)] == before


def test_a_worker_that_wakes_up_finds_its_claim_worthless(
    connection: Connection,
) -> None:
    [job_id] = new_jobs(connection, 1)
    slow = claim(connection, job_id)
    let_lease_run_out(connection, job_id)
    reap_expired_leases(connection)
    assert finish_jobs(connection, [(slow, {"late": True})]) == [False]
    assert row(connection, job_id)["state"] == "scheduled"


def test_a_worker_that_finishes_in_time_is_not_reaped(connection: Connection, silent: int) -> None:
    # The lease ran out, but nobody has noticed yet: the one who holds the claim may still finish.
    [slow] = connection.execute("SELECT claim FROM keywright.job").fetchall()
    connection.execute(
        "UPDATE keywright.job SET state = 'succeeded', claim = NULL, lease_until = NULL,"
        " finished_at = now() WHERE job_id = %s AND claim = %s",
        [silent, slow[0]],
    )
    assert reap_expired_leases(connection) == 0
    assert states(connection) == {silent: "succeeded"}


def test_many_reapers_at_once_reap_each_job_once(connection: Connection, conninfo: str) -> None:
    for job_id in new_jobs(connection, 60):
        claim(connection, job_id)
    connection.execute("UPDATE keywright.job SET lease_until = now() - interval '1 second'")
    together = threading.Barrier(4)

    def reap(_: int) -> int:
        with psycopg.connect(conninfo, autocommit=True) as own:
            together.wait(timeout=30)
            return reap_expired_leases(own)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(reap, range(4))) == 60
    assert set(states(connection).values()) == {"scheduled"}


def test_a_reaper_does_not_wait_for_another(connection: Connection, conninfo: str) -> None:
    for job_id in new_jobs(connection, 2):
        claim(connection, job_id)
    connection.execute("UPDATE keywright.job SET lease_until = now() - interval '1 second'")
    with psycopg.connect(conninfo) as slow:
        assert reap_expired_leases(slow) == 2
        connection.execute("SET statement_timeout = '5s'")
        assert reap_expired_leases(connection) == 0
        slow.rollback()
    assert reap_expired_leases(connection) == 2


def test_a_hint_that_led_to_nothing_for_too_long_is_recalled(connection: Connection) -> None:
    old, fresh = new_jobs(connection, 2)
    hinted(connection, old, seconds_ago=16)
    hinted(connection, fresh, seconds_ago=14)
    assert recall_stale_hints(connection, 15) == 1
    assert states(connection) == {old: "scheduled", fresh: "ready"}
    assert [hint.job_id for hint in offer_window(connection)] == [old]
    assert row(connection, old)["hints"] == 2


@pytest.mark.parametrize(
    ("hints", "patience"), [(1, 15), (2, 30), (3, 60), (11, 15_360), (40, 15_360)]
)
def test_patience_doubles_with_every_hint_up_to_a_limit(
    connection: Connection, hints: int, patience: float
) -> None:
    [job_id] = new_jobs(connection, 1)
    hinted(connection, job_id, seconds_ago=patience - 1, hints=hints)
    assert recall_stale_hints(connection, 15) == 0
    hinted(connection, job_id, seconds_ago=patience + 1, hints=hints)
    assert recall_stale_hints(connection, 15) == 1


def test_hints_of_jobs_that_moved_on_are_not_recalled(connection: Connection) -> None:
    job_ids = new_jobs(connection, 4)
    for job_id, state in zip(job_ids[:3], ("succeeded", "failed", "cancelled"), strict=True):
        hinted(connection, job_id, seconds_ago=1000)
        finish_as(connection, job_id, state)
    hinted(connection, job_ids[3], seconds_ago=1000)
    claim(connection, job_ids[3])
    assert recall_stale_hints(connection, 1) == 0


@pytest.mark.usefixtures("_hasty")
def test_the_reaper_does_both_until_it_is_stopped(
    connection: Connection, pool: Pool, silent: int
) -> None:
    [lost] = new_jobs(connection, 1)
    hinted(connection, lost, seconds_ago=60)
    reaper = Reaper(pool, stale_hint_seconds=30)
    reaper.start()
    until(
        lambda: states(connection) == {silent: "scheduled", lost: "scheduled"}, "both to be found"
    )
    reaper.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "reaper"]


@pytest.mark.usefixtures("_hasty")
def test_the_reaper_goes_on_after_an_error_that_nobody_foresaw(
    connection: Connection, pool: Pool, silent: int
) -> None:
    connection.execute("ALTER TABLE keywright.job RENAME TO job_away")
    reaper = Reaper(pool)
    reaper.start()
    until(lambda: asked_for_jobs(connection), "the reaper to fail")
    connection.execute("ALTER TABLE keywright.job_away RENAME TO job")
    until(lambda: states(connection) == {silent: "scheduled"}, "the reaper to go on")
    reaper.stop()


def asked_for_jobs(connection: Connection) -> bool:
    """Say whether somebody else has sent a statement about jobs."""
    others = connection.execute(
        "SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND query LIKE '%UPDATE keywright.job%'"
    )
    return others.rowcount > 0
