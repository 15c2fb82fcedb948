"""``python -m benchmarks.key_generation``: keys made by jobs, beside openssl on the same machine.

Two worker processes, over RabbitMQ and Postgres, make as many self-signed certificates as two
``openssl genrsa`` processes at a time make keys, in turns. A job's key is checked for its request,
certified, encrypted under the organization's master key, stored, scheduled for its notices and
announced; openssl's is thrown away. Two bare processes with the library that we use say how much of
their pace the jobs keep, and jobs that do nothing say what the ledger alone can do.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import psycopg

from benchmarks.keywright_worker import work
from benchmarks.peers.contest import wait_for
from benchmarks.peers.worker_processes import worker_processes
from benchmarks.servers import run_servers
from scheduler.__main__ import main as schedule
from workers.contract import GenerateCertificate, JobRequest, Ping
from workers.contract.certificates import KeyType, ProfileName
from workers.database.pool import Connection
from workers.database.schema import create_schema
from workers.jobs.enqueue import enqueue
from workers.keys.root_keys.opening import open_root_keys
from workers.organizations.store import add_organization
from workers.telemetry import configure_logging

_PAUSE_SECONDS = 0.02
_BARE = """
import sys
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
for _ in range(int(sys.argv[2])):
    generate_private_key(65537, int(sys.argv[1]))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rsa2048", type=int, default=400, help="keys, in all rounds together")
    parser.add_argument("--rsa4096", type=int, default=80, help="keys, in all rounds together")
    parser.add_argument("--p256", type=int, default=4000, help="jobs, in all rounds together")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--organizations", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    configure_logging("error", "text")  # to standard error: standard output is for the figures
    figures: dict[str, float | int | str] = {
        "processes": options.processes,
        "threads": options.threads,
        "rsa2048_keys": options.rsa2048,
        "rsa4096_keys": options.rsa4096,
        "p256_jobs": options.p256,
        "openssl": _openssl_version(),
    }
    with (
        run_servers() as servers,
        running(
            broker_url=servers.create_broker_url(),
            database_url=servers.create_database_url(),
            processes=options.processes,
            threads=options.threads,
            organizations=options.organizations,
        ) as stage,
    ):
        kinds: tuple[tuple[KeyType, int, int], ...] = (
            ("RSA-2048", 2048, options.rsa2048),
            ("RSA-4096", 4096, options.rsa4096),
        )
        for key_type, bits, keys in kinds:
            figures |= _rsa(stage, key_type, bits, keys=keys, options=options)
        figures |= _p256(stage, options)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for key, value in figures.items():
            print(f"{key:36} {value}")


# ----------------------------------------------------------------------------------- contestants


@dataclass(frozen=True)
class Stage:
    """A database with organizations, and workers that work on its ledger."""

    connection: Connection
    organizations: Sequence[int]
    numbers: Iterator[int] = field(default_factory=count)

    def certificates(self, key_type: KeyType, jobs: int, *, of_one: bool = False) -> float:
        """Have self-signed certificates made, of all organizations in turn or of one.

        Return how many a second.
        """
        profile: ProfileName = "standard" if key_type.startswith("RSA") else "signing"
        requests = [
            GenerateCertificate(
                label=f"Certificate {next(self.numbers)}", profile=profile, key_type=key_type
            )
            for _ in range(jobs)
        ]
        return self._run(requests, self.organizations[:1] if of_one else self.organizations)

    def pings(self, jobs: int) -> float:
        """Have jobs done that do nothing; return how many a second."""
        return self._run([Ping()] * jobs, self.organizations)

    def _run(self, requests: Sequence[JobRequest], owners: Sequence[int]) -> float:
        kind = requests[0].kind
        before, _ = self._succeeded(kind)
        begun = datetime.now(UTC)
        with self.connection.transaction():
            for number, request in enumerate(requests):
                owner = owners[number % len(owners)]
                enqueue(self.connection, request, organization_id=owner)

        def last() -> datetime | None:
            done, last_at = self._succeeded(kind)
            return last_at if done == before + len(requests) else None

        ended = wait_for(last, _PAUSE_SECONDS)
        return len(requests) / (ended - begun).total_seconds()

    def _succeeded(self, kind: str) -> tuple[int, datetime | None]:
        row = self.connection.execute(
            "SELECT count(*) FILTER (WHERE state = 'succeeded'), max(finished_at),"
            "       count(*) FILTER (WHERE state = 'failed')"
            "  FROM keywright.job WHERE kind = %s",
            [kind],
        ).fetchone()
        assert row is not None
        if row[2]:
            sys.exit(f"{row[2]} jobs of kind {kind} failed")
        return row[0], row[1]

    def workers(self) -> int:
        """Count the worker processes that are connected."""
        row = self.connection.execute(
            "SELECT count(DISTINCT application_name || pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'keywright worker'"
        ).fetchone()
        return int(row[0]) if row else 0


