"""What a handler sees of the job it works on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus

from workers.database.pool import Acting, Connection, Pool, act_as
from workers.jobs.claim import ClaimedJob, finish_job, record_progress, renew_lease
from workers.jobs.interruption import Interruptible, ShutdownRequested
from workers.jobs.retry import JobCancelledError, LeaseLostError

Ended: TypeAlias = tuple[ClaimedJob, dict[str, Any] | None]
FinishAlone: TypeAlias = Callable[[Ended], bool]
"""Records the success of a job that has written nothing in its final transaction."""


class RunningJob:
    """A claimed job while its handler runs.

    A handler whose effect lies in Postgres writes through ``connection``: that transaction is
    committed together with the job's outcome, or not at all. One whose effect lies elsewhere, or
    whose work is long, commits steps of its own with ``checkpoint()`` and keeps no transaction
    open while it acts.
    """

    def __init__(
        self,
        claimed: ClaimedJob,
        pool: Pool,
        *,
        lease_seconds: float,
        finish_alone: FinishAlone | None = None,
        ledger: Pool | None = None,
    ) -> None:
        self.claimed = claimed
        self.interruptible = Interruptible()
        self.cancellation_asked = False
        self.stopping = False
        self._pool = pool
        self._ledger = ledger or pool
        self._lease_seconds = lease_seconds
        self._finish_alone = finish_alone or self._finish_in_its_own_transaction
        self._connection: Connection | None = None

    @property
    def job_id(self) -> int:
        """The job's number in the ledger."""
        return self.claimed.job_id

    @property
    def requested_by(self) -> str:
        """Who asked for it, such as ``operator:ada`` or ``requester:crm``."""
        return self.claimed.requested_by

    @property
    def acting(self) -> Acting:
        """Who acts in this job's transactions: who asked for it, through the door it came by."""
        return Acting(self.claimed.requested_by, self.claimed.door, self.job_id)

    @property
    def organization_id(self) -> int | None:
        """The organization the job works for; None for jobs of keywright itself."""
        return self.claimed.organization_id

    @property
    def now(self) -> datetime:
        """The database's clock at the moment of the claim: the one "now" of this attempt."""
        return self.claimed.now

    @property
    def is_last_attempt(self) -> bool:
        """Whether a transient error now would fail the job."""
        return self.claimed.attempt >= self.claimed.max_attempts

    @property
    def connection(self) -> Connection:
        """The transaction that also records the job's success; begun at first use."""
        if self._connection is None:
            self._connection = self._pool.getconn()
            self._connection.execute("BEGIN")
            act_as(self._connection, self.acting)
        return self._connection

    @contextmanager
    def checkpoint(self) -> Iterator[Connection]:
        """Commit a step by itself, if the job is still ours.

        Raises:
            LeaseLostError: it is not; the step was rolled back.
        """
        with self._pool.connection() as connection, connection.transaction():
            act_as(connection, self.acting)
            yield connection
            # Last, so that the row is locked for a moment only; it also extends the lease.
            if not renew_lease(connection, self.claimed, self._lease_seconds):
                raise LeaseLostError(f"Job {self.job_id} was taken over by another worker.")

    def report_progress(self, done: int, total: int | None = None) -> None:
        """Let people watch: ``done`` of ``total`` units, total None while unknown."""
        with self._ledger.connection() as connection:
            record_progress(connection, self.claimed, done=done, total=total)

    def stop_if_asked(self) -> None:
        """Return unless the job should end: long handlers call this between checkpoints.

        Raises:
            JobCancelledError: somebody asked for that; what checkpoints committed stays.
            ShutdownRequested: its worker stops; the job is given back and goes on elsewhere.
        """
        if self.cancellation_asked:
            raise JobCancelledError(f"Job {self.job_id} was cancelled while running.")
        if self.stopping:
            raise ShutdownRequested

    def finish(self, result: dict[str, Any] | None) -> None:
        """Record success, in the transaction of ``connection`` if there is one, and commit.

        Raises:
            LeaseLostError: the job is not ours any more; nothing was committed.
        """
        connection = self._connection
        if connection is None:
            finished = self._finish_alone((self.claimed, result))
        else:
            finished = finish_job(connection, self.claimed, result)
        if not finished:
            raise LeaseLostError(f"Job {self.job_id} was taken over by another worker.")
        if connection is not None:
            connection.execute("COMMIT")
            self.release()

    def _finish_in_its_own_transaction(self, ended: Ended) -> bool:
        with self._pool.connection() as connection:
            return finish_job(connection, *ended)

    def release(self) -> None:
        """Roll back what is open and return the connection."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self.interruptible.was_interrupted:
            # A late cancel_statement() must not hit whoever gets this connection next.
            connection.close()
        elif not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
            try:
                connection.rollback()
            except psycopg.Error:
                connection.close()
        self._pool.putconn(connection)

    def cancel_statement(self) -> None:
        """Ask the server to break off what the final transaction is doing right now, if anything.

        A thread that waits for Postgres hears no interruption before the answer comes.
        """
        connection = self._connection
        if connection is not None and not connection.closed:
            connection.cancel_safe(timeout=5)
