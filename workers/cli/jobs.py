"""``keywright job``."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from workers.cli.output import (
    JsonOption,
    cell,
    console,
    in_words,
    print_json,
    print_rows,
    print_table,
)
from workers.cli.session import open_session
from workers.contract import JOB_REQUESTS
from workers.contract.request import COMMON_PROBLEMS
from workers.jobs import inspection


class JobState(StrEnum):
    """The states a job can be in."""

    SCHEDULED = "scheduled"
    READY = "ready"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(no_args_is_help=True, help="Jobs: see, retry and cancel them.")
    group.command("list")(list_jobs)
    group.command("show")(show)
    group.command("retry")(retry)
    group.command("cancel")(cancel)
    group.command("kinds")(kinds)
    app.add_typer(group, name="job")


def list_jobs(
    *,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind, such as expiry.scan.")] = None,
    before: Annotated[int | None, typer.Option(help="Only jobs older than this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first.

    Example: `keywright job list --state failed`
    """
    with open_session() as connection:
        rows = inspection.list_jobs(
            connection,
            state=state.value if state else None,
            kind=kind,
            before=before,
            limit=limit,
        )
    print_rows(
        rows,
        {
            "job_id": "Job",
            "kind": "Kind",
            "organization": "Organization",
            "state": "State",
            "attempt": "Attempt",
            "run_at": "Due",
            "finished_at": "Finished",
            "problem_title": "Problem",
        },
        as_json=as_json,
        empty="There are no such jobs.",
    )
    if len(rows) == limit and not as_json:
        console.print(f"Older ones: --before {rows[-1].job_id}")


def show(job_id: int, *, as_json: JsonOption = False) -> None:
    """Show all there is to know of one job, its progress and its problem included.

    Example: `keywright job show 42 --json`
    """
    with open_session() as connection:
        job = inspection.show_job(connection, job_id)
    if as_json:
        print_json(job)
        return
    lines: dict[str, Any] = {
        "Job": job.job_id,
        "Kind": job.kind,
        "Queue": job.queue,
        "Organization": job.organization,
        "Asked for by": f"{job.requested_by} ({job.door})",
        "State": job.state,
        "Attempt": f"{job.attempt} of {job.max_attempts}",
        "Arguments": job.arguments or None,
        "Unique key": job.unique_key,
        "Enqueued": job.enqueued_at,
        "Due": job.run_at,
        "Started": job.started_at,
        "Worker": job.worker,
        "Lease until": job.lease_until,
        "Cancel asked": job.cancel_asked_at,
        "Finished": job.finished_at,
        "Progress": describe_progress(job.progress) if job.progress else None,
        "Result": job.result,
        "Problem": job.problem and job.problem.get("title"),
        "": job.problem and job.problem.get("detail"),
    }
    for name, value in lines.items():
        if value is not None:
            console.print(f"{name:14}{cell(value)}", markup=False)


def retry(job_id: int) -> None:
    """Let a failed or cancelled job begin anew, with all its attempts.

    Example: `keywright job retry 42`
    """
    with open_session() as connection:
        inspection.retry_job(connection, job_id)
    console.print(f"Job {job_id} is scheduled again.")


def cancel(job_id: int) -> None:
    """Cancel a job; a running one ends at its next checkpoint.

    Example: `keywright job cancel 42`
    """
    with open_session() as connection:
        state = inspection.cancel_job(connection, job_id)
    console.print(
        f"Job {job_id} was cancelled."
        if state == "cancelled"
        else f"Job {job_id} is running and was asked to end at its next checkpoint."
    )


def kinds(*, as_json: JsonOption = False) -> None:
    """List the kinds of job; with --json also the schemas of their arguments and results.

    Example: `keywright job kinds --json`
    """
    if as_json:
        print_json(
            [
                {
                    "kind": each.kind,
                    "queue": each.queue.value,
                    "for_requesters": each.for_requesters,
                    "most_bytes": each.most_bytes,
                    "max_attempts": each.max_attempts,
                    "arguments": each.model_json_schema(),
                    "result": each.result and each.result.model_json_schema(mode="serialization"),
                    "problems": [*COMMON_PROBLEMS, *each.problems],
                }
                for each in JOB_REQUESTS
            ]
        )
        return
    print_table(
        ("Kind", "For", "What it does"),
        (
            [
                each.kind,
                "requesters" if each.for_requesters else "operators",
                (each.__doc__ or "").splitlines()[0],
            ]
            for each in JOB_REQUESTS
        ),
    )


def describe_progress(progress: dict[str, Any]) -> str:
    """Say how far a job is: done, total, rate and time left, as far as they are known."""
    done, total = progress["done"], progress["total"]
    since, at = (datetime.fromisoformat(progress[key]) for key in ("since", "at"))
    seconds = (at - since).total_seconds()
    text = f"{done:,}" if total is None else f"{done:,} of {total:,} ({done / max(total, 1):.0%})"
    if seconds > 0 and done:
        rate = done / seconds
        text += f", {rate:,.0f}/s"
        if total is not None and total > done:
            left = timedelta(seconds=(total - done) / rate)
            text += f", about {in_words(left)} left"
    age = datetime.now(UTC) - at  # noqa: TID251  # the edge: how old the report is for the reader
    return text if age < timedelta(seconds=10) else f"{text} (as of {in_words(age)} ago)"
