"""The fence: only who holds the claim moves a job, and nobody else ever does."""

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from tests.integration.jobs.workbench import (
    Plain,
    claim,
    database_clock,
    finish_as,
    let_lease_run_out,
    new_jobs,
    row,
)
from workers.database.pool import Connection
from workers.jobs.claim import (
    ClaimedJob,
    claim_job,
    claim_jobs,
    end_cancelled_job,
    fail_job,
    finish_jobs,
    give_back_job,
    record_progress,
    renew_lease,
    renew_leases,
    retry_job_later,
)
from workers.jobs.enqueue import enqueue
from workers.jobs.reaper import reap_expired_leases

Act = Callable[[Connection, ClaimedJob], bool]

ENDING: dict[str, Act] = {
    "finish": lambda connection, job: finish_jobs(connection, [(job, {"done": 1})])[0],
    "fail": lambda connection, job: fail_job(connection, job, {"title": "x"}),
    "retry": lambda connection, job: retry_job_later(connection, job, {"title": "x"}, 60),
    "give back": give_back_job,
    "cancel": end_cancelled_job,
}
GOING_ON: dict[str, Act] = {
    "progress": lambda connection, job: record_progress(connection, job, done=1, total=2),
    "renew": lambda connection, job: renew_lease(connection, job, 60),
    "renew with others": lambda connection, job: (
        job.job_id in renew_leases(connection, {job.job_id: job.claim, 10**6: uuid4()}, 60)
    ),
}


def assert_powerless(connection: Connection, job: ClaimedJob) -> None:
    """Nothing that may be done with a claim does anything to the job with this one."""
    before = row(connection, job.job_id)
    for name, act in (ENDING | GOING_ON).items():
        assert not act(connection, job), name
        assert row(connection, job.job_id) == before, name


@pytest.fixture
def job_id(connection: Connection) -> int:
    """A job that is due."""
    return enqueue(connection, Plain(number=7)).job_id


def test_a_claim_takes_the_job_for_a_lease_and_counts_the_attempt(
    connection: Connection, job_id: int
) -> None:
    claimed = claim_job(connection, job_id, worker="host:1", lease_seconds=30)
    assert claimed is not None
    job = row(connection, job_id)
    assert (job["state"], job["attempt"], job["worker"]) == ("running", 1, "host:1")
    assert job["claim"] == claimed.claim
    assert job["started_at"] == claimed.now
    assert job["lease_until"] == claimed.now + timedelta(seconds=30)
    assert (claimed.kind, claimed.arguments) == ("test.plain", {"number": 7})
    assert (claimed.attempt, claimed.max_attempts) == (1, 3)
    assert abs(claimed.now - database_clock(connection)) < timedelta(seconds=10)


def test_a_second_claim_finds_nothing_to_do(connection: Connection, job_id: int) -> None:
    claim(connection, job_id)
    before = row(connection, job_id)
    assert claim_job(connection, job_id, worker="w", lease_seconds=1) is None
    assert row(connection, job_id) == before


def test_a_job_that_is_not_due_is_not_claimed(connection: Connection) -> None:
    [early] = new_jobs(connection, 1, due=timedelta(seconds=-60))
    assert claim_job(connection, early, worker="w", lease_seconds=1) is None
    assert row(connection, early)["attempt"] == 0


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_finished_job_is_not_claimed(connection: Connection, job_id: int, state: str) -> None:
    finish_as(connection, job_id, state)
    assert claim_job(connection, job_id, worker="w", lease_seconds=1) is None
    assert row(connection, job_id)["state"] == state


def test_a_job_that_is_not_there_is_not_claimed(connection: Connection) -> None:
    assert claim_job(connection, 10**9, worker="w", lease_seconds=1) is None


def test_a_job_without_attempts_left_is_not_claimed(connection: Connection, job_id: int) -> None:
    connection.execute("UPDATE keywright.job SET attempt = max_attempts")
    assert claim_job(connection, job_id, worker="w", lease_seconds=1) is None


