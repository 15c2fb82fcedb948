"""An organization that has certificates made, in this process and by jobs."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg.rows import dict_row

from tests.integration.jobs.workbench import Workbench
from workers import composition
from workers.certificates import issuing
from workers.certificates.issuing_jobs import (
    copy_certificate,
    generate_certificate,
    rekey_certificate,
)
from workers.certificates.listing import CertificateRow, list_certificates
from workers.certificates.private_keys import PrivateKey
from workers.certificates.tools import CertificateTools
from workers.contract.certificates import (
    CopyCertificate,
    GenerateCertificate,
    IssuedCertificate,
    RekeyCertificate,
)
from workers.contract.request import JobRequest
from workers.database.pool import Connection, Pool, database_clock
from workers.jobs.enqueue import enqueue
from workers.jobs.execution import Handler
from workers.jobs.inspection import JobDetails
from workers.keys.keyring import KeyRing
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey
from workers.organizations.store import add_organization

ASKER = "test:ada"
QUICK = {"profile": "signing"}  # P-256, where the key does not matter


def certificate_tools(pool: Pool, folder: Path) -> CertificateTools:
    """Return what the jobs on certificates work with."""
    root_keys = RootKeys(FileRootKey(folder / "root.key", create_if_missing=True))
    return composition.certificate_tools(KeyRing(pool, root_keys), pool)


@dataclass
class Workshop:
    """One organization; it has no master key before its first certificate."""

    connection: Connection
    tools: CertificateTools
    organization_id: int
    name: str

    @classmethod
    def of(cls, connection: Connection, tools: CertificateTools, name: str) -> "Workshop":
        """Add an organization."""
        organization_id = add_organization(
            connection, name=name, time_zone="UTC", sending_hour=8, is_sandbox=False
        )
        return cls(connection, tools, organization_id, name)

    @property
    def now(self) -> datetime:
        """The database's clock."""
        return database_clock(self.connection)

    def generate(self, label: str = "Signing", **request: Any) -> IssuedCertificate:
        """Make a certificate in this process."""
        return issuing.generate(
            self.connection,
            self.tools,
            GenerateCertificate(label=label, **(request or QUICK)),
            organization_id=self.organization_id,
            now=self.now,
            requested_by=ASKER,
        )

    def copy(self, source: str, label: str = "Copy", **request: Any) -> IssuedCertificate:
        """Copy a certificate in this process."""
        return issuing.copy(
            self.connection,
            self.tools,
            CopyCertificate(source=source, label=label, **request),
            organization_id=self.organization_id,
            now=self.now,
            requested_by=ASKER,
        )

    def rekey(self, name: str, expected_version: int | None = None) -> IssuedCertificate:
        """Rekey a certificate in this process."""
        return issuing.rekey(
            self.connection,
            self.tools,
            organization_id=self.organization_id,
            unique_name=name,
            expected_version=expected_version,
            now=self.now,
            requested_by=ASKER,
        )

    def handlers(self) -> dict[type[JobRequest], Handler]:
        """Return what a worker does for these jobs."""
        return {
            GenerateCertificate: lambda r, job: generate_certificate(r, job, tools=self.tools),
            CopyCertificate: lambda r, job: copy_certificate(r, job, tools=self.tools),
            RekeyCertificate: lambda r, job: rekey_certificate(r, job, tools=self.tools),
        }

    def ask(self, request: JobRequest) -> int:
        """Ask for a job."""
        return enqueue(self.connection, request, organization_id=self.organization_id).job_id

    def execute(self, workbench: Workbench, request: JobRequest) -> JobDetails:
        """Ask for a job and have it executed."""
        handler = self.handlers()[type(request)]
        return workbench.execute(handler, request, job_id=self.ask(request))

    def rows(self) -> dict[str, CertificateRow]:
        """Return the certificates by name."""
        rows = list_certificates(
            self.connection, organization_id=self.organization_id, now=self.now
        )
        return {row.unique_name: row for row in rows}

    def versions(self, name: str) -> list[dict[str, Any]]:
        """Return all of a certificate's versions, oldest first."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                "SELECT version.* FROM keywright.certificate_version AS version"
                "  JOIN keywright.certificate USING (certificate_id)"
                " WHERE certificate.organization_id = %s AND unique_name = %s"
                " ORDER BY version_number",
                [self.organization_id, name],
            ).fetchall()

    def private_key(self, version_id: int) -> PrivateKey:
        """Return the private key of a version."""
        found = self.tools.private_keys.load(
            self.connection, organization_id=self.organization_id, version_ids=[version_id]
        )
        return found[version_id]

    def announced(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Return what was announced of certificates: kind, subject and data, oldest first."""
        return self.connection.execute(
            "SELECT kind, subject, data FROM keywright.announcement"
            " WHERE organization_id = %s AND kind LIKE 'certificate.%%' ORDER BY announcement_id",
            [self.organization_id],
        ).fetchall()
