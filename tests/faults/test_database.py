"""What becomes of jobs when Postgres dies under them."""

from collections.abc import Callable

from tests.faults.conftest import Engine
from tests.faults.jobs import LeaveMark
from tests.servers.postgres import PostgresServer
from tests.servers.waiting import until


def test_jobs_survive_a_database_that_is_killed_and_comes_back(
    start_engine: Callable[[str, str | None], Engine],
    postgres_to_break: PostgresServer,
    broker_url: str,
) -> None:
    with postgres_to_break.database() as conninfo:
        engine = start_engine(conninfo, broker_url)
        engine.start_scheduler()
        engine.start_worker()
        engine.start_worker()
        [held] = engine.enqueue(LeaveMark(held=True))
        engine.await_arrival(held)
        jobs = engine.enqueue(LeaveMark(), times=300)
        until(lambda: engine.state(jobs[20])[0] == "succeeded", "the work to begin")
        postgres_to_break.kill()
        postgres_to_break.start()
        engine.open_gate()
        engine.await_end([held, *jobs], seconds=90)
        engine.assert_done_once([held, *jobs])
        # Leave nobody connected: the database is dropped next.
        engine.stack.close()


def test_jobs_go_on_after_all_connections_are_terminated(engine: Engine) -> None:
    engine.start_scheduler()
    engine.start_worker()
    jobs = engine.enqueue(LeaveMark(), times=200)
    until(lambda: engine.state(jobs[20])[0] == "succeeded", "the work to begin")
    for _ in range(3):
        engine.connect().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'keywright%%'"
        )
    engine.await_end(jobs)
    engine.assert_done_once(jobs)
