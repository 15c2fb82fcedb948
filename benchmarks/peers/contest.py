"""The one way in which every job system is measured, whatever is inside it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Generic, Protocol, TypeVar

WARM_UP_JOBS = 200
SINGLE_JOBS = 1000
LATENCY_JOBS = 200

_PATIENCE_SECONDS = 300
_COUNTING_PAUSE_SECONDS = 0.1  # seldom enough to cost the servers nothing
_WATCHING_PAUSE_SECONDS = 0.005

Job = TypeVar("Job")
Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class PeerResult:
    """Rates per second and latencies in milliseconds, all of no-op jobs.

    ``jobs_per_second`` counts from before the first enqueue to the last recorded completion, with
    the workers working meanwhile and the producer enqueueing in the fastest safe way that the
    system has; ``enqueue_per_second`` is the producer's rate with one call, and one promise of the
    servers, per job. The latencies are from enqueue to recorded completion, one job at a time.
    """

    enqueue_per_second: float
    jobs_per_second: float
    p50_ms: float
    p99_ms: float


class Contestant(Protocol[Job]):
    """A job system with its workers running; what it tells, it reads from its own records."""

    def enqueue(self) -> Job:
        """Enqueue one no-op job, safely: when this returns, the servers have it."""

    def enqueue_many(self, jobs: int) -> None:
        """Enqueue so many in the fastest way that is as safe."""

    def completed(self) -> tuple[int, datetime | None]:
        """Count the jobs recorded as done so far, and say when the last of them was."""

    def completed_at(self, job: Job) -> datetime | None:
        """Say when this job was done; None before that is recorded."""


@dataclass(frozen=True)
class Contest(Generic[Job]):
    """A contestant being measured; nobody else may enqueue meanwhile."""

    contestant: Contestant[Job]

    def measure(self, jobs: int) -> PeerResult:
        """Warm up, measure the rates with ``jobs`` jobs, then the latency at low load.

        Raises:
            TimeoutError: jobs were enqueued that were not done in five minutes.
        """
        self._run_all(WARM_UP_JOBS, self._enqueue_singly)
        enqueueing_seconds, _ = self._run_all(SINGLE_JOBS, self._enqueue_singly)
        begun_at = datetime.now(UTC)
        _, last_at = self._run_all(jobs, self.contestant.enqueue_many)
        latencies = sorted(self._latency_ms() for _ in range(LATENCY_JOBS))
        return PeerResult(
            enqueue_per_second=SINGLE_JOBS / enqueueing_seconds,
            jobs_per_second=jobs / (last_at - begun_at).total_seconds(),
            p50_ms=percentile(latencies, 50),
            p99_ms=percentile(latencies, 99),
        )

    def _enqueue_singly(self, jobs: int) -> None:
        for _ in range(jobs):
            self.contestant.enqueue()

    def _run_all(self, jobs: int, enqueue: Callable[[int], None]) -> tuple[float, datetime]:
        """Return how many seconds the producer took, and when the last job was done."""
        before, _ = self.contestant.completed()
        begun = time.perf_counter()
        enqueue(jobs)
        enqueueing_seconds = time.perf_counter() - begun

        def last_completion() -> datetime | None:
            count, last_at = self.contestant.completed()
            return last_at if count == before + jobs else None

        return enqueueing_seconds, wait_for(last_completion, _COUNTING_PAUSE_SECONDS)

    def _latency_ms(self) -> float:
        begun_at = datetime.now(UTC)
        job = self.contestant.enqueue()
        done_at = wait_for(lambda: self.contestant.completed_at(job), _WATCHING_PAUSE_SECONDS)
        return (done_at - begun_at).total_seconds() * 1000


def percentile(ascending: list[float], percent: float) -> float:
    """Return the smallest value that at least ``percent`` of the values do not exceed."""
    return ascending[ceil(len(ascending) * percent / 100) - 1]


def wait_for(look: Callable[[], Value | None], pause_seconds: float) -> Value:
    """Look again and again until there is a value, and return it.

    Raises:
        TimeoutError: there was none in five minutes.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (value := look()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"Not all jobs were done in {_PATIENCE_SECONDS} s.")
        time.sleep(pause_seconds)
    return value
