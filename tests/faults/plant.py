"""A table, the processes that re-encrypt it, and an application that writes all the while."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from scheduler.service import SchedulerService
from tests.faults.reencryption_worker import ReencryptionWorker
from tests.servers.waiting import until
from workers.database.pool import DATABASE_TROUBLE, Connection, open_pool
from workers.encryption import FieldCipher
from workers.encryption.ciphertext import named_key
from workers.encryption.registry import FieldDefinition, move_field, register_field
from workers.keys.keyring import KeyRing
from workers.keys.root_keys.opening import open_root_keys
from workers.keys.rotation import rotate
from workers.organizations.store import add_organization
from workers.reencryption import store
from workers.reencryption.control import start_run
from workers.reencryption.options import RunOptions

ROWS = 6000
GATE = 5000
"""The row at which a worker is held until the gate is opened."""

TABLES = f"""
CREATE TABLE public.customer (id bigint PRIMARY KEY, card bytea) WITH (fillfactor = 90);
CREATE TABLE public.gate (opened boolean);
CREATE FUNCTION public.wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER gate BEFORE UPDATE OF card ON customer FOR EACH ROW
    WHEN (NEW.id = {GATE} AND current_setting('application_name') = 'keywright re-encryption')
    EXECUTE FUNCTION wait_at_gate();
CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.01);
    RETURN NEW;
END $$;
CREATE TRIGGER dawdle BEFORE UPDATE OF card ON customer FOR EACH ROW
    EXECUTE FUNCTION dawdle();
