"""Certificates for servers of tests: a private authority, a right certificate and wrong ones."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import trustme

NAME = "localhost"
"""The one name that the certificates are for; 127.0.0.1 is the same machine by another name."""

Kind = Literal["right", "expired"]


class Authority:
    """A certificate authority in a folder, with the certificates that it has issued."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca_file))
        self.other_ca_file = folder / "other-ca.pem"
        trustme.CA().cert_pem.write_to_path(str(self.other_ca_file))

    def certificate(self, kind: Kind = "right") -> tuple[Path, Path]:
        """Write a certificate for ``NAME``; return its file and that of its key."""
        now = datetime.now(UTC)
        issued = self._authority.issue_cert(
            NAME,
            not_before=now - timedelta(days=9),
            not_after=now + timedelta(days=-1 if kind == "expired" else 9),
        )
        chain, key = self.folder / f"{kind}.pem", self.folder / f"{kind}.key"
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.touch(mode=0o600)
        issued.private_key_pem.write_to_path(str(key))
        return chain, key
