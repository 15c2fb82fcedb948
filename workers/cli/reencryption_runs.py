"""A run on the screen: begun, as it is, and watched to its end."""

from typing import Any

from rich.console import Console

from workers.cli.output import cell, console, print_json
from workers.cli.reencryption_progress import average_pace, say_how_far, say_where, watch
from workers.cli.reencryption_report import print_report, say_end, say_purpose
from workers.database.pool import Connection
from workers.encryption.registry import list_fields
from workers.errors import ConflictError
from workers.reencryption import store
from workers.reencryption.progress import Progress, read_progress
from workers.reencryption.store import Run


class RunCancelledError(ConflictError):
    """The run that was watched did not come to its end."""


def say_begun(connection: Connection, run_id: int, *, will_watch: bool) -> None:
    """Say that a run was begun, and what it is to do."""
    run = store.load_run(connection, run_id)
    names = ", ".join(_field_names(connection, run))
    follow = "" if will_watch else f" `keywright reencryption show {run_id} --watch` shows it."
    console.print(
        f"Run {run_id} of {run.organization} is to"
        f" {say_purpose(run.purpose, run.target_number)}: {names}.{follow}",
        markup=False,
        soft_wrap=True,
    )


def watch_to_the_end(connection: Connection, run_id: int, *, as_json: bool) -> None:
    """Show a run until it is finished, then its report.

    Raises:
        RunCancelledError: somebody has cancelled it.
    """
    try:
        run = watch(connection, run_id, quiet=as_json)
    except KeyboardInterrupt:
        Console(stderr=True, highlight=False).print(
            f"The run goes on; `keywright reencryption show {run_id} --watch` shows it again."
        )
        raise
    if as_json:
        print_run_json(connection, run_id)
    if run.state == "cancelled":
        raise RunCancelledError(
            f"Run {run_id} was cancelled; `keywright reencryption start` begins with what is left."
        )
    if not as_json:
        print_report(run)


def print_run(connection: Connection, run: Run, progress: Progress) -> None:
    """Print how far a run is."""
    lines = {
        "Run": f"{run.run_id} of {run.organization}",
        "To": say_purpose(run.purpose, run.target_number),
        "Fields": ", ".join(_field_names(connection, run)),
        "State": say_end(run) if run.finished_at else say_where(run, progress),
        "Done": say_how_far(progress),
        "Rate": average_pace(run, progress),
        "Ranges": f"{progress.finished_ranges} of {progress.ranges}",
        "Conflicts": f"{progress.conflicts:,}",
        "Quarantined": f"{progress.quarantined:,}",
        "Waits for": progress.waiting_for,
        "To do": progress.advice,
        "Asked for": f"{cell(run.requested_at)} by {run.requested_by}",
        "Started": cell(run.started_at),
        "Finished": cell(run.finished_at),
    }
    for name, value in lines.items():
        if value:
            console.print(f"{name:12}{value}", markup=False, soft_wrap=True)
    if run.report is not None:
        console.print(f"`keywright reencryption report {run.run_id}` has its report.")


def print_run_json(connection: Connection, run_id: int) -> None:
    """Print a run with how far it is, its plan and its report."""
    run, progress = read_progress(connection, run_id)
    print_json(
        {
            **as_json_value(connection, run),
            "progress": progress,
            "plan": run.plan,
            "report": run.report,
        }
    )


def as_json_value(connection: Connection, run: Run) -> dict[str, Any]:
    """Return a run as it is listed; fields by name."""
    return {
        "run_id": run.run_id,
        "organization": run.organization,
        "purpose": run.purpose,
        "fields": _field_names(connection, run),
        "target_number": run.target_number,
        "state": run.state,
        "waiting_for": run.waiting_for,
        "pass": run.pass_number,
        "zero_censuses": run.zero_censuses,
        "options": run.options,
        "requested_by": run.requested_by,
        "requested_at": run.requested_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def _field_names(connection: Connection, run: Run) -> list[str]:
    return [field.field_name for field in list_fields(connection, field_ids=run.field_ids)]
