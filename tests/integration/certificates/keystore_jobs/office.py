"""An organization with a master key, certificates with private keys, and what tests do to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from workers.certificates.handover import hand_secret, keep_artifact
from workers.certificates.keystores.entries import KeyEntry
from workers.certificates.making import NewCertificate, NewVersion, add_certificates
from workers.certificates.private_keys import PrivateKey
from workers.certificates.reading.chains import with_chain
from workers.certificates.reading.contents import read_certificates
from workers.certificates.tools import CertificateTools
from workers.database.pool import Connection, database_clock
from workers.organizations.members import NewMember
from workers.organizations.store import add_members, add_organization

PASSWORD = "a password for the store"
ASKER = "system:crm"
HOUR = timedelta(hours=1)
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2036, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Issued:
    """A key with its certificate and the issuers of that, in DER."""

    key: PrivateKey
    chain: tuple[bytes, ...]

    @property
    def private_key(self) -> bytes:
        """PKCS #8 DER."""
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def entry(self, alias: str) -> KeyEntry:
        """Return it as it stands in a keystore."""
        return KeyEntry(alias=alias, private_key=self.private_key, chain=self.chain)


def issue(
    name: str, *, by: Issued | None = None, end: datetime = END, key: PrivateKey | None = None
) -> Issued:
    """Make a P-256 key with a certificate, self-signed or signed by another."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = subject if by is None else x509.load_der_x509_certificate(by.chain[0]).subject
    signer = key if by is None else by.key
    assert isinstance(signer, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGINNING)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    return Issued(key, (certificate.public_bytes(Encoding.DER), *(by.chain if by else ())))


@dataclass
class Office:
    """One organization of a test."""

    connection: Connection
    tools: CertificateTools
    organization_id: int

    @property
    def now(self) -> datetime:
        """The database's clock."""
        return database_clock(self.connection)

    def keep(
        self, unique_name: str, issued: Issued, *, exportable: bool = True, signed: bool = True
    ) -> int:
        """Add a certificate with its private key; return its version's id."""
        found = [
            certificate
            for der in issued.chain
            for certificate in read_certificates(der, source=unique_name).certificates
        ]
        [made] = add_certificates(
            self.connection,
            self.tools.private_keys,
            organization_id=self.organization_id,
            certificates=[
                NewCertificate(
                    unique_name=unique_name,
                    label=unique_name,
                    kind="self_signed" if len(found) == 1 else "ca_signed",
                    private_key_exportable=exportable,
                    version=NewVersion(
                        private_key=issued.private_key,
                        public_key=issued.key.public_key().public_bytes(
                            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
                        ),
                        key_algorithm=found[0].key_algorithm,
                        key_size=found[0].key_size,
                        found=with_chain(found[0], found[1:]) if signed else None,
                        csr=None if signed else b"a request",
                    ),
                )
            ],
            now=self.now,
        )
        return made.version_id

    def hand(self, value: str = PASSWORD, *, stay: timedelta = HOUR) -> UUID:
        """Hand a secret over."""
        return hand_secret(
            self.connection,
            self.tools.cipher,
            organization_id=self.organization_id,
            value=value,
            purpose="a test",
            handed_by=ASKER,
            expires_at=self.now + stay,
        )

    def secret(self, value: str = PASSWORD) -> str:
        """Hand a secret over, and return what names it among a job's arguments."""
        return str(self.hand(value))

    def bring(self, content: bytes, *, stay: timedelta = HOUR, by: str = ASKER) -> UUID:
        """Hand a keystore in."""
        return keep_artifact(
            self.connection,
            self.tools.cipher,
            organization_id=self.organization_id,
            purpose="keystore_import",
            file_name="brought.p12",
            media_type="application/x-pkcs12",
            content=content,
            requested_by=by,
            expires_at=self.now + stay,
        )

    def member(self, name: str, *, permissions: Sequence[str] = ("manage_certificates",)) -> int:
        """Add an active member."""
        email = f"{name}-{self.organization_id}@example.org"
        [member_id] = add_members(
            self.connection,
            organization_id=self.organization_id,
            members=[
                NewMember.model_validate(
                    {"name": name, "email": email, "permissions": tuple(permissions)}
                )
            ],
        )
        return member_id

    def fetches(self, artifact_id: UUID) -> list[tuple[str, str | None]]:
        """Return who fetched an artifact or tried to, and why not."""
        return self.connection.execute(
            "SELECT actor, refused_because FROM keywright.artifact_fetch WHERE artifact_id = %s"
            " ORDER BY fetch_id",
            [artifact_id],
        ).fetchall()

    def one(self, query: str, *parameters: Any) -> Any:
        """Return the only value of the only row of a query."""
        row = self.connection.execute(query, parameters).fetchone()
        assert row is not None
        return row[0]

    def certificates(self) -> dict[str, tuple[Any, ...]]:
        """Return kind, exportability, end, certificate and chain by unique name."""
        rows = self.connection.execute(
            "SELECT unique_name, kind::text, private_key_exportable, not_after, certificate_der,"
            " chain_der FROM keywright.certificate JOIN keywright.certificate_version"
            " USING (certificate_id) WHERE certificate.organization_id = %s",
            [self.organization_id],
        ).fetchall()
        return {row[0]: row[1:] for row in rows}

    def private_keys(self) -> dict[str, bytes]:
        """Return the private keys by unique name, in PKCS #8."""
        ids: dict[int, str] = dict(
            self.connection.execute(
                "SELECT version_id, unique_name FROM keywright.certificate_version"
                " JOIN keywright.certificate USING (certificate_id)"
                " WHERE certificate.organization_id = %s",
                [self.organization_id],
            ).fetchall()
        )
        opened = self.tools.private_keys.open(
            self.connection, organization_id=self.organization_id, version_ids=list(ids)
        )
        return {ids[version_id]: key for version_id, key in opened.items()}


def office(connection: Connection, tools: CertificateTools, name: str = "Acme") -> Office:
    """Add an organization."""
    return Office(
        connection,
        tools,
        add_organization(connection, name=name, time_zone="UTC", sending_hour=8, is_sandbox=False),
    )
