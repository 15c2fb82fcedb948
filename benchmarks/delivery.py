"""``python -m benchmarks.delivery``: digests per second beside raw ``smtplib`` loops.

Both have the same parallelism, keep their connections open and send to the same sink. Ours renders
every digest, and records every delivery before and after; the yardstick sends one prepared message
of the same size again and again.
"""

import argparse
import json
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg

from benchmarks.delivery_smtplib import measure_smtplib
from benchmarks.keywright_worker import work
from benchmarks.peers.contest import wait_for
from benchmarks.peers.worker_processes import worker_processes
from benchmarks.servers import run_postgres
from benchmarks.smtp_sink import SinkKind, SinkProcess
from workers.contract import ScanExpiries
from workers.database.pool import Connection
from workers.database.schema import create_schema
from workers.jobs.enqueue import enqueue
from workers.telemetry import configure_logging

_CERTIFICATES = 3
_WARM_UP = 200
_MESSAGE_BYTES = 12_000  # what a digest of three certificates measures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digests", type=int, default=3000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sink", choices=["aiosmtpd", "bare"], default="aiosmtpd")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    configure_logging("warning", "text")  # to standard error: standard output is for the figures
    sink_kind: SinkKind = options.sink
    ours, yardstick = [], []
    with (
        run_postgres() as postgres,
        SinkProcess(sink_kind) as sink,
        psycopg.connect(postgres.create_database(), autocommit=True) as connection,
        _workers(connection, sink, options.processes, options.threads),
    ):
        _deliver(connection, "warm-up", _WARM_UP)
        for number in range(options.rounds):
            ours.append(_deliver(connection, f"round {number}", options.digests))
            yardstick.append(
                measure_smtplib(
                    host="127.0.0.1",
                    port=sink.port,
                    messages=options.digests,
                    threads=options.threads,
                    processes=options.processes,
                    message_bytes=_MESSAGE_BYTES,
                )
            )
    figures = {
        "digests": options.digests,
        "sink": sink_kind,
        "connections": options.processes * options.threads,
        "digests_per_second": round(statistics.median(ours), 1),
        "smtplib_per_second": round(statistics.median(yardstick), 1),
        "ratio_to_smtplib": round(
            statistics.median(a / b for a, b in zip(ours, yardstick, strict=True)), 2
        ),
    }
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for key, value in figures.items():
            print(f"{key:22} {value}")


@contextmanager
def _workers(
    connection: Connection, sink: SinkProcess, processes: int, threads: int
) -> Iterator[None]:
    create_schema(connection)
    info = connection.info
    environment = {
        "KEYWRIGHT_DATABASE_URL": f"postgresql://{info.user}@/{info.dbname}?host={info.host}"
        f"&port={info.port}",
        "KEYWRIGHT_SMTP_URL": f"smtp://127.0.0.1:{sink.port}",
        "KEYWRIGHT_WORKER_THREADS": str(threads),
        "KEYWRIGHT_LOG_LEVEL": "warning",
    }
    with worker_processes(work, environment=environment, count=processes):
        yield


def _deliver(connection: Connection, name: str, digests: int) -> float:
    """Make so many recipients of three certificates that are due, and return digests per second."""
    connection.execute(
        """
        WITH made AS (
            INSERT INTO keywright.organization (name) VALUES (%(name)s) RETURNING organization_id
        ), joined AS (
            INSERT INTO keywright.member (organization_id, name, email, permissions)
            SELECT organization_id, 'Member ' || n, n || '@example.org',
                   '{receive_expiration_notices}'
              FROM made CROSS JOIN generate_series(1, %(digests)s) AS n
        ), named AS (
            INSERT INTO keywright.certificate (organization_id, unique_name, label, kind)
            SELECT organization_id, 'c' || n, 'Certificate ' || n, 'imported'
              FROM made CROSS JOIN generate_series(1, %(certificates)s) AS n
            RETURNING certificate_id, organization_id
        )
        INSERT INTO keywright.certificate_version
               (certificate_id, organization_id, not_before, not_after, serial, subject, issuer,
                key_algorithm, key_size, known_since, next_notice_at)
        SELECT certificate_id, organization_id, now() - interval '336 days',
               now() + interval '29 days', '0a1b2c', 'CN=www.example.org', 'CN=Some CA,O=Some',
               'RSA', 2048, now() - interval '40 days', now()
          FROM named
        """,
        {"name": name, "digests": digests, "certificates": _CERTIFICATES},
    )
    begun = datetime.now(UTC)
    enqueue(connection, ScanExpiries())

    def result() -> float | None:
        row = connection.execute(
            """
            SELECT count(*) FILTER (WHERE state = 'accepted'),
                   extract(epoch FROM max(finished_at) - min(begun_at))
              FROM keywright.delivery WHERE begun_at >= %(begun)s
            """,
            {"begun": begun},
        ).fetchone()
        assert row is not None
        return digests / float(row[1]) if row[0] == digests else None

    return wait_for(result, pause_seconds=0.2)


if __name__ == "__main__":
    main()