@contextmanager
def running(
    *, broker_url: str, database_url: str, processes: int, threads: int, organizations: int
) -> Iterator[Stage]:
    """Run a scheduler and workers as operators do; all work, and have keys, when it begins."""
    with (
        tempfile.TemporaryDirectory(prefix="keywright-benchmark-") as folder,
        psycopg.connect(database_url, autocommit=True) as connection,
    ):
        root_key = f"file:{Path(folder) / 'root.key'}"
        _ = open_root_keys(root_key, create=True).current.identifier
        create_schema(connection)
        owners = [
            add_organization(
                connection,
                name=f"Organization {number}",
                time_zone="UTC",
                sending_hour=8,
                is_sandbox=False,
            )
            for number in range(organizations)
        ]
        environment = {
            "KEYWRIGHT_DATABASE_URL": database_url,
            "KEYWRIGHT_BROKER_URL": broker_url,
            "KEYWRIGHT_ROOT_KEY": root_key,
            "KEYWRIGHT_SMTP_URL": "smtp://127.0.0.1:9",  # nothing is due, so nothing is sent
            "KEYWRIGHT_WORKER_THREADS": str(threads),
            "KEYWRIGHT_LOG_LEVEL": "warning",
        }
        with (
            worker_processes(schedule, environment=environment),
            worker_processes(work, environment=environment, count=processes),
        ):
            stage = Stage(connection, owners)
            wait_for(lambda: stage.workers() >= processes or None, pause_seconds=0.1)
            stage.pings(200)
            stage.certificates("P-256", 10 * organizations)
            yield stage


def openssl(bits: int, keys: int, *, processes: int) -> float:
    """Generate keys with so many ``openssl genrsa`` at a time; return how many a second."""

    def one(_number: int) -> None:
        subprocess.run(
            ["openssl", "genrsa", "-out", "/dev/null", str(bits)],
            check=True,
            stderr=subprocess.DEVNULL,
        )

    with ThreadPoolExecutor(processes) as threads:
        begun = time.perf_counter()
        list(threads.map(one, range(keys)))
        return keys / (time.perf_counter() - begun)


def bare(bits: int, keys: int, *, processes: int) -> float:
    """Generate keys in bare processes with the library that we use; return how many a second."""
    each = -(-keys // processes)
    begun = time.perf_counter()
    started = [
        subprocess.Popen([sys.executable, "-c", _BARE, str(bits), str(each)])
        for _ in range(processes)
    ]
    for process in started:
        assert process.wait() == 0
    return processes * each / (time.perf_counter() - begun)


# ----------------------------------------------------------------------------------- measurements


def _rsa(
    stage: Stage, key_type: KeyType, bits: int, *, keys: int, options: argparse.Namespace
) -> dict[str, float]:
    """Compare rates in turns, so that whatever else the machine does disturbs all alike."""
    each = max(1, keys // options.rounds)
    rates: dict[str, list[float]] = {"jobs": [], "openssl": [], "library": []}
    for _ in range(options.rounds):
        rates["jobs"].append(stage.certificates(key_type, each))
        rates["openssl"].append(openssl(bits, each, processes=options.processes))
        rates["library"].append(bare(bits, each, processes=options.processes))
    # Of equal numbers of keys, the harmonic mean is that of all together.
    mean = {name: statistics.harmonic_mean(each) for name, each in rates.items()}
    prefix = f"rsa{bits}"
    return {
        f"{prefix}_keys_per_second": round(mean["jobs"], 2),
        f"{prefix}_openssl_keys_per_second": round(mean["openssl"], 2),
        f"{prefix}_library_keys_per_second": round(mean["library"], 2),
        f"{prefix}_ratio_to_openssl": round(mean["jobs"] / mean["openssl"], 2),
        f"{prefix}_ratio_to_library": round(mean["jobs"] / mean["library"], 2),
    }


def _p256(stage: Stage, options: argparse.Namespace) -> dict[str, float]:
    """Compare jobs whose key costs nothing with jobs that do nothing."""
    each = max(1, options.p256 // options.rounds)
    jobs, pings, of_one = [], [], []
    for _ in range(options.rounds):
        pings.append(stage.pings(each))
        jobs.append(stage.certificates("P-256", each))
        of_one.append(stage.certificates("P-256", each, of_one=True))
    per_job, per_ping = (1 / statistics.harmonic_mean(rates) for rates in (jobs, pings))
    return {
        "p256_jobs_per_second": round(1 / per_job, 1),
        # What an organization is given, it is given one by one: its row is locked for its names.
        "p256_of_one_organization_per_second": round(statistics.harmonic_mean(of_one), 1),
        "ping_jobs_per_second": round(1 / per_ping, 1),
        # Where the time of a P-256 job goes: the ledger's share, and what storing adds to it.
        "p256_ms_per_job": round(1000 * per_job, 3),
        "p256_ledger_ms_per_job": round(1000 * per_ping, 3),
        "p256_storing_ms_per_job": round(1000 * (per_job - per_ping), 3),
    }


def _openssl_version() -> str:
    return subprocess.run(
        ["openssl", "version"], capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