ALTER TABLE customer DISABLE TRIGGER dawdle;
"""


@dataclass
class Plant:
    """A table, the processes that re-encrypt it, and an application that writes all the while."""

    conninfo: str
    broker_url: str | None
    root_key: str
    stack: ExitStack
    expected: dict[int, bytes] = field(default_factory=dict)
    acknowledged: int = 0
    doubtful: dict[int, set[bytes]] = field(default_factory=dict)
    """Values that a row may have, where its writer heard nothing of the commit."""

    def __post_init__(self) -> None:
        self.root_keys = open_root_keys(self.root_key, create=True)
        pool = self.stack.enter_context(open_pool(self.conninfo, size=4, name="application"))
        self.pool = pool
        self.keyring = KeyRing(pool, self.root_keys)
        self.cipher = FieldCipher(self.keyring, pool)
        with self.connect() as connection:
            connection.execute(TABLES)
            self.organization_id = add_organization(
                connection, name="Acme", time_zone="UTC", sending_hour=8, is_sandbox=False
            )
            definition = FieldDefinition(
                field_name="customer.card",
                connection_name=None,
                table_schema="public",
                table_name="customer",
                column_name="card",
                column_type="bytea",
                key_columns=["id"],
                key_types=["bigint"],
                organization_column=None,
                organization_id=self.organization_id,
            )
            field_id = register_field(connection, definition).field_id
            move_field(connection, field_id, from_state="plaintext", to_state="encrypted")
        self.fill()
        with self.connect() as connection:
            connection.execute("VACUUM (ANALYZE) customer")
            rotate(
                connection,
                self.root_keys,
                organization_id=self.organization_id,
                expected_number=1,
                actor="a test",
                reason="a test",
            )

    def connect(self) -> Connection:
        """Connect as whoever looks on."""
        return psycopg.connect(self.conninfo, autocommit=True)

    def fill(self) -> None:
        """Insert the rows as an application does."""
        self.expected = {n: b"value %d" % n for n in range(1, ROWS + 1)}
        with psycopg.connect(self.conninfo) as connection:
            with self.cipher.writing(connection, organization_id=self.organization_id) as writer:
                stored = writer.encrypt_many(
                    "customer.card", [((n,), value) for n, value in self.expected.items()]
                )
            with connection.cursor().copy("COPY customer FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["int8", "bytea"])
                for row in zip(self.expected, stored, strict=True):
                    copy.write_row(row)

    def start_scheduler(self) -> None:
        """Run a scheduler in this process until the test ends."""
        self.stack.enter_context(
            SchedulerService(self.conninfo, self.broker_url, timetable=(), stale_hint_seconds=1)
        )

    def start_worker(self) -> ReencryptionWorker:
        """Run a worker process until the test ends."""
        return self.stack.enter_context(
            ReencryptionWorker(self.conninfo, self.broker_url, root_key=self.root_key)
        )

    def start_run(self) -> int:
        """Begin a run with two jobs at a time."""
        with self.connect() as connection, connection.transaction():
            return start_run(
                connection,
                self.keyring,
                organization_id=self.organization_id,
                options=RunOptions(workers=2),
                requested_by="a test",
            )

    def open_gate(self) -> None:
        """Let the worker that waits go on."""
        with self.connect() as connection:
            connection.execute("INSERT INTO gate VALUES (true)")

    @contextmanager
    def slowed_down(self) -> Iterator[None]:
        """Have each row take a hundredth of a second at least, in runs that begin in the block."""
        with self.connect() as connection:
            connection.execute("ALTER TABLE customer ENABLE TRIGGER dawdle")
            yield
            connection.execute("ALTER TABLE customer DISABLE TRIGGER dawdle")

    def await_gate(self) -> int:
        """Wait until a worker is held in the middle of a range; return its server process."""
        found: list[int] = []

        def somebody_waits() -> bool:
            with self.connect() as connection:
                found[:] = [
                    row[0]
                    for row in connection.execute(
                        "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                        " AND application_name = 'keywright re-encryption'"
                    )
                ]
            return bool(found)

        until(somebody_waits, "a worker to be in the middle of a range")
        return found[0]

    def job_at_gate(self) -> tuple[int, str]:
        """Return the job that holds the range of the gate, and the process that runs it."""
        with self.connect() as connection:
            row = connection.execute(
                "SELECT job_id, worker FROM keywright.reencryption_range"
                " JOIN keywright.job USING (job_id) WHERE reencryption_range.claim = job.claim"
                " ORDER BY range_id DESC LIMIT 1"
            ).fetchone()
        assert row is not None
        return row[0], row[1]

    def run(self, run_id: int) -> store.Run:
        """Return a run as it is now."""
        with self.connect() as connection:
            return store.load_run(connection, run_id)

    def await_completion(self, run_id: int) -> store.Run:
        """Wait until a run is completed."""
        until(lambda: self.run(run_id).state == "completed", "the run to be completed", seconds=60)
        return self.run(run_id)

    def count(self, query: str, *parameters: Any) -> int:
        """Return what a query counts."""
        with self.connect() as connection:
            row = connection.execute(query, parameters).fetchone()
        assert row is not None
        return int(row[0])

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have an application update rows as long as the block lasts, whatever dies meanwhile."""
        stop = threading.Event()
        with ThreadPoolExecutor(1) as threads:
            writer = threads.submit(self._write, stop)
            try:
                yield
            finally:
                stop.set()
            writer.result(60)

    def _write(self, stop: threading.Event) -> None:
        written = 0
        while not stop.is_set():
            # Which value a row has whose commit was not acknowledged, nobody knows.
            written += 7
            row = written % ROWS + 1
            if row == GATE:
                continue
            value = b"written %d" % written
            try:
                with psycopg.connect(self.conninfo) as connection:
                    with self.cipher.writing(
                        connection, organization_id=self.organization_id
                    ) as writer:
                        stored = writer.encrypt("customer.card", row=(row,), value=value)
                    connection.execute("UPDATE customer SET card = %s WHERE id = %s", [stored, row])
                    self.doubtful.setdefault(row, set()).update({value, self.expected[row]})
                self.doubtful.pop(row)
                self.expected[row] = value
                self.acknowledged += 1
            except (*DATABASE_TROUBLE, psycopg.Error):
                stop.wait(0.05)

    def assert_nothing_lost(self, run_id: int, *, number: int = 2) -> None:
        """Every acknowledged value is there, under the target key; the run tells no tales."""
        with self.connect() as connection:
            stored = dict(connection.execute("SELECT id, card FROM customer").fetchall())
        opened = self.cipher.decrypt_many(
            "customer.card",
            organization_id=self.organization_id,
            values=[((row,), value) for row, value in stored.items()],
        )
        wrong = {
            row: value
            for row, value in zip(stored, opened, strict=True)
            if value not in self.doubtful.get(row, {self.expected[row]})
        }
        assert wrong == {}
        assert len(stored) == ROWS
        assert Counter(map(named_key, stored.values())) == Counter({number: ROWS})
        assert self.count("SELECT count(*) FROM keywright.quarantine") == 0
        completed = "SELECT count(*) FROM keywright.announcement WHERE kind = %s AND data @> %s"
        told = self.count(completed, "reencryption.completed", f'{{"run_id": {run_id}}}')
        assert told == 1
        assert self.count("SELECT count(*) FROM keywright.job WHERE state = 'failed'") == 0

    def rewritten(self, run_id: int) -> int:
        """Return how many rows the ranges of a run say were rewritten."""
        return self.count(
            "SELECT sum(rewritten) FROM keywright.reencryption_range"
            " WHERE run_id = %s AND NOT is_check",
            run_id,
        )
