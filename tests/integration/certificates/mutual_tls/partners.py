"""An organization with mutual TLS, the authority that certifies its partners, and their files."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.unit.certificates.signing.authority import (
    CLIENT,
    DAY,
    SERVER,
    Issued,
    extended,
    issue,
    key_usage,
)
from workers.certificates.mutual_tls.enabling import enable
from workers.certificates.mutual_tls.roots import add_roots
from workers.certificates.mutual_tls.uploading import UploadedClient, upload_client
from workers.certificates.mutual_tls.withdrawing import withdraw
from workers.database.pool import Connection, database_clock
from workers.organizations.members import NewMember
from workers.organizations.store import add_members, add_organization

BEGINNING = datetime.now(UTC).replace(microsecond=0) - DAY
END = BEGINNING + 365 * DAY
BY = "cli:test"


def authority(name: str, *, issuer: Issued | None = None) -> Issued:
    """Make an authority that is valid now."""
    usage = key_usage(key_cert_sign=True)
    return issue(name, usage, issuer=issuer, ca=True, not_before=BEGINNING, not_after=END + DAY)


ROOT = authority("Partner Root")
ISSUING = authority("Partner Issuing", issuer=ROOT)
STRANGE_ROOT = authority("Strange Root")


def client(name: str, *, issuer: Issued = ISSUING, lasts: timedelta | None = None) -> Issued:
    """Make a client certificate that is valid now, for ``lasts`` from now on."""
    end = END if lasts is None else datetime.now(UTC) + lasts
    return issue(
        name,
        extended(CLIENT),
        key_usage(digital_signature=True),
        issuer=issuer,
        not_before=BEGINNING,
        not_after=end,
    )


def server_certificate() -> Issued:
    """Make the certificate of a listener on this machine."""
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    )
    return issue(
        "localhost", names, extended(SERVER), issuer=ROOT, not_before=BEGINNING, not_after=END
    )


PARTNER = client("partner")
STRANGER = client("stranger")
FORGER = client("partner", issuer=STRANGE_ROOT)
SERVER_CERTIFICATE = server_certificate()


def private_pem(issued: Issued) -> bytes:
    """Return a private key as PEM."""
    return issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_identity(folder: Path, issued: Issued, *chain: Issued) -> Path:
    """Write a certificate, its chain and its key into one file, as curl and HAProxy want it."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{issued.certificate.serial_number}.pem"
    path.write_bytes(issued.pem + b"".join(each.pem for each in chain) + private_pem(issued))
    return path


def client_context(identity: Path | None, folder: Path) -> ssl.SSLContext:
    """Return how a client connects that trusts the authority's servers."""
    trusted = folder / "server-ca.pem"
    trusted.write_bytes(ROOT.pem)
    context = ssl.create_default_context(cafile=trusted)
    if identity is not None:
        context.load_cert_chain(identity)
    return context


@dataclass(frozen=True)
class Partners:
    """The organization; ``connection`` is autocommit."""

    connection: Connection
    organization_id: int

    @classmethod
    def of(cls, connection: Connection, name: str = "Acme") -> "Partners":
        """Make an organization that trusts the authority; Ana needs a certificate, Ben none."""
        organization_id = add_organization(
            connection, name=name, time_zone="UTC", sending_hour=8, is_sandbox=False
        )
        add_members(
            connection,
            organization_id=organization_id,
            members=[
                NewMember(name="Ana", email="ana@example.org", permissions=("enforce_mutual_tls",)),
                NewMember(name="Ben", email="ben@example.org"),
            ],
        )
        partners = cls(connection, organization_id)
        enable(connection, organization_id=organization_id, by=BY, now=partners.now)
        partners.trust(ROOT)
        return partners

    @property
    def now(self) -> datetime:
        """The time of the database."""
        return database_clock(self.connection)

    def trust(self, root: Issued, *, public: bool | None = None) -> None:
        """Trust a root."""
        add_roots(
            self.connection,
            organization_id=self.organization_id,
            data=root.pem,
            source="root.pem",
            public=public,
            added_by=BY,
            now=self.now,
        )

    def upload(
        self,
        issued: Issued,
        *chain: Issued,
        renews: str | None = None,
        member_id: int | None = None,
        label: str | None = None,
        unique_name: str | None = None,
    ) -> UploadedClient:
        """Upload a client certificate with its issuing authority, or with ``chain``."""
        return upload_client(
            self.connection,
            organization_id=self.organization_id,
            data=issued.pem + b"".join(each.pem for each in chain or (ISSUING,)),
            source="client.pem",
            uploaded_by=BY,
            now=self.now,
            renews=renews,
            member_id=member_id,
            label=label,
            unique_name=unique_name,
        )

    def withdraw(self, unique_name: str, version_number: int | None = None) -> None:
        """Withdraw a client certificate."""
        withdraw(
            self.connection,
            organization_id=self.organization_id,
            unique_name=unique_name,
            version_number=version_number,
            by=BY,
            now=self.now,
        )


@contextmanager
def another(partners: Partners) -> Iterator[Partners]:
    """Yield the same organization over a connection of its own."""
    with psycopg.connect(partners.connection.info.dsn, autocommit=True) as connection:
        yield Partners(connection, partners.organization_id)
