"""Moves due jobs from the ledger to the transport: "look at job N".

Only a window of jobs is offered at a time; the backlog waits in Postgres, where it can be sorted,
counted and cancelled. A job is marked ready before its hint goes out, so a crash in between costs a
pause (see ``reaper.recall_stale_hints``), never a job.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog

from workers.contract import Queue
from workers.database.pool import Connection, Pool
from workers.errors import TransientError
from workers.jobs.fairness import Pace
from workers.jobs.hints import Hint

log = structlog.get_logger(__name__)

WINDOW = 1000
"""Most hints per queue that may be waiting on the broker."""

_PAUSE_AFTER_TROUBLE = 1.0


def offer_window(
    connection: Connection,
    window: int = WINDOW,
    *,
    bounds: Mapping[Queue, int] | None = None,
) -> list[Hint]:
    """Mark due jobs as ready until each queue has ``window`` of them; return their hints.

    Organizations take turns, and none has more than its queue's bound of jobs on offer: what is
    offered waits first in, first out, and a newcomer must not stand behind many of another.
    """
    bounds = bounds or {}
    rows = connection.execute(
        f"""
        WITH RECURSIVE on_offer AS MATERIALIZED (
            SELECT queue, coalesce(organization_id, 0) AS owner, count(*) AS jobs
              FROM keywright.job WHERE state = 'ready'
             GROUP BY queue, coalesce(organization_id, 0)
        ), queued AS MATERIALIZED (
            SELECT queue, bound,
                   %(window)s - coalesce((SELECT sum(jobs) FROM on_offer
                                           WHERE on_offer.queue = each.queue), 0) AS room
              FROM unnest(%(queues)s::keywright.queue[], %(bounds)s::bigint[])
                   AS each (queue, bound)
        ), {_TURNS}, chosen AS (
            SELECT job_id, turn
              FROM (SELECT job_id, turn, room,
                           row_number() OVER (PARTITION BY queue ORDER BY turn, run_at, job_id)
                               AS place
                      FROM turns) AS placed
             WHERE place <= room
        )
        {_OFFER}
        """,
        {
            "window": window,
            "queues": [queue.value for queue in Queue],
            "bounds": [min(bounds.get(queue, window), window) for queue in Queue],
        },
        # Planned each time: a plan of when the table was empty does not do for a flood.
        prepare=False,
    ).fetchall()
    return _in_order(rows)


def offer_some(connection: Connection, queues: Sequence[Queue], room: int) -> list[Hint]:
    """Mark up to ``room`` due jobs of ``queues`` as ready, most urgent queue first.

    Within a queue, organizations take turns.
    """
    rows = connection.execute(
        f"""
        WITH RECURSIVE on_offer AS (
            SELECT NULL::keywright.queue AS queue, NULL::bigint AS owner, 0 AS jobs
             WHERE false
        ), queued AS MATERIALIZED (
            SELECT queue, %(room)s::bigint AS bound, %(room)s::bigint AS room
              FROM unnest(%(queues)s::keywright.queue[]) AS queue
        ), {_TURNS}, chosen AS (
            SELECT job_id, turn FROM turns ORDER BY queue, turn, run_at, job_id LIMIT %(room)s
        )
        {_OFFER}
        """,
        {"queues": [queue.value for queue in queues], "room": room},
        prepare=False,
    ).fetchall()
    return _in_order(rows)


# Who has something waiting in a queue is found by leaping through the index from one organization
# to the next, never by reading its jobs; 0 is keywright itself. A queue in which nothing is due
# costs one look.
_TURNS = """
        party AS (
            SELECT queue, bound, room,
                   (SELECT coalesce(organization_id, 0) FROM keywright.job
                     WHERE state = 'scheduled' AND job.queue = queued.queue
                     ORDER BY coalesce(organization_id, 0) LIMIT 1) AS owner
              FROM queued
             WHERE room > 0 AND EXISTS (
                   SELECT FROM keywright.job
                    WHERE state = 'scheduled' AND job.queue = queued.queue
                      AND run_at AT TIME ZONE 'UTC' <= now() AT TIME ZONE 'UTC')
            UNION ALL
            SELECT queue, bound, room,
                   (SELECT coalesce(organization_id, 0) FROM keywright.job
                     WHERE state = 'scheduled' AND job.queue = party.queue
                       AND coalesce(organization_id, 0) > party.owner
                     ORDER BY coalesce(organization_id, 0) LIMIT 1)
              FROM party
             WHERE owner IS NOT NULL
        ), turns AS MATERIALIZED (
            SELECT party.queue, room, due.job_id, due.run_at,
                   row_number() OVER (PARTITION BY party.queue, owner
                                      ORDER BY due.run_at, due.job_id) AS turn
              FROM party
             CROSS JOIN LATERAL (
                   SELECT least(room, bound - coalesce(sum(jobs), 0)) AS most FROM on_offer
                    WHERE on_offer.queue = party.queue AND on_offer.owner = party.owner
                   ) AS allowed
             CROSS JOIN LATERAL (
                   SELECT job_id, run_at FROM keywright.job
                    WHERE state = 'scheduled' AND job.queue = party.queue
                      AND coalesce(organization_id, 0) = party.owner AND run_at <= now()
                    ORDER BY run_at, job_id
                    LIMIT greatest(0, most) FOR UPDATE SKIP LOCKED
                   ) AS due
             WHERE owner IS NOT NULL
        )"""

_OFFER = """
        UPDATE keywright.job
           SET state = 'ready', hinted_at = clock_timestamp(), hints = hints + 1
          FROM chosen
         WHERE job.job_id = chosen.job_id
        RETURNING job.job_id, queue, coalesce(organization_id, 0) AS owner, turn, run_at"""


def _in_order(rows: Sequence[tuple[int, str, int, int, datetime]]) -> list[Hint]:
    """Return hints as organizations take turns; an UPDATE returns its rows anyhow."""
    by_turn = sorted(rows, key=lambda row: (row[3], row[4], row[0]))
    return [Hint(job_id, Queue(queue), owner) for job_id, queue, owner, _, _ in by_turn]


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
    paces = {queue: Pace() for queue in Queue}

    def step() -> int:
        now = time.monotonic()
        bounds = {queue: pace.bound(now) for queue, pace in paces.items()}
        with pool.connection() as connection:
            hints = offer_window(connection, window, bounds=bounds)
        for queue, pace in paces.items():
            pace.note([hint.owner for hint in hints if hint.queue is queue], now)
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