def test_a_job_is_claimed_whether_or_not_it_was_offered(
    connection: Connection, job_id: int
) -> None:
    connection.execute("UPDATE keywright.job SET state = 'ready', hinted_at = now(), hints = 1")
    assert claim(connection, job_id).attempt == 1


def test_many_are_claimed_together_and_answered_in_the_order_of_the_question(
    connection: Connection,
) -> None:
    first, taken, second, early = (*new_jobs(connection, 3), *new_jobs(connection, 1))
    claim(connection, taken)
    connection.execute(
        "UPDATE keywright.job SET run_at = now() + interval '1 hour' WHERE job_id = %s", [early]
    )
    asked = [second, 10**9, taken, first, early]
    answer = claim_jobs(connection, asked, worker="w", lease_seconds=30)
    assert [job and job.job_id for job in answer] == [second, None, None, first, None]
    assert answer[0] is not None
    assert answer[3] is not None
    assert answer[0].claim != answer[3].claim
    assert row(connection, second)["claim"] == answer[0].claim
    assert row(connection, first)["claim"] == answer[3].claim


def test_a_job_that_is_named_twice_is_taken_once(connection: Connection, job_id: int) -> None:
    answer = claim_jobs(connection, [job_id, job_id], worker="w", lease_seconds=30)
    [claimed] = [job for job in answer if job is not None]
    job = row(connection, job_id)
    assert (job["attempt"], job["claim"]) == (1, claimed.claim)


def test_none_are_claimed_where_none_are_named(connection: Connection, job_id: int) -> None:
    assert claim_jobs(connection, [], worker="w", lease_seconds=30) == []
    assert row(connection, job_id)["state"] == "scheduled"


def test_the_next_attempt_begins_without_the_progress_of_the_last(
    connection: Connection, job_id: int
) -> None:
    first = claim(connection, job_id)
    record_progress(connection, first, done=3, total=9)
    retry_job_later(connection, first, {"title": "x"}, 0)
    second = claim(connection, job_id)
    assert (second.attempt, second.claim == first.claim) == (2, False)
    assert row(connection, job_id)["progress"] is None


def test_of_many_who_follow_the_same_hints_one_gets_each_job(
    connection: Connection, conninfo: str
) -> None:
    job_ids = new_jobs(connection, 40)
    together = threading.Barrier(6)

    def follow(_: int) -> list[int]:
        with psycopg.connect(conninfo, autocommit=True) as own:
            together.wait(timeout=30)
            return [
                job_id
                for job_id in job_ids
                if claim_job(own, job_id, worker="w", lease_seconds=60) is not None
            ]

    with ThreadPoolExecutor(6) as threads:
        won = [job_id for each in threads.map(follow, range(6)) for job_id in each]
    assert sorted(won) == job_ids
    attempts = connection.execute("SELECT DISTINCT attempt FROM keywright.job").fetchall()
    assert attempts == [(1,)]


def test_a_foreign_claim_moves_nothing(connection: Connection, job_id: int) -> None:
    claimed = claim(connection, job_id)
    assert_powerless(connection, dataclasses.replace(claimed, claim=uuid4()))


def test_a_claim_fits_its_own_job_only(connection: Connection, job_id: int) -> None:
    claimed = claim(connection, job_id)
    [another] = new_jobs(connection, 1)
    claim(connection, another)
    assert_powerless(connection, dataclasses.replace(claimed, job_id=another))


def test_who_was_overtaken_moves_nothing(connection: Connection, job_id: int) -> None:
    slow = claim(connection, job_id)
    let_lease_run_out(connection, job_id)
    assert reap_expired_leases(connection) == 1
    assert_powerless(connection, slow)
    claim(connection, job_id)
    assert_powerless(connection, slow)


@pytest.mark.parametrize("end", ENDING.values(), ids=ENDING)
def test_after_its_end_the_claim_is_worth_nothing(
    connection: Connection, job_id: int, end: Act
) -> None:
    claimed = claim(connection, job_id)
    assert end(connection, claimed)
    assert row(connection, job_id)["claim"] is None
    assert row(connection, job_id)["lease_until"] is None
    assert_powerless(connection, claimed)


