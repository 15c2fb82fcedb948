"""An organization, workers on its keystores, and a search through all that is left of them."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pika
import psycopg

from scheduler.service import SchedulerService
from tests.faults.keystore_worker import KeystoreWorker
from tests.integration.certificates.issuance.workshop import certificate_tools
from tests.integration.certificates.keystore_jobs.office import Office, office
from tests.servers.waiting import until
from workers.contract import JobRequest, Queue
from workers.database.pool import open_pool
from workers.jobs.enqueue import enqueue
from workers.jobs.inspection import JobDetails, show_job
from workers.jobs.queues import declare_queues


@dataclass
class Vault:
    """An organization, its database and broker, and the workers on them."""

    conninfo: str
    broker_url: str | None
    folder: Path
    stack: ExitStack
    workers: list[KeystoreWorker] = field(default_factory=list)

    def __post_init__(self) -> None:
        connection = self.stack.enter_context(psycopg.connect(self.conninfo, autocommit=True))
        pool = self.stack.enter_context(open_pool(self.conninfo, size=4, name="test"))
        self.office: Office = office(connection, certificate_tools(pool, self.folder))

    @property
    def log(self) -> Path:
        """What the workers log."""
        return self.folder / "worker.log"

    def start_scheduler(self) -> None:
        """Run a scheduler in this process until the test ends."""
        self.stack.enter_context(
            SchedulerService(self.conninfo, self.broker_url, timetable=(), stale_hint_seconds=1)
        )

    def start_worker(self) -> KeystoreWorker:
        """Run a worker process until the test ends."""
        worker = KeystoreWorker(
            self.conninfo, self.broker_url, root_key=self.folder / "root.key", log=self.log
        )
        self.workers.append(self.stack.enter_context(worker))
        return worker

    def enqueue(self, request: JobRequest) -> int:
        """Ask for a job."""
        return enqueue(
            self.office.connection, request, organization_id=self.office.organization_id
        ).job_id

    def job(self, job_id: int) -> JobDetails:
        """Return a job as it is now."""
        return show_job(self.office.connection, job_id)

    def await_end(self, *job_ids: int) -> list[JobDetails]:
        """Wait until jobs are finished."""
        until(
            lambda: all(self.job(each).state in ("succeeded", "failed") for each in job_ids),
            "the jobs to end",
            seconds=60,
        )
        return [self.job(each) for each in job_ids]

    def count(self, table: str) -> int:
        """Return the number of rows of a table."""
        return int(self.office.one(f"SELECT count(*) FROM keywright.{table}"))

    def everywhere(self, worker: KeystoreWorker) -> dict[str, bytes]:
        """Return log, database, and the arguments and environment of a worker and its helpers."""
        return {
            "log": self.log.read_bytes(),
            "database": everything(self),
            **{
                f"/proc/{process.name}/{name}": (process / name).read_bytes()
                for process in worker.family()
                for name in ("cmdline", "environ")
            },
        }


def messages(vault: Vault) -> bytes:
    """Return what stands in the queue, once every job was offered; it goes back there."""
    waiting = "SELECT count(*) FROM keywright.job WHERE state <> 'ready'"
    until(lambda: vault.office.one(waiting) == 0, "all jobs to be offered")
    found: list[bytes] = []
    with pika.BlockingConnection(pika.URLParameters(str(vault.broker_url))) as connection:
        channel = connection.channel()
        declare_queues(channel)

        def everything_came() -> bool:
            method, properties, body = channel.basic_get(Queue.CERTIFICATES.value)
            if method is not None:
                found.append(repr(properties).encode() + (body or b""))
            return method is None and bool(found)

        until(everything_came, "the messages")
    return b"\n".join(found)


def everything(vault: Vault) -> bytes:
    """Return every row of every table of keywright's, as text; bytea in hexadecimal."""
    tables = vault.office.connection.execute(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
        " WHERE schemaname = 'keywright' ORDER BY 1"
    ).fetchall()
    assert len(tables) > 20
    rows = [
        row[0]
        for (table,) in tables
        for row in vault.office.connection.execute(f"SELECT each::text FROM {table} AS each")
    ]
    return "\n".join(rows).encode()


def found(secrets: Mapping[str, bytes], searched: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Return which of the secrets stand where, however they are written."""
    return [
        (what, place)
        for what, secret in secrets.items()
        for place, content in searched.items()
        for encoded in encodings(secret)
        if encoded in content
    ]


def encodings(secret: bytes) -> Iterator[bytes]:
    """Return the ways in which bytes may be written."""
    yield secret
    yield secret.hex().encode()
    yield secret.decode("latin-1").encode("utf-16-be")
    yield secret.decode("latin-1").encode("utf-16-be").hex().encode()
    for skipped in range(3):  # whatever stands before it
        yield base64.b64encode(bytes(skipped) + secret)[4:-4]
