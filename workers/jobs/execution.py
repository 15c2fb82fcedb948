"""Runs one hinted job: claim, handle, record. Whatever happens, a worker thread survives it."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import structlog
from dramatiq.threading import Interrupt
from pydantic import BaseModel, ValidationError

from workers.contract import JobRequest
from workers.database.pool import DATABASE_TROUBLE, Connection, DatabaseUnavailableError, Pool
from workers.errors import InvalidRequestError, KeywrightError, TransientError
from workers.jobs.claim import (
    ClaimedJob,
    claim_jobs,
    end_cancelled_job,
    fail_job,
    finish_jobs,
    give_back_job,
    retry_job_later,
)
from workers.jobs.interruption import ClaimLost, ShutdownRequested
from workers.jobs.keeper import Keeper
from workers.jobs.relay import withdraw
from workers.jobs.retry import GiveUp, JobCancelledError, LeaseLostError, decide
from workers.jobs.running import Ended, RunningJob
from workers.jobs.together import Together

log = structlog.get_logger(__name__)

Handler: TypeAlias = Callable[[Any, RunningJob], BaseModel | None]
"""Does the work of one kind of job: the request and the running job in, a small result out."""


class UnknownKindError(InvalidRequestError):
    """The ledger holds a kind of job that this worker does not know."""

    code = "unknown-kind"
    title = "No worker knows this kind of job"


class UnexpectedError(TransientError):
    """A handler failed in a way that nobody foresaw."""

    code = "unexpected"
    title = "The job failed unexpectedly"


class TimeLimitError(TransientError):
    """The job ran longer than its kind may."""

    code = "time-limit-exceeded"
    title = "The job took too long"


class Execution:
    """Executes the jobs of one worker process, several at a time, one per thread."""

    def __init__(
        self,
        ledger: Pool,
        pool: Pool,
        keeper: Keeper,
        handlers: Mapping[type[JobRequest], Handler],
        *,
        worker: str,
        lease_seconds: float,
    ) -> None:
        self._ledger = ledger
        self._pool = pool
        self._keeper = keeper
        self._handlers = {request.kind: (request, handle) for request, handle in handlers.items()}
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._claim_together = Together(self._claim_batch, everybodys=DATABASE_TROUBLE)
        self._finish_together = Together(self._finish_batch, everybodys=DATABASE_TROUBLE)
        self.stopping = threading.Event()

    def execute(self, job_id: int) -> None:
        """Do whatever job ``job_id`` needs right now; a hint that came twice or late does nothing.

        A worker that is stopping begins nothing new: the offer goes back to the ledger.
        """
        if self.stopping.is_set():
            with suppress(*DATABASE_TROUBLE), self._ledger.connection() as connection:
                withdraw(connection, [job_id])
            return
        claimed = self._claim(job_id)
        if claimed is None:
            log.debug("a hint led to nothing", job_id=job_id)
            return
        began = time.monotonic()
        outcome = self._run(claimed)
        log.info(
            "job done",
            outcome=outcome,
            job_id=job_id,
            kind=claimed.kind,
            organization_id=claimed.organization_id,
            attempt=claimed.attempt,
            seconds=round(time.monotonic() - began, 4),
        )

    def _claim(self, job_id: int) -> ClaimedJob | None:
        """Claim the job, waiting out a database that is away.

        While stopping, or after a minute, the hint is dropped: the job stays as it is, and the
        ledger sends another.
        """
        give_up_at = time.monotonic() + 60
        while True:
            try:
                return self._claim_together(job_id)
            except DATABASE_TROUBLE as error:
                if self.stopping.is_set() or time.monotonic() > give_up_at:
                    return None
                log.warning("the database is away", job_id=job_id, error=type(error).__name__)
                self.stopping.wait(0.5)

    def _claim_batch(self, job_ids: Sequence[int]) -> list[ClaimedJob | None]:
        with self._ledger.connection() as connection:
            return claim_jobs(
                connection, job_ids, worker=self._worker, lease_seconds=self._lease_seconds
            )

    def _finish_batch(self, ended: Sequence[Ended]) -> list[bool]:
        with self._ledger.connection() as connection:
            return finish_jobs(connection, ended)

    def _run(self, claimed: ClaimedJob) -> str:
        """Run the handler and record what came of it; return the outcome in a word or two."""
        job = RunningJob(
            claimed,
            self._pool,
            lease_seconds=self._lease_seconds,
            finish_alone=self._finish_together,
            ledger=self._ledger,
        )
        request_type: type[JobRequest] = JobRequest
        try:
            request_type, handle, request = self._prepare(claimed)
            with self._keeper.keep(job, time_limit_seconds=request_type.time_limit_seconds):
                result = job.interruptible.run(lambda: handle(request, job))
                job.finish(None if result is None else result.model_dump(mode="json"))
        except (LeaseLostError, ClaimLost):
            return "lost to another worker"
        except JobCancelledError:
            return self._record(claimed, "cancelled", end_cancelled_job)
        except ShutdownRequested:
            return self._record(claimed, "given back", give_back_job)
        except BaseException as error:  # noqa: BLE001  # becomes the job's problem
            return self._record_failure(claimed, request_type, _as_keywright_error(error, claimed))
        finally:
            job.release()
        return "succeeded"

    def _prepare(self, claimed: ClaimedJob) -> tuple[type[JobRequest], Handler, JobRequest]:
        if claimed.kind not in self._handlers:
            raise UnknownKindError(
                f"This worker does not know jobs of kind {claimed.kind}; update the workers, then"
                f" `keywright job retry {claimed.job_id}`."
            )
        request_type, handle = self._handlers[claimed.kind]
        try:
            return request_type, handle, request_type.model_validate(claimed.arguments)
        except ValidationError as error:
            raise InvalidRequestError(describe_validation_error(error)) from None

    def _record_failure(
        self, claimed: ClaimedJob, request: type[JobRequest], error: KeywrightError
    ) -> str:
        problem = error.problem(f"urn:keywright:job:{claimed.job_id}")
        problem["attempt"] = claimed.attempt
        decision = decide(
            error,
            attempt=claimed.attempt,
            max_attempts=claimed.max_attempts,
            request=request,
            jitter=random.random(),  # noqa: S311  # spreads load, keeps no secret
        )
        if isinstance(decision, GiveUp):
            return self._record(claimed, "failed", lambda c, j: fail_job(c, j, problem))
        return self._record(
            claimed, "to be retried", lambda c, j: retry_job_later(c, j, problem, decision.seconds)
        )

    def _record(
        self, claimed: ClaimedJob, outcome: str, write: Callable[[Connection, ClaimedJob], bool]
    ) -> str:
        """Write an outcome, waiting out a database that is away for at most a lease.

        After that the job is not ours any more, and the reaper has found it.
        """
        give_up_at = time.monotonic() + self._lease_seconds
        while True:
            try:
                with self._ledger.connection() as connection:
                    return outcome if write(connection, claimed) else "lost to another worker"
            except DATABASE_TROUBLE:
                if time.monotonic() > give_up_at:
                    return "left to the reaper"
                time.sleep(0.5)


def describe_validation_error(error: ValidationError) -> str:
    """Say in one sentence which argument is wrong and why, without repeating its value."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "arguments"
    return f"Argument {field}: {first['msg']}."


def _as_keywright_error(error: BaseException, claimed: ClaimedJob) -> KeywrightError:
    if isinstance(error, KeywrightError):
        return error
    if isinstance(error, DATABASE_TROUBLE):
        return DatabaseUnavailableError(
            f"The database broke off the work ({type(error).__name__}); it is tried again."
        )
    if isinstance(error, Interrupt):
        return TimeLimitError(f"A job of kind {claimed.kind} ran longer than it may.")
    # The message of an unforeseen error may hold anything, so only its kind is kept in the ledger.
    log.error("a handler failed unexpectedly", job_id=claimed.job_id, exc_info=error)
    return UnexpectedError(
        f"{type(error).__name__} in the handler of {claimed.kind}; the worker's log has the"
        " traceback. This is a defect of keywright: please report it."
    )
