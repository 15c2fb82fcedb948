"""Keeps the leases of the jobs that run in this process, and watches their limits.

One thread and one statement a beat for all of them. When the database cannot be reached for a whole
lease, the jobs count as lost: somebody else may have them.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import structlog
from dramatiq.threading import Interrupt

from workers.database.pool import DATABASE_TROUBLE, Pool
from workers.jobs.claim import renew_leases
from workers.jobs.interruption import ClaimLost, ShutdownRequested, TimeLimitExceeded
from workers.jobs.running import RunningJob

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Kept:
    job: RunningJob
    deadline: float  # on the monotonic clock


class Keeper:
    """Renews leases four times a lease, passes on cancellations, enforces time limits."""

    def __init__(self, pool: Pool, *, lease_seconds: float) -> None:
        self._pool = pool
        self._lease_seconds = lease_seconds
        self._kept: dict[int, _Kept] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._last_renewal = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin to keep."""
        self._thread.start()

    def stop(self) -> None:
        """End; call it when no job runs any more."""
        self._stop.set()
        self._thread.join(timeout=10)

    @contextmanager
    def keep(self, job: RunningJob, *, time_limit_seconds: float) -> Iterator[None]:
        """Keep ``job`` for the length of the block."""
        with self._lock:
            self._kept[job.job_id] = _Kept(job, time.monotonic() + time_limit_seconds)
        try:
            yield
        finally:
            with self._lock:
                self._kept.pop(job.job_id, None)

    def shut_down_jobs(self) -> int:
        """Interrupt whatever still runs, so that it is given back; return how many that were."""
        return sum(self._interrupt(kept.job, ShutdownRequested) for kept in self._snapshot())

    def announce_shutdown(self) -> None:
        """Tell the running jobs that a stop is near: those that check may end at a checkpoint."""
        for kept in self._snapshot():
            kept.job.stopping = True

    def _snapshot(self) -> list[_Kept]:
        with self._lock:
            return list(self._kept.values())

    def _run(self) -> None:
        beat = min(self._lease_seconds / 4, 5)
        next_renewal = time.monotonic() + beat
        while not self._stop.wait(min(beat, 0.25)):
            try:
                self._enforce_time_limits()
                if time.monotonic() >= next_renewal:
                    next_renewal = time.monotonic() + beat
                    self._renew()
            except Exception:
                # Without this thread every job of the process would lose its lease.
                log.exception("the keeper met something unforeseen and goes on")

    def _enforce_time_limits(self) -> None:
        now = time.monotonic()
        for kept in self._snapshot():
            if now > kept.deadline:
                self._interrupt(kept.job, TimeLimitExceeded)

    def _renew(self) -> None:
        kept = {each.job.job_id: each.job for each in self._snapshot()}
        if not kept:
            self._last_renewal = time.monotonic()
            return
        try:
            with self._pool.connection(timeout=self._lease_seconds / 4) as connection:
                ours = renew_leases(
                    connection,
                    {job_id: job.claimed.claim for job_id, job in kept.items()},
                    self._lease_seconds,
                )
        except DATABASE_TROUBLE as error:
            log.warning("leases could not be renewed", jobs=len(kept), error=type(error).__name__)
            if time.monotonic() - self._last_renewal > self._lease_seconds:
                for job in kept.values():
                    self._interrupt(job, ClaimLost)
            return
        self._last_renewal = time.monotonic()
        for job_id, job in kept.items():
            if job_id not in ours:
                self._interrupt(job, ClaimLost)
            elif ours[job_id]:
                job.cancellation_asked = True

    def _interrupt(self, job: RunningJob, interruption: type[Interrupt]) -> bool:
        if not job.interruptible.interrupt(interruption):
            return False
        log.info("a job is interrupted", job_id=job.job_id, why=interruption.__name__)
        try:
            job.cancel_statement()
        except psycopg.Error as error:
            log.warning("a statement could not be cancelled", error=type(error).__name__)
        return True
