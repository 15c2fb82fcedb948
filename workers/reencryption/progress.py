"""How far a run is, who works on it, and what it waits for: for people who watch."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from psycopg.rows import class_row

from workers.database.pool import Connection
from workers.reencryption import ranges, store
from workers.reencryption.store import Run

_PATIENCE = timedelta(seconds=5)
"""How late a job may be before somebody should be told."""


@dataclass(frozen=True, kw_only=True)
class Hands:
    """The unfinished jobs of a run, and why the latest failed where there are none."""

    running: int
    waiting: int
    due_since: datetime | None
    next_at: datetime | None
    silent_since: datetime | None
    failure: str | None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is: rows of its present phase, ``total`` None before there is a plan.

    ``advice`` is what somebody should do about it, if anything.
    """

    at: datetime
    phase: Literal["starting", "rewriting", "verifying", "finished"]
    done: int
    total: int | None
    ranges: int
    finished_ranges: int
    conflicts: int
    quarantined: int
    waiting_for: str | None
    advice: str | None


def read_progress(connection: Connection, run_id: int) -> tuple[Run, Progress]:
    """Return a run and how far it is, all as of one moment.

    Raises:
        NotFoundError: there is no such run.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        run = store.load_run(connection, run_id)
        row: Any = connection.execute("SELECT clock_timestamp()").fetchone()
        is_check = "verifying" in (run.state, run.resume_state)
        here = ranges.totals(
            connection,
            run_id,
            is_check=is_check,
            pass_number=run.pass_number if is_check else None,
        )
        written = ranges.totals(connection, run_id, is_check=False) if is_check else here
        hands = read_hands(connection, run)
    return run, Progress(
        at=row[0],
        phase=_phase(run),
        done=here.rewritten,
        total=planned_total(run, here.rewritten, is_check=is_check),
        ranges=here.ranges,
        finished_ranges=here.finished,
        conflicts=written.conflicts,
        quarantined=here.quarantined,
        waiting_for=run.waiting_for,
        advice=advise(run, hands, now=row[0]),
    )


def _phase(run: Run) -> Literal["starting", "rewriting", "verifying", "finished"]:
    state = run.resume_state or run.state
    if state in ("starting", "rewriting", "verifying"):
        return state
    return "finished"


def planned_total(run: Run, done: int, *, is_check: bool) -> int | None:
    """Return how many rows a run has to write, or to check; None before there is a plan."""
    if run.plan is None:
        return None
    planned = sum(table["rows" if is_check else "due_rows"] for table in run.plan["tables"])
    # The application may write more than there was.
    return max(int(planned), done)


def read_hands(connection: Connection, run: Run) -> Hands:
    """Return who is at work on a run."""
    with connection.cursor(row_factory=class_row(Hands)) as cursor:
        hands = cursor.execute(
            """
            SELECT count(*) FILTER (WHERE state = 'running') AS running,
                   count(*) FILTER (WHERE state IN ('scheduled', 'ready')) AS waiting,
                   min(run_at) FILTER (WHERE state IN ('scheduled', 'ready') AND run_at <= now())
                       AS due_since,
                   min(run_at) FILTER (WHERE state = 'scheduled' AND run_at > now()) AS next_at,
                   min(lease_until) FILTER (WHERE state = 'running' AND lease_until < now())
                       AS silent_since,
                   (SELECT problem ->> 'detail' FROM keywright.job
                     WHERE state = 'failed' AND finished_at >= %(since)s
                       AND kind LIKE 'reencryption.%%' AND arguments ->> 'run_id' = %(run)s
                     ORDER BY finished_at DESC LIMIT 1) AS failure
              FROM keywright.job
             WHERE state IN ('scheduled', 'ready', 'running')
               AND kind IN ('reencryption.prepare', 'reencryption.work', 'reencryption.conclude')
               AND organization_id = %(organization_id)s AND arguments ->> 'run_id' = %(run)s
            """,
            {
                "organization_id": run.organization_id,
                "run": str(run.run_id),
                "since": run.requested_at,
            },
        ).fetchone()
    assert hands is not None
    return hands


def advise(run: Run, hands: Hands, *, now: datetime) -> str | None:
    """Say what somebody should do so that the run goes on; None: nothing, or it is finished."""
    resume = f"`keywright reencryption resume {run.run_id}`"
    if run.state in ("completed", "cancelled"):
        return None
    if run.state == "paused":
        return f"{resume} lets it go on"
    if not hands.running and not hands.waiting:
        why = f" ({hands.failure.rstrip('.')})" if hands.failure else ""
        return f"no job works on it any more{why}; {resume} asks for new ones"
    if hands.silent_since is not None and now - hands.silent_since > _PATIENCE:
        seconds = (now - hands.silent_since).total_seconds()
        return (
            f"its worker was to be heard of {seconds:,.0f} s ago; a scheduler gives its job to"
            " another (`keywright scheduler`)"
        )
    if hands.running:
        return None
    if hands.due_since is not None and now - hands.due_since > _PATIENCE:
        seconds = (now - hands.due_since).total_seconds()
        return (
            f"its next job has been due for {seconds:,.0f} s and nobody takes it; is a worker"
            " running (`keywright worker`), and a scheduler?"
        )
    if hands.due_since is None and hands.next_at is not None:
        seconds = (hands.next_at - now).total_seconds()
        return f"it goes on in {max(seconds, 1):,.0f} s"
    return None
