"""An organization that signs SAML requests, and what other software says of its metadata."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_der_x509_certificate

from tests.integration.certificates.issuance.workshop import ASKER, Workshop
from workers.certificates.replacement.moves import advance
from workers.certificates.replacement.plan import Place, StepState, VersionRef
from workers.certificates.replacement.store import Started, start
from workers.certificates.saml.publishing import publish_metadata
from workers.certificates.saml.store import (
    SamlConfiguration,
    add_configuration,
    find_configuration,
)
from workers.certificates.saml.switching import SwitchedConfiguration, switch_configuration
from workers.certificates.tools import CertificateTools
from workers.database.pool import Connection

ENTITY_ID = "https://acme.example/saml/sp?a=1&b='2'"
CONSUMER = "https://acme.example/saml/acs?tenant=1&x=y"
METADATA_NODE = "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor"


@dataclass
class ServiceProvider(Workshop):
    """An organization with SAML configurations."""

    folder: Path = Path()

    @classmethod
    def at(
        cls, connection: Connection, tools: CertificateTools, name: str, folder: Path
    ) -> "ServiceProvider":
        """Add an organization; files for the tools of others go to ``folder``."""
        made = cls.of(connection, tools, name)
        assert isinstance(made, cls)
        made.folder = folder
        return made

    def add(self, name: str = "Okta", certificate: str = "saml", **fields: Any) -> int:
        """Add a configuration."""
        return add_configuration(
            self.connection,
            organization_id=self.organization_id,
            name=name,
            certificate=VersionRef(unique_name=certificate),
            now=self.now,
            **{"entity_id": ENTITY_ID, "assertion_consumer_url": CONSUMER, **fields},
        )

    def find(self, name: str = "Okta") -> SamlConfiguration:
        """Return a configuration."""
        return find_configuration(self.connection, organization_id=self.organization_id, name=name)

    def start(self, old: str, new: str, **options: Any) -> Started:
        """Start to replace a certificate."""
        return start(
            self.connection,
            organization_id=self.organization_id,
            old=VersionRef(unique_name=old),
            new=VersionRef(unique_name=new),
            requested_by=ASKER,
            reason="a test",
            now=self.now,
            **options,
        )

    def step(self, replacement_id: int, to: str, name: str = "Okta") -> None:
        """Let a configuration take a step."""
        advance(
            self.connection,
            organization_id=self.organization_id,
            replacement_id=replacement_id,
            to=StepState(to),
            places=[Place("saml_configuration", name)],
            actor=ASKER,
            now=self.now,
        )

    def switch(self, name: str = "Okta", certificate: str | None = None) -> SwitchedConfiguration:
        """Switch a configuration."""
        return switch_configuration(
            self.connection,
            organization_id=self.organization_id,
            name=name,
            certificate=VersionRef(unique_name=certificate) if certificate else None,
            actor=ASKER,
            now=self.now,
        )

    def metadata(self, name: str = "Okta", **options: Any) -> bytes:
        """Publish the metadata of a configuration."""
        return publish_metadata(
            self.connection,
            self.tools.private_keys,
            organization_id=self.organization_id,
            name=name,
            now=self.now,
            **options,
        )

    def in_file(self, name: str, content: bytes) -> str:
        """Write a file for the tools of others."""
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def certificate_file(self, name: str) -> str:
        """Write the certificate of a name as PEM."""
        der = self.versions(name)[-1]["certificate_der"]
        pem = load_der_x509_certificate(der).public_bytes(Encoding.PEM)
        return self.in_file(f"{name}.pem", pem)

    def verifies(self, metadata: bytes, certificate: str) -> bool:
        """Whether xmlsec1 finds that the key of a certificate signed the whole metadata."""
        done = subprocess.run(
            [
                *("xmlsec1", "--verify", "--id-attr:ID", METADATA_NODE, "--enabled-key-data"),
                *("x509,rsa,ec", "--pubkey-cert-pem", self.certificate_file(certificate)),
                self.in_file("metadata.xml", metadata),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return done.returncode == 0

    def signing_files(self, certificate: str) -> dict[str, str]:
        """Write the private key and the certificate of a name; return where they are."""
        key = self.private_key(self.versions(certificate)[-1]["version_id"])
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return {
            "key_file": self.in_file(f"{certificate}.key", pem),
            "cert_file": self.certificate_file(certificate),
        }
