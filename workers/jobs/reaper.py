"""Finds jobs that nobody works on although somebody should: dead workers, lost hints."""

import threading

import structlog

from workers.database.pool import DATABASE_TROUBLE, Connection, Pool

log = structlog.get_logger(__name__)

PERIOD_SECONDS = 2.0
STALE_HINT_SECONDS = 15.0


def reap_expired_leases(connection: Connection) -> int:
    """Schedule the jobs of workers that fell silent once more; return how many that were.

    One that has no attempt left fails; one whose cancellation was asked for is cancelled. The old
    worker, should it be alive after all, finds that its claim fits no longer.
    """
    return connection.execute(
        """
        UPDATE keywright.job
           SET state = ending.state, claim = NULL, lease_until = NULL, hints = 0,
               run_at = clock_timestamp(),
               finished_at = CASE WHEN ending.state <> 'scheduled' THEN clock_timestamp() END,
               problem = jsonb_build_object(
                   'type', 'urn:keywright:problem:worker-lost',
                   'title', 'The worker fell silent',
                   'detail', format('Worker %s stopped renewing its lease during attempt %s of %s.',
                                    worker, attempt, max_attempts),
                   'instance', 'urn:keywright:job:' || job.job_id,
                   'attempt', attempt)
          FROM (SELECT job_id,
                       CASE WHEN cancel_asked_at IS NOT NULL THEN 'cancelled'
                            WHEN attempt >= max_attempts THEN 'failed'
                            ELSE 'scheduled' END::keywright.job_state AS state
                  FROM keywright.job
                 WHERE state = 'running' AND lease_until < clock_timestamp()
                 ORDER BY lease_until
                 LIMIT 1000
                   FOR UPDATE SKIP LOCKED) AS ending
         WHERE job.job_id = ending.job_id
        """
    ).rowcount


def recall_stale_hints(connection: Connection, stale_seconds: float = STALE_HINT_SECONDS) -> int:
    """Offer jobs again whose hint led to nothing for too long; return how many that were.

    The hint may be lost, or just wait behind many others: the patience doubles with every hint, and
    a second hint for the same job does no harm.
    """
    return connection.execute(
        """
        UPDATE keywright.job
           SET state = 'scheduled'
         WHERE state = 'ready'
           AND hinted_at < clock_timestamp()
                           - make_interval(secs => %(stale_seconds)s * 2 ^ least(hints - 1, 10))
        """,
        {"stale_seconds": stale_seconds},
    ).rowcount


class Reaper:
    """Does both, every two seconds, in a thread of its own. Any number of them may run."""

    def __init__(self, pool: Pool, *, stale_hint_seconds: float = STALE_HINT_SECONDS) -> None:
        self._pool = pool
        self._stale_hint_seconds = stale_hint_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reaper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_SECONDS):
            try:
                with self._pool.connection() as connection:
                    reaped = reap_expired_leases(connection)
                    recalled = recall_stale_hints(connection, self._stale_hint_seconds)
            except DATABASE_TROUBLE as error:
                log.warning("the reaper waits", error=type(error).__name__)
                continue
            except Exception:
                log.exception("the reaper met something unforeseen and goes on")
                continue
            if reaped:
                log.warning("leases ran out", jobs=reaped)
            if recalled:
                log.info("hints were stale", jobs=recalled)
