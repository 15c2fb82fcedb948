"""The ways in which usages come and certificates go: functions, jobs, commands and SQL.

Each way is called with the connection string of a database, does the same to an organization, and
raises or says ``RefusedError`` with the reason where it may not.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlencode

import psycopg

from tests.acceptance.keywright_command import Keywright
from tests.integration.certificates.inventory import Inventory
from tests.integration.jobs.workbench import Workbench
from workers.certificates.deletion import delete_certificate
from workers.certificates.usage_jobs import delete_unused, register_usage
from workers.certificates.usages import add_usage
from workers.contract import DeleteCertificate, JobRequest, RegisterUsage
from workers.database.pool import database_clock
from workers.errors import KeywrightError
from workers.jobs.enqueue import enqueue
from workers.jobs.execution import Handler

Way: TypeAlias = Callable[[], None]


class RefusedError(Exception):
    """Nothing was changed, for this reason."""


class Ways:
    """Uses the certificate ``web`` of Acme in ``api_client: Billing``, or deletes it."""

    def __init__(self, conninfo: str, acme: Inventory, workbench: Workbench, folder: Path) -> None:
        self._conninfo = conninfo
        self._organization_id = acme.organization_id
        self._workbench = workbench
        self._folder = folder
        self._version_id = acme.keep("web")

    def use_by_function(self) -> None:
        try:
            with psycopg.connect(self._conninfo, autocommit=True) as connection:
                add_usage(
                    connection,
                    organization_id=self._organization_id,
                    unique_name="web",
                    place_kind="api_client",
                    place="Billing",
                    now=database_clock(connection),
                )
        except KeywrightError as error:
            raise RefusedError(str(error)) from error

    def use_by_job(self) -> None:
        self._job(
            register_usage,
            RegisterUsage(certificate="web", place_kind="api_client", place="Billing"),
        )

    def use_by_command(self) -> None:
        self._command("usage", "add", "web", "api_client", "Billing", "-o", "Acme")

    def use_by_sql(self) -> None:
        self._sql(
            "INSERT INTO keywright.usage (organization_id, version_id, place_kind, place)"
            " VALUES (%s, %s, 'api_client', 'Billing')",
            [self._organization_id, self._version_id],
        )

    def delete_by_function(self) -> None:
        try:
            with psycopg.connect(self._conninfo, autocommit=True) as connection:
                delete_certificate(
                    connection,
                    organization_id=self._organization_id,
                    unique_name="web",
                    now=database_clock(connection),
                )
        except KeywrightError as error:
            raise RefusedError(str(error)) from error

    def delete_by_job(self) -> None:
        self._job(delete_unused, DeleteCertificate(unique_name="web"))

    def delete_by_command(self) -> None:
        self._command("certificate", "delete", "web", "-o", "Acme")

    def delete_by_sql(self) -> None:
        self._sql(
            "UPDATE keywright.certificate SET deleted_at = now() WHERE unique_name = 'web'", []
        )

    def _job(self, handle: Handler, request: JobRequest) -> None:
        with self._workbench.ledger.connection() as connection:
            job_id = enqueue(connection, request, organization_id=self._organization_id).job_id
        job = self._workbench.execute(handle, request, job_id=job_id)
        if job.state != "succeeded":
            assert job.state == "failed"
            assert job.problem is not None
            raise RefusedError(job.problem["detail"])

    def _command(self, *arguments: str) -> None:
        place = psycopg.conninfo.conninfo_to_dict(self._conninfo)
        query = urlencode([(name, place[name]) for name in ("host", "port") if name in place])
        url = f"postgresql://{place['user']}@/{place['dbname']}?{query}"
        done = Keywright(self._folder, {"KEYWRIGHT_DATABASE_URL": url}).run(*arguments)
        if done.returncode != 0:
            raise RefusedError(done.stderr)

    def _sql(self, statement: str, values: list[object]) -> None:
        try:
            with psycopg.connect(self._conninfo, autocommit=True) as connection:
                connection.execute(statement, values)
        except psycopg.errors.RestrictViolation as error:
            raise RefusedError(str(error)) from error
