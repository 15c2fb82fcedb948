"""Two organizations, their keys, and one worker whose jobs the test executes itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

from tests.integration.jobs.workbench import let_lease_run_out
from tests.integration.keys.custody import PASSPHRASE, by_passphrase
from tests.integration.reencryption.ground import Ground
from tests.servers.waiting import until
from workers.contract import (
    ConcludeReencryption,
    DestroyMasterKey,
    JobRequest,
    PrepareReencryption,
    ReviewMasterKeys,
    RotateMasterKey,
    StartReencryption,
    WorkOnReencryption,
)
from workers.database.pool import Connection, database_clock
from workers.encryption import FieldCipher
from workers.encryption.connections import Connections
from workers.jobs.enqueue import enqueue
from workers.jobs.execution import Handler
from workers.jobs.inspection import JobDetails, show_job
from workers.jobs.reaper import reap_expired_leases
from workers.keys import store as keys
from workers.keys.export import export_key, passphrase_seal
from workers.keys.export_file import read_export
from workers.keys.handlers import review_master_keys, rotate_master_key
from workers.keys.importing import Imported, import_key
from workers.keys.keyring import KeyRing
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey
from workers.keys.rotation import rotate
from workers.keys.states import State
from workers.organizations.store import add_organization
from workers.reencryption import control, store
from workers.reencryption.destruction import destroy_master_key
from workers.reencryption.handlers import (
    conclude_reencryption,
    prepare_reencryption,
    start_reencryption,
    work_on_reencryption,
)
from workers.reencryption.options import RunOptions
from workers.reencryption.store import Purpose, Run
from workers.reencryption.tools import Tools

BY: dict[str, Any] = {"actor": "test:ada", "reason": "a test"}


class Stage:
    """Two organizations of one test; ``connection`` is keywright's own, autocommit."""

    def __init__(self, ground: Ground) -> None:
        self.conninfo = ground.conninfo
        self.connection = ground.connection
        self.pool = ground.pool
        self.workbench = ground.workbench
        self.folder = ground.folder
        self.name = f"stage_{ground.stages}"
        self.root_keys = RootKeys(FileRootKey(self.folder / "root.key", create_if_missing=True))
        self.keyring = KeyRing(self.pool, self.root_keys)
        self.cipher = FieldCipher(self.keyring, self.pool, max_age_seconds=0)
        self.connections = Connections(self.conninfo, {"billing": SecretStr(ground.other)})
        self.tools = Tools(keyring=self.keyring, connections=self.connections, ledger=self.pool)
        self.acme, self.globex = (
            add_organization(
                self.connection,
                name=f"{name} of {self.name}",
                time_zone="UTC",
                sending_hour=8,
                is_sandbox=False,
            )
            for name in ("Acme", "Globex")
        )

    @property
    def handlers(self) -> Mapping[type[JobRequest], Handler]:
        """What a worker does for the kinds of jobs that runs and keys lead to."""
        return {
            StartReencryption: partial(start_reencryption, tools=self.tools),
            PrepareReencryption: partial(prepare_reencryption, tools=self.tools),
            WorkOnReencryption: partial(work_on_reencryption, tools=self.tools),
            ConcludeReencryption: partial(conclude_reencryption, tools=self.tools),
            DestroyMasterKey: partial(destroy_master_key, tools=self.tools),
            RotateMasterKey: partial(rotate_master_key, root_keys=self.root_keys),
            ReviewMasterKeys: review_master_keys,
        }

    # ------------------------------------------------------------------------------------ runs

    def start(self, purpose: Purpose = "reencrypt", *names: str, **chosen: Any) -> int:
        """Begin a run of the first organization, or of ``organization_id``; nothing works yet."""
        organization_id = chosen.pop("organization_id", self.acme)
        with self.pool.connection() as connection, connection.transaction():
            return control.start_run(
                connection,
                self.keyring,
                organization_id=organization_id,
                purpose=purpose,
                field_names=names,
                options=RunOptions(**chosen),
                requested_by="a test",
            )

    def run(self, run_id: int) -> Run:
        """Return a run as it is now."""
        with self.pool.connection() as connection:
            return store.load_run(connection, run_id)

    def execute_next(self) -> JobDetails | None:
        """Execute the oldest job that is due; None: there is none."""
        due = self._next_job()
        return None if due is None else self.execute(due[0])

    def next_kind(self) -> str | None:
        """Return what kind of job ``execute_next`` would execute."""
        due = self._next_job()
        return None if due is None else due[1]

    def _next_job(self) -> tuple[int, str] | None:
        with self.pool.connection() as connection:
            return connection.execute(
                "SELECT job_id, kind FROM keywright.job WHERE state IN ('scheduled', 'ready')"
                " AND run_at <= now() ORDER BY job_id LIMIT 1"
            ).fetchone()

    def execute(self, job_id: int) -> JobDetails:
        """Execute a job, and return what became of it."""
        self.workbench.execution(self.handlers).execute(job_id)
        with self.pool.connection() as connection:
            return show_job(connection, job_id)

    def ask(self, request: JobRequest, *, organization_id: int | None = None) -> JobDetails:
        """Execute a new job for an organization, by default the first."""
        with self.pool.connection() as connection:
            organization_id = organization_id or self.acme
            job_id = enqueue(connection, request, organization_id=organization_id).job_id
        return self.execute(job_id)

    def settle(self, run_id: int, *, most_jobs: int = 200) -> Run:
        """Execute jobs, without waiting for their time, until none is left; return the run."""
        for _ in range(most_jobs):
            self.make_due()
            if self.execute_next() is None:
                return self.run(run_id)
        raise AssertionError(f"{most_jobs} jobs did not do: {self.run(run_id)}")

    def reach(self, run_id: int, state: str, *, most_jobs: int = 50) -> Run:
        """Execute jobs until the run is in ``state``; return it."""
        for _ in range(most_jobs):
            if (run := self.run(run_id)).state == state:
                return run
            self.make_due()
            assert self.execute_next() is not None, run
        raise AssertionError(f"{most_jobs} jobs did not lead to {state}: {self.run(run_id)}")

    def complete(self, purpose: Purpose = "reencrypt", *names: str, **chosen: Any) -> Run:
        """Begin a run, do all its work, and return it completed."""
        run = self.settle(self.start(purpose, *names, **chosen))
        assert run.state == "completed", run
        return run

    def make_due(self) -> None:
        """Let no job wait for its time any longer."""
        with self.pool.connection() as connection:
            connection.execute(
                "UPDATE keywright.job SET run_at = now()"
                " WHERE state = 'scheduled' AND run_at > now()"
            )

    def let_the_monitor_look(self) -> None:
        """Return once whoever watches over a run has looked anew, from first to last."""
        for _ in range(2):
            since = self._now()
            until(lambda since=since: self._looked_at() > since, "the monitor to look")  # type: ignore[misc]

    def _looked_at(self) -> datetime:
        rows = self.connection.execute(
            "SELECT query_start FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'keywright monitor' AND query_start IS NOT NULL"
        ).fetchall()
        return max((row[0] for row in rows), default=datetime.min.replace(tzinfo=UTC))

    def _now(self) -> datetime:
        return database_clock(self.connection)

    def unfinished_jobs(self, kind: str = "reencryption.%") -> int:
        """Return how many jobs of a kind are not finished."""
        row = self.connection.execute(
            "SELECT count(*) FROM keywright.job WHERE kind LIKE %s AND finished_at IS NULL", [kind]
        ).fetchone()
        assert row is not None
        return int(row[0])

    def bury_the_dead(self) -> None:
        """Let the leases of abandoned jobs run out, and have them done by others."""
        for (job_id,) in self.connection.execute(
            "SELECT job_id FROM keywright.job WHERE state = 'running'"
        ).fetchall():
            let_lease_run_out(self.connection, job_id)
        reap_expired_leases(self.connection)

    # ------------------------------------------------------------------------------------ keys

    def rotate(self, organization_id: int | None = None) -> int:
        """Rotate the active key of an organization; return the new number."""
        organization_id = organization_id or self.acme
        return rotate(
            self.connection,
            self.root_keys,
            organization_id=organization_id,
            expected_number=self.keyring.active_number(organization_id),
            **BY,
        ).number

    def move_key(self, number: int, to: State) -> None:
        """Move a key of the first organization, and let the ring know."""
        keys.move_key(self.connection, organization_id=self.acme, number=number, to=to, **BY)
        self.keyring.forget(self.acme, number)

    def export(self, number: int) -> None:
        """Write a key of the first organization to a file."""
        export_key(
            self.connection,
            self.root_keys,
            organization_id=self.acme,
            number=number,
            seal=passphrase_seal(PASSPHRASE),
            path=self._export(number),
            actor="test:ada",
        )

    def bring_back(self, number: int) -> Imported:
        """Import a destroyed key of the first organization from its file."""
        imported = import_key(
            self.connection,
            self.root_keys,
            organization_id=self.acme,
            number=number,
            file=read_export(self._export(number).read_bytes()),
            opener=by_passphrase,
            **BY,
        )
        self.keyring.forget(self.acme, number)
        return imported

    def _export(self, number: int) -> Path:
        return self.folder / f"{self.acme}-{number}.txt"

    # ----------------------------------------------------------------------------------- rest

    @contextmanager
    def application(self, conninfo: str | None = None) -> Iterator[Connection]:
        """Connect as an application does: statements begin a transaction."""
        with psycopg.connect(conninfo or self.conninfo) as connection:
            yield connection

    def announcements(self, kind: str) -> list[dict[str, Any]]:
        """Return the data of what was announced, oldest first."""
        rows = self.connection.execute(
            "SELECT data FROM keywright.announcement WHERE kind = %s AND organization_id = %s"
            " ORDER BY announcement_id",
            [kind, self.acme],
        ).fetchall()
        return [row[0] for row in rows]

    def totals(self, run_id: int, *, is_check: bool = False) -> dict[str, int]:
        """Add up the ranges of a run."""
        row = self.connection.execute(
            "SELECT count(*), coalesce(sum(rewritten), 0)::bigint,"
            " coalesce(sum(conflicts), 0)::bigint, coalesce(sum(quarantined), 0)::bigint"
            " FROM keywright.reencryption_range WHERE run_id = %s AND is_check = %s",
            [run_id, is_check],
        ).fetchone()
        assert row is not None
        return dict(zip(("ranges", "rewritten", "conflicts", "quarantined"), row, strict=True))

    def quarantine(self) -> dict[tuple[str, ...], str]:
        """Return the class of every value in quarantine by column and row."""
        return {
            (column, *row_key): found
            for column, row_key, found in self.connection.execute(
                "SELECT column_name, row_key, class::text FROM keywright.quarantine"
                " JOIN keywright.encrypted_field USING (field_id)"
                " WHERE resolved_at IS NULL AND quarantine.organization_id = %s",
                [self.acme],
            )
        }
