"""The embedded transport: hints stay in the memory of the worker process that took the offer.

Each worker process takes due jobs from the ledger itself (``SKIP LOCKED``), a few more than it has
threads, and feeds them to dramatiq's in-memory broker. The ledger keeps everything durable, so no
second queue is needed, and several processes share the work. What a process has taken beyond its
threads it gives back when these are at work on something long: another may be idle.
"""

import math
import threading
import time
from collections.abc import Sequence
from queue import Queue as MemoryQueue

from dramatiq import Middleware
from dramatiq.brokers.stub import StubBroker

from workers.contract import Queue
from workers.database.pool import Pool
from workers.jobs.loop import Loop
from workers.jobs.relay import offer_some, withdraw

HOARDING_SECONDS = 0.05
"""So long hints may wait behind threads none of which begins or ends a job."""


class InProcessBroker(StubBroker):
    """dramatiq's in-memory broker, without delay queues: the ledger delays."""

    def __init__(self, *, middleware: list[Middleware]) -> None:
        super().__init__(middleware)
        # Offered by this process, and not executed yet.
        self.outstanding: set[int] = set()
        self.begun: dict[int, float] = {}
        self.last_job_seconds = math.inf  # nothing is known yet
        self.last_motion = time.monotonic()
        self.outstanding_lock = threading.Lock()

    def declare_queue(self, queue_name: str) -> None:
        """Declare a work queue."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = MemoryQueue()
            self.emit_after("declare_queue", queue_name)

    def begin(self, job_id: int) -> None:
        """Note that a thread follows the hint for ``job_id``."""
        with self.outstanding_lock:
            self.last_motion = time.monotonic()
            self.begun[job_id] = self.last_motion

    def settle(self, job_id: int) -> None:
        """Note that the hint for ``job_id`` has been followed."""
        with self.outstanding_lock:
            self.outstanding.discard(job_id)
            self.last_motion = time.monotonic()
            self.last_job_seconds = self.last_motion - self.begun.pop(job_id, self.last_motion)


class InProcessRelay:
    """Feeds one worker process from the ledger: ``room`` hints at a time for ``threads``."""

    def __init__(
        self,
        pool: Pool,
        broker: InProcessBroker,
        queues: Sequence[Queue],
        *,
        room: int,
        threads: int,
    ) -> None:
        self._pool = pool
        self._broker = broker
        self._queues = queues
        self._room = room
        self._threads = threads
        self._loop = Loop(self._step, name="relay")

    def start(self) -> None:
        """Begin to feed."""
        self._loop.start()

    def stop(self) -> None:
        """End."""
        self._loop.stop()

    def withdraw_outstanding(self) -> None:
        """Give what was offered here and not begun back to the other processes."""
        with self._broker.outstanding_lock:
            outstanding = list(self._broker.outstanding)
        if outstanding:
            with self._pool.connection() as connection:
                withdraw(connection, outstanding)

    def _step(self) -> int:
        with self._broker.outstanding_lock:
            # More than one for each thread only where jobs have proven to be short.
            is_quick = self._broker.last_job_seconds < HOARDING_SECONDS
            room = (self._room if is_quick else self._threads) - len(self._broker.outstanding)
            idle_for = time.monotonic() - self._broker.last_motion
            busy = len(self._broker.begun) >= self._threads and idle_for > HOARDING_SECONDS
            hoarded = self._broker.outstanding - self._broker.begun.keys() if busy else set()
            self._broker.outstanding -= hoarded
        if hoarded:
            # Their hints stay in memory: whoever follows one finds the job done, or does it.
            with self._pool.connection() as connection:
                withdraw(connection, list(hoarded))
        if room <= 0 or busy:
            return 0
        with self._pool.connection() as connection:
            hints = offer_some(connection, self._queues, room)
        with self._broker.outstanding_lock:
            self._broker.outstanding.update(hint.job_id for hint in hints)
        for hint in hints:
            self._broker.enqueue(hint.to_message())
        return len(hints)
