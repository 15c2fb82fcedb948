"""Waiting for a job in front of a progress bar."""

import time

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from workers.cli.jobs import describe_progress
from workers.cli.output import console
from workers.database.pool import Connection
from workers.errors import KeywrightError
from workers.jobs.inspection import JobDetails, show_job

_FINISHED = ("succeeded", "failed", "cancelled")


class JobDidNotSucceedError(KeywrightError):
    """The job that was waited for ended otherwise than well."""


def wait_for_job(connection: Connection, job_id: int, *, quiet: bool) -> JobDetails:
    """Return the job when it is finished, however it ended."""
    with Progress(
        SpinnerColumn(),
        TextColumn("job {task.fields[job_id]}: {task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=quiet,
    ) as progress:
        task = progress.add_task("waiting", total=None, job_id=job_id)
        while True:
            job = show_job(connection, job_id)
            if job.state in _FINISHED:
                return job
            if job.progress:
                progress.update(
                    task,
                    description=describe_progress(job.progress),
                    completed=job.progress["done"],
                    total=job.progress["total"],
                )
            else:
                progress.update(task, description=job.state)
            time.sleep(0.1)


def check_succeeded(job: JobDetails) -> None:
    """Refuse a job that ended otherwise than well.

    Raises:
        JobDidNotSucceedError: with the reason that the job gives.
    """
    if job.state != "succeeded":
        reason = (job.problem or {}).get("detail", "no reason was recorded")
        raise JobDidNotSucceedError(f"Job {job.job_id} {job.state}: {reason}")


def describe_success(job: JobDetails) -> str:
    """Say that a job succeeded, and with what result."""
    if not job.result:
        return f"Job {job.job_id} succeeded."
    result = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in job.result.items())
    return f"Job {job.job_id} succeeded: {result}."
