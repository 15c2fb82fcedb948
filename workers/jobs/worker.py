"""A worker process as dramatiq sees it: one actor per queue, and what starts and stops with it."""

import threading
from collections.abc import Sequence

import dramatiq
import structlog
from dramatiq import Broker, Middleware

from workers.contract import Queue
from workers.database.pool import DATABASE_TROUBLE, Pool
from workers.jobs.execution import Execution
from workers.jobs.in_process import InProcessBroker, InProcessRelay
from workers.jobs.keeper import Keeper

log = structlog.get_logger(__name__)


class WorkerLifecycle(Middleware):
    """Starts the keeper (and the in-process relay) with the worker, and drains it at the end.

    ``pools`` are the ledger's and the handlers' connections; both are closed at the end.

    dramatiq's own middleware is left out: retries, delays, time limits and callbacks live in the
    ledger, where none of them can lose a job.
    """

    def __init__(
        self,
        pools: tuple[Pool, Pool],
        keeper: Keeper,
        execution: Execution,
        queues: Sequence[Queue],
        *,
        grace_seconds: float,
    ) -> None:
        self._pools = pools
        self._keeper = keeper
        self._execution = execution
        self._queues = queues
        self._grace_seconds = grace_seconds
        self._relay: InProcessRelay | None = None
        self._drain_timer: threading.Timer | None = None

    def after_worker_boot(self, broker: Broker, worker: dramatiq.Worker) -> None:
        """Begin to keep leases, and to feed the in-memory broker if it is that."""
        self._keeper.start()
        if isinstance(broker, InProcessBroker):
            # Twice the threads: the next job is at hand when one ends, and few wait for a process
            # that may die.
            threads = worker.worker_threads
            self._relay = InProcessRelay(
                self._pools[0], broker, self._queues, room=2 * threads, threads=threads
            )
            self._relay.start()
        log.info("worker started", threads=worker.worker_threads, queues=list(self._queues))

    def before_worker_shutdown(self, *_: object) -> None:
        """Take no more work; when the grace is over, give back what still runs."""
        self._execution.stopping.set()
        if self._relay is not None:
            self._relay.stop()
        self._keeper.announce_shutdown()
        self._drain_timer = threading.Timer(self._grace_seconds, self._keeper.shut_down_jobs)
        self._drain_timer.daemon = True
        self._drain_timer.start()

    def after_worker_shutdown(self, *_: object) -> None:
        """Leave nothing behind."""
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        try:
            if self._relay is not None:
                self._relay.withdraw_outstanding()
        except DATABASE_TROUBLE as error:
            log.warning("offers could not be withdrawn", error=type(error).__name__)
        self._keeper.stop()
        for pool in self._pools:
            pool.close()
        log.info("worker stopped")


def declare_actors(broker: Broker, execution: Execution, queues: Sequence[Queue]) -> None:
    """Give each queue its actor: it takes a hint and executes the job it points at."""

    def follow_hint(job_id: int) -> None:
        if not isinstance(broker, InProcessBroker):
            execution.execute(job_id)
            return
        broker.begin(job_id)
        try:
            execution.execute(job_id)
        finally:
            broker.settle(job_id)

    for priority, queue in enumerate(Queue):
        if queue in queues:
            declare = dramatiq.actor(
                actor_name=queue.value, queue_name=queue.value, priority=priority, broker=broker
            )
            declare(follow_hint)
