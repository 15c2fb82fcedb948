"""Moves due jobs from the ledger to the transport: "look at job N".

Only a window of jobs is offered at a time; the backlog waits in Postgres, where it can be sorted,
counted and cancelled. A job is marked ready before its hint goes out, so a crash in between costs a
pause (see ``reaper.recall_stale_hints``), never a job.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from workers.contract import Queue
from workers.database.pool import Connection, Pool
from workers.errors import TransientError
from workers.jobs.hints import Hint

log = structlog.get_logger(__name__)

WINDOW = 1000
"""Most hints per queue that may be waiting on the broker."""

_PAUSE_AFTER_TROUBLE = 1.0


def offer_window(connection: Connection, window: int = WINDOW) -> list[Hint]:
    """Mark due jobs as ready until each queue has ``window`` of them; return their hints."""
    rows = connection.execute(
        """
        UPDATE keywright.job
           SET state = 'ready', hinted_at = clock_timestamp(), hints = hints + 1
         WHERE job_id IN (
               SELECT due.job_id
                 FROM unnest(enum_range(NULL::keywright.queue)) AS each (queue)
                CROSS JOIN LATERAL (
                      SELECT job_id
                        FROM keywright.job
                       WHERE state = 'scheduled' AND job.queue = each.queue AND run_at <= now()
                       ORDER BY run_at, job_id
                       LIMIT greatest(0, %(window)s - (
                             SELECT count(*) FROM keywright.job AS offered
                              WHERE offered.state = 'ready' AND offered.queue = each.queue))
                         FOR UPDATE SKIP LOCKED) AS due)
        RETURNING job_id, queue, run_at
        """,
        {"window": window},
    ).fetchall()
    return _in_order(rows)


def offer_some(connection: Connection, queues: Sequence[Queue], room: int) -> list[Hint]:
    """Mark up to ``room`` due jobs of ``queues`` as ready, most urgent queue first."""
    rows = connection.execute(
        """
        UPDATE keywright.job
           SET state = 'ready', hinted_at = clock_timestamp(), hints = hints + 1
         WHERE job_id IN (
               SELECT job_id
                 FROM keywright.job
                WHERE state = 'scheduled' AND queue = ANY (%(queues)s::keywright.queue[])
                  AND run_at <= now()
                ORDER BY queue, run_at, job_id
                LIMIT %(room)s
                  FOR UPDATE SKIP LOCKED)
        RETURNING job_id, queue, run_at
        """,
        {"queues": [queue.value for queue in queues], "room": room},
    ).fetchall()
    return _in_order(rows)


def _in_order(rows: Sequence[tuple[int, str, datetime]]) -> list[Hint]:
    """Return hints by the time their jobs became due; an UPDATE returns its rows anyhow."""
    by_due_time = sorted(rows, key=lambda row: (row[2], row[0]))
    return [Hint(job_id, Queue(queue)) for job_id, queue, _ in by_due_time]


def withdraw(connection: Connection, job_ids: Sequence[int]) -> None:
    """Take back offers whose hints certainly, or possibly, did not get through."""
    connection.execute(
        """
        UPDATE keywright.job
           SET state = 'scheduled', hints = 0
         WHERE job_id = ANY (%(job_ids)s) AND state = 'ready'
        """,
        {"job_ids": list(job_ids)},
    )


def broker_step(
    pool: Pool, publish: Callable[[Sequence[Hint]], set[int]], *, window: int = WINDOW
) -> Callable[[], int]:
    """Return the relay step that hands hints to a message broker through ``publish``."""

    def step() -> int:
        with pool.connection() as connection:
            hints = offer_window(connection, window)
        if not hints:
            return 0
        try:
            unconfirmed = publish(hints)
        except TransientError:
            with pool.connection() as connection:
                withdraw(connection, [hint.job_id for hint in hints])
            raise
        if unconfirmed:
            log.warning("hints were not confirmed", count=len(unconfirmed))
            with pool.connection() as connection:
                withdraw(connection, list(unconfirmed))
            # Rest before the next try: the broker has just shown that it is in trouble.
            time.sleep(_PAUSE_AFTER_TROUBLE)
        return len(hints)

    return step
