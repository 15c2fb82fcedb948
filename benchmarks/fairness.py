"""``python -m benchmarks.fairness``: whether one organization's flood delays another's jobs.

Organization B asks for a job again and again and waits for it, first alone, then while organization
A has 100,000 jobs waiting. Latencies are from commit to end, on the database's clock. Everything is
real: RabbitMQ (or, with ``--broker none``, the embedded transport), Postgres, a scheduler, workers.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from benchmarks.keywright_contestant import running
from benchmarks.servers import Servers, run_postgres, run_servers
from workers.contract import Ping
from workers.database.pool import Connection
from workers.jobs.enqueue import enqueue, enqueue_many
from workers.telemetry import configure_logging

_BATCH = 5000
_PROBE_EVERY_SECONDS = 0.03


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000, help="of organization A")
    parser.add_argument("--probes", type=int, default=300, help="of organization B, each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--broker", choices=("rabbitmq", "none"), default="rabbitmq")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    configure_logging("warning", "text")  # to standard error: standard output is for the figures
    rounds = [measure(options) for _ in range(options.rounds)]
    figures = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    figures["ratio"] = round(figures["flooded_p99_ms"] / figures["idle_p99_ms"], 2)
    report = {"jobs": options.jobs, "broker": options.broker, **figures, "rounds": rounds}
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        for name, value in report.items():
            print(f"{name:26} {value}")


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Measure once, on an empty database."""
    with _surroundings(options) as (database_url, connection):
        acme, other = (
            _one(
                connection,
                "INSERT INTO keywright.organization (name) VALUES (%s) RETURNING organization_id",
                name,
            )
            for name in ("A", "B")
        )
        probe(connection, other, options.probes // 5)  # caches and plans
        idle = probe(connection, other, options.probes)
        with psycopg.connect(database_url, autocommit=True) as flooding:
            for start in range(0, options.jobs, _BATCH):
                size = min(_BATCH, options.jobs - start)
                enqueue_many(flooding, [Ping()] * size, organization_id=acme)
        began = time.monotonic()
        before = _finished(connection, acme)
        flooded = probe(connection, other, options.probes)
        finished = _finished(connection, acme) - before
        seconds = time.monotonic() - began
        left = options.jobs - _finished(connection, acme)
        if left <= 0:
            raise SystemExit("The flood was over before the measurement was: ask for more --jobs.")
    figures = {
        **_figures("idle", idle),
        **_figures("flooded", flooded),
        "flood_jobs_per_second": round(finished / seconds),
        "flood_jobs_left": left,
    }
    return {**figures, "ratio": round(figures["flooded_p99_ms"] / figures["idle_p99_ms"], 2)}


@contextmanager
def _surroundings(options: argparse.Namespace) -> Iterator[tuple[str, Connection]]:
    sizes = {"processes": options.processes, "threads": options.threads}
    if options.broker == "none":
        with run_postgres() as postgres:
            url = postgres.create_database()
            with running(broker_url="", database_url=url, **sizes) as contestant:
                yield url, contestant.connection
        return
    with run_servers() as servers:
        assert isinstance(servers, Servers)
        url = servers.create_database_url()
        broker = servers.create_broker_url()
        with running(broker_url=broker, database_url=url, **sizes) as contestant:
            yield url, contestant.connection


def probe(connection: Connection, organization_id: int, count: int) -> list[float]:
    """Ask for so many jobs, one at a time, and return how long each took, in milliseconds."""
    took = []
    for _ in range(count):
        begin = time.monotonic()
        job_id = enqueue(connection, Ping(), organization_id=organization_id).job_id
        asked = _one(connection, "SELECT clock_timestamp()")
        while True:
            done = connection.execute(
                "SELECT finished_at FROM keywright.job WHERE job_id = %s AND state = 'succeeded'",
                [job_id],
            ).fetchone()
            if done:
                break
            time.sleep(0.001)
        took.append((done[0] - asked).total_seconds() * 1000)
        time.sleep(max(0.0, _PROBE_EVERY_SECONDS - (time.monotonic() - begin)))
    return took


def _figures(name: str, took: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(took, n=100)
    return {f"{name}_p50_ms": round(cuts[49], 1), f"{name}_p99_ms": round(cuts[98], 1)}


def _finished(connection: Connection, organization_id: int) -> int:
    return int(
        _one(
            connection,
            "SELECT count(*) FROM keywright.job WHERE organization_id = %s AND state = 'succeeded'",
            organization_id,
        )
    )


def _one(connection: Connection, query: str, *parameters: object) -> Any:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row[0]


if __name__ == "__main__":
    main()
