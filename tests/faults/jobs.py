"""Jobs whose effect can be counted, and that can be held at any point by the test."""

import os
import signal
import time
from collections.abc import Mapping
from typing import ClassVar

from workers.contract import JobRequest, Queue
from workers.database.pool import Connection
from workers.jobs.execution import Handler
from workers.jobs.running import RunningJob

TABLES = """
CREATE TABLE mark (job_id bigint NOT NULL, attempt integer NOT NULL);
CREATE TABLE arrival (job_id bigint NOT NULL, attempt integer NOT NULL, worker integer NOT NULL);
CREATE TABLE gate (opened boolean NOT NULL);
"""


class LeaveMark(JobRequest):
    """Leave one mark, in the transaction that ends the job; held jobs wait for the gate first.

    Those that are ``alone`` let nobody else leave a mark from their beginning to their end.
    """

    kind: ClassVar[str] = "test.mark"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    retry_base_seconds: ClassVar[float] = 0.2

    held: bool = False
    alone: bool = False


class KillWorker(JobRequest):
    """Kill the worker process that runs it: a poisonous job."""

    kind: ClassVar[str] = "test.poison"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    max_attempts: ClassVar[int] = 2


class WalkFar(JobRequest):
    """A long job of many checkpoints that listens to cancellation and shutdown."""

    kind: ClassVar[str] = "test.walk"
    queue: ClassVar[Queue] = Queue.ENCRYPTION

    steps: int


def leave_mark(request: LeaveMark, job: RunningJob) -> None:
    """Arrive, wait for the gate if held, and leave a mark together with the job's end."""
    if request.alone:
        job.connection.execute("LOCK TABLE mark IN EXCLUSIVE MODE")
    if request.held:
        _arrive(job)
        while not _gate_is_open(job):
            time.sleep(0.02)
    job.connection.execute(
        "INSERT INTO mark (job_id, attempt) VALUES (%s, %s)", [job.job_id, job.claimed.attempt]
    )


def kill_worker(_request: KillWorker, _job: RunningJob) -> None:
    """End this process as the kernel's out-of-memory killer would."""
    os.kill(os.getpid(), signal.SIGKILL)


def walk_far(request: WalkFar, job: RunningJob) -> None:
    """Mark each step in a checkpoint; go on where the last attempt ended."""
    while True:
        job.stop_if_asked()
        with job.checkpoint() as connection:
            done = _count(connection, job.job_id)
            if done >= request.steps:
                return
            connection.execute(
                "INSERT INTO mark (job_id, attempt) VALUES (%s, %s)",
                [job.job_id, job.claimed.attempt],
            )
        job.report_progress(done + 1, request.steps)
        time.sleep(0.02)


HANDLERS: Mapping[type[JobRequest], Handler] = {
    LeaveMark: leave_mark,
    KillWorker: kill_worker,
    WalkFar: walk_far,
}


def _arrive(job: RunningJob) -> None:

    with job.checkpoint() as connection:
        connection.execute(
            "INSERT INTO arrival (job_id, attempt, worker) VALUES (%s, %s, %s)",
            [job.job_id, job.claimed.attempt, os.getpid()],
        )


def _gate_is_open(job: RunningJob) -> bool:
    with job.checkpoint() as connection:
        row = connection.execute("SELECT count(*) FROM gate").fetchone()
    assert row is not None
    return bool(row[0])


def _count(connection: Connection, job_id: int) -> int:
    row = connection.execute("SELECT count(*) FROM mark WHERE job_id = %s", [job_id]).fetchone()
    assert row is not None
    return int(row[0])
