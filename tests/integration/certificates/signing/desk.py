"""Somebody who has certificates signed by an authority, and uploads what comes back."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.certificates.issuance.workshop import ASKER, Workshop
from tests.integration.certificates.signing.openssl_authority import OpensslAuthority
from workers.certificates.downloading import download_request
from workers.certificates.reading.contents import read_certificates
from workers.certificates.signing.refusal import ChainRefusedError
from workers.certificates.uploading import Prepared, Upload, check, keep, prepare
from workers.contract.certificates import IssuedCertificate
from workers.contract.chains import UploadedChain

SERVER = {"profile": "tls_server", "alternative_names": {"dns": ["www.example.org"]}}


@dataclass
class Desk:
    """One organization and one authority."""

    acme: Workshop
    authority: OpensslAuthority

    def ask(self, label: str = "Web", **request: Any) -> IssuedCertificate:
        """Make a certificate that an authority is to sign."""
        return self.acme.generate(label, ca_signed=True, **(request or SERVER))

    def request(self, name: str = "Web", version: int | None = None) -> bytes:
        """Return the request of a version."""
        return download_request(
            self.acme.connection,
            organization_id=self.acme.organization_id,
            unique_name=name,
            version_number=version,
        ).content

    def prepared(self, *files: bytes, name: str = "Web", **options: Any) -> Prepared:
        """Verify an upload."""
        return prepare(
            self.acme.connection,
            self.acme.tools,
            self._upload(files, name, options),
            now=self.acme.now,
        )

    def upload(self, *files: bytes, name: str = "Web", **options: Any) -> UploadedChain:
        """Upload files."""
        return self.keep(self.prepared(*files, name=name, **options))

    def check(self, *files: bytes, name: str = "Web") -> Prepared:
        """Verify an upload and keep nothing."""
        return check(
            self.acme.connection,
            self._upload(files, name, {}),
            now=self.acme.now,
            usual_caps="warn",
        )

    def refused(self, *files: bytes, name: str = "Web", **options: Any) -> list[str]:
        """Upload files that are refused, and return the codes."""
        before = self.acme.versions(name)
        with pytest.raises(ChainRefusedError) as refused:
            self.upload(*files, name=name, **options)
        assert self.acme.versions(name) == before
        return [each.code.value for each in refused.value.faults]

    def _upload(self, files: tuple[bytes, ...], name: str, options: dict[str, Any]) -> Upload:
        return Upload(
            organization_id=self.acme.organization_id,
            unique_name=name,
            readings=[
                read_certificates(data, source=f"file{place}")
                for place, data in enumerate(files, start=1)
            ],
            **options,
        )

    def keep(self, prepared: Prepared) -> UploadedChain:
        """Keep what was prepared."""
        with self.acme.connection.transaction():
            return keep(
                self.acme.connection,
                self.acme.tools,
                prepared,
                now=self.acme.now,
                requested_by=ASKER,
            )
