"""Jobs on keystores in real workers: killed in the middle, and searched for what they must hide."""

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pika
import psycopg
import pytest

from scheduler.service import SchedulerService
from tests.faults.keystore_worker import KeystoreWorker
from tests.integration.certificates.issuance.workshop import certificate_tools
from tests.integration.certificates.keystore_jobs.office import (
    ASKER,
    Office,
    issue,
    office,
)
from tests.servers.waiting import until
from workers.certificates.handover import fetch_artifact
from workers.certificates.keystores.writing import write_keystore
from workers.contract import ExportKeystore, ImportKeystore, JobRequest, Queue
from workers.database.pool import open_pool
from workers.jobs.enqueue import enqueue
from workers.jobs.inspection import JobDetails, show_job
from workers.jobs.queues import declare_queues

MARKER = "Marker-4f1c-store-password"
KEY_MARKER = "Marker-9b7e-key-password"
WRONG_MARKER = "Marker-0d35-wrong-password"

GATE = """
CREATE TABLE public.gate (opened boolean);
CREATE FUNCTION public.wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM public.gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
    RETURN NEW;
END $$;
-- An import has written certificates and versions, and not yet their private keys.
CREATE TRIGGER gate BEFORE UPDATE OF private_key ON keywright.certificate_version FOR EACH ROW
    WHEN (current_setting('application_name') = 'keywright worker')
    EXECUTE FUNCTION public.wait_at_gate();
-- An export has written its keystore, and uses its password up.
CREATE TRIGGER gate BEFORE UPDATE OF value ON keywright.handed_secret FOR EACH ROW
    WHEN (current_setting('application_name') = 'keywright worker')
    EXECUTE FUNCTION public.wait_at_gate();
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


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


@pytest.fixture
def build(tmp_path: Path, conninfo: str) -> Iterator[Callable[[str | None], Vault]]:
    """Make a vault, with a broker or without."""
    with ExitStack() as stack:
        yield lambda broker_url: Vault(conninfo, broker_url, tmp_path, stack)


def test_a_worker_killed_in_the_middle_of_an_import_or_export_leaves_all_or_nothing(
    build: Callable[[str | None], Vault],
) -> None:
    vault = build(None)
    acme = vault.office
    kept = issue("kept")
    acme.keep("kept", kept)
    keys = {f"new_{number}": issue(f"new {number}") for number in range(5)}
    data = write_keystore(
        "pkcs12", keys=[each.entry(name) for name, each in keys.items()], password=MARKER
    )
    acme.connection.execute(GATE)
    requests = (
        ImportKeystore(requested_by=ASKER, artifact=acme.bring(data), password=acme.secret(MARKER)),
        ExportKeystore(requested_by=ASKER, password=acme.secret(MARKER), certificates=("kept",)),
    )
    vault.start_scheduler()
    victim = vault.start_worker()
    jobs = [vault.enqueue(request) for request in requests]
    until(lambda: acme.one(WAITING) == 2, "both jobs to be in the middle")
    victim.kill()
    assert (vault.count("certificate"), vault.count("certificate_version")) == (1, 1)
    assert vault.count("artifact") == 1
    vault.start_worker()
    until(lambda: all(vault.job(each).attempt == 2 for each in jobs), "another to take them over")
    acme.connection.execute("INSERT INTO gate VALUES (true)")
    imported, exported = vault.await_end(*jobs)
    assert (imported.state, exported.state) == ("succeeded", "succeeded"), imported.problem
    assert acme.private_keys() == {
        "kept": kept.private_key,
        **{name: each.private_key for name, each in keys.items()},
    }
    # The one handed in, whose content is gone, and the one that the export made.
    assert vault.count("artifact") == 2
    assert acme.one("SELECT count(*) FROM keywright.artifact WHERE content IS NOT NULL") == 1
    assert acme.one("SELECT bool_and(value IS NULL) FROM keywright.handed_secret")
    kinds = "SELECT array_agg(kind ORDER BY kind) FROM keywright.announcement WHERE kind ~ '^key'"
    assert acme.one(kinds) == ["keystore.exported", "keystore.imported"]


def test_rule_30_passwords_and_private_keys_are_nowhere_but_encrypted(
    build: Callable[[str | None], Vault], broker_url: str
) -> None:
    vault = build(broker_url)
    acme = vault.office
    issued = issue("one")
    acme.keep("one", issued)
    brought = issue("brought")
    data = write_keystore(
        "jks", keys=[brought.entry("brought")], password=MARKER, key_password=KEY_MARKER
    )

    def handed(store: str = MARKER, key: str = KEY_MARKER) -> dict[str, Any]:
        return {"password": acme.hand(store), "key_password": acme.hand(key)}

    vault.start_scheduler()
    unread = acme.bring(data)
    jobs = [
        vault.enqueue(request)
        for request in (
            ExportKeystore(requested_by=ASKER, format="jks", **handed()),
            ImportKeystore(requested_by=ASKER, artifact=acme.bring(data), **handed()),
            ImportKeystore(requested_by=ASKER, artifact=unread, **handed(WRONG_MARKER)),
            ImportKeystore(requested_by=ASKER, artifact=unread, dry_run=True, **handed()),
            ExportKeystore(requested_by=ASKER, password=acme.secret("Marker-")),
        )
    ]
    acme.hand(MARKER)  # and one that nobody has used yet
    messages = _messages(vault)
    worker = vault.start_worker()
    done = vault.await_end(*jobs)
    states = ["succeeded", "succeeded", "failed", "succeeded", "failed"]
    assert [job.state for job in done] == states
    assert done[0].result is not None
    exported = fetch_artifact(
        acme.connection,
        acme.tools.cipher,
        organization_id=acme.organization_id,
        artifact_id=UUID(done[0].result["artifact"]),
        actor=ASKER,
    ).content

    secrets = {
        "a password": b"Marker-",
        "a private key": issued.private_key[40:60],
        "a private key that was brought": brought.private_key[40:60],
        "a keystore": exported[60:90],
        "a keystore that was brought": data[60:90],
    }
    searched = {
        "messages": messages,
        "log": vault.log.read_bytes(),
        "database": _everything(vault),
        **{
            f"/proc/{process.name}/{name}": (process / name).read_bytes()
            for process in worker.family()
            for name in ("cmdline", "environ")
        },
    }
    assert len(searched) >= 3 + 4  # the worker and its helper that reads keystores
    # What is no secret is found in this way.
    for known in (b"keystore.export", issued.chain[0].hex().encode()):
        assert known in searched["database"]
    assert b"keystore.import" in searched["log"]
    found = [
        (what, place)
        for what, secret in secrets.items()
        for place, content in searched.items()
        for encoded in _encodings(secret)
        if encoded in content
    ]
    assert found == []


def _messages(vault: Vault) -> bytes:
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


def _everything(vault: Vault) -> bytes:
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


def _encodings(secret: bytes) -> Iterator[bytes]:
    yield secret
    yield secret.hex().encode()
    yield secret.decode("latin-1").encode("utf-16-be")
    yield secret.decode("latin-1").encode("utf-16-be").hex().encode()
    for skipped in range(3):  # whatever stands before it
        yield base64.b64encode(bytes(skipped) + secret)[4:-4]
