"""Two organizations: what one has, the other tries to get at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Identifier

from tests.integration.certificates.keystore_jobs.office import Office, issue
from tests.integration.jobs.workbench import Workbench
from workers.composition import Handlers
from workers.contract import JobRequest
from workers.jobs.enqueue import enqueue
from workers.jobs.inspection import JobDetails, show_job


@dataclass
class Tenants:
    """Acme, which asks, and Rival, whose things are not Acme's."""

    acme: Office
    rival: Office
    workbench: Workbench
    handlers: Callable[[], Handlers]

    def __post_init__(self) -> None:
        for owner in (self.acme, self.rival):
            owner.keep("own", issue("own"))
            owner.keep("spare", issue("spare"))

    def run(self, request: JobRequest, *, as_: Office | None = None) -> JobDetails:
        """Do a job for Acme, or another, to its end."""
        owner = as_ or self.acme
        job_id = enqueue(owner.connection, request, organization_id=owner.organization_id).job_id
        self.workbench.execution(self.handlers()).execute(job_id)
        return show_job(owner.connection, job_id)

    def everything_of(self, owner: Office) -> dict[str, Any]:
        """Return all rows that belong to an organization, but for jobs and the audit record."""
        tables = [
            row[0]
            for row in owner.connection.execute(
                "SELECT table_name FROM information_schema.columns WHERE table_schema = 'keywright'"
                " AND column_name = 'organization_id' AND table_name IN (SELECT table_name"
                " FROM information_schema.tables WHERE table_schema = 'keywright'"
                " AND table_type = 'BASE TABLE') ORDER BY table_name"
            )
        ]
        return {
            table: owner.connection.execute(
                SQL(
                    "SELECT to_jsonb(each) FROM keywright.{} AS each WHERE organization_id = %s"
                    " ORDER BY to_jsonb(each)::text"
                ).format(Identifier(table)),
                [owner.organization_id],
            ).fetchall()
            for table in tables
            if table not in ("job", "audit_entry")
        }