def test_with_the_right_claim_the_job_goes_on(connection: Connection, job_id: int) -> None:
    claimed = claim(connection, job_id)
    for act in GOING_ON.values():
        before = row(connection, job_id)
        assert act(connection, claimed)
        assert row(connection, job_id) != before
    assert row(connection, job_id)["state"] == "running"


def test_success_keeps_the_result_and_forgets_the_problem_of_the_last_attempt(
    connection: Connection, job_id: int
) -> None:
    retry_job_later(connection, claim(connection, job_id), {"title": "first"}, 0)
    assert finish_jobs(connection, [(claim(connection, job_id), {"done": 2})]) == [True]
    job = row(connection, job_id)
    assert (job["state"], job["attempt"]) == ("succeeded", 2)
    assert (job["result"], job["problem"]) == ({"done": 2}, None)
    assert job["finished_at"] >= job["started_at"]


def test_many_are_finished_together_each_with_its_own_result(connection: Connection) -> None:
    one, lost, two = (claim(connection, job_id) for job_id in new_jobs(connection, 3))
    foreign = dataclasses.replace(lost, claim=uuid4())
    answer = finish_jobs(connection, [(two, {"n": 2}), (foreign, {"n": 0}), (one, None)])
    assert answer == [True, False, True]
    assert row(connection, one.job_id)["result"] is None
    assert row(connection, two.job_id)["result"] == {"n": 2}
    assert row(connection, lost.job_id)["state"] == "running"
    assert finish_jobs(connection, []) == []


def test_a_failed_job_says_why(connection: Connection, job_id: int) -> None:
    assert fail_job(connection, claim(connection, job_id), {"title": "No such key"})
    job = row(connection, job_id)
    assert (job["state"], job["problem"]) == ("failed", {"title": "No such key"})
    assert job["finished_at"] is not None


def test_another_attempt_waits_for_its_time(connection: Connection, job_id: int) -> None:
    claimed = claim(connection, job_id)
    connection.execute("UPDATE keywright.job SET hints = 3")
    assert retry_job_later(connection, claimed, {"title": "x"}, 90)
    job = row(connection, job_id)
    assert (job["state"], job["attempt"], job["hints"]) == ("scheduled", 1, 0)
    assert timedelta(seconds=80) < job["run_at"] - database_clock(connection)
    assert claim_job(connection, job_id, worker="w", lease_seconds=1) is None


def test_a_job_given_back_has_its_attempt_again_and_is_due(
    connection: Connection, job_id: int
) -> None:
    assert give_back_job(connection, claim(connection, job_id))
    assert row(connection, job_id)["attempt"] == 0
    assert claim(connection, job_id).attempt == 1


def test_progress_says_since_when_and_as_of_when(connection: Connection, job_id: int) -> None:
    claimed = claim(connection, job_id)
    assert record_progress(connection, claimed, done=2**40, total=None)
    progress = row(connection, job_id)["progress"]
    assert (progress["done"], progress["total"]) == (2**40, None)
    assert progress["since"] <= progress["at"]


def test_leases_are_renewed_together_and_say_who_was_asked_to_stop(
    connection: Connection,
) -> None:
    ours = [claim(connection, job_id) for job_id in new_jobs(connection, 3)]
    foreign, ended = (claim(connection, job_id) for job_id in new_jobs(connection, 2))
    finish_jobs(connection, [(ended, None)])
    connection.execute(
        "UPDATE keywright.job SET cancel_asked_at = now() WHERE job_id = %s", [ours[1].job_id]
    )
    claims = {job.job_id: job.claim for job in (*ours, ended)} | {foreign.job_id: uuid4()}
    before = row(connection, foreign.job_id)
    answer = renew_leases(connection, claims, 600)
    assert answer == {ours[0].job_id: False, ours[1].job_id: True, ours[2].job_id: False}
    for job in ours:
        lease_until = row(connection, job.job_id)["lease_until"]
        assert lease_until - database_clock(connection) > timedelta(seconds=500)
    assert row(connection, foreign.job_id) == before
    assert renew_leases(connection, {}, 600) == {}
