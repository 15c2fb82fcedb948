"""A certification authority that is nothing but openssl and a folder."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_EXTENSIONS = """
[issuing]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[leaf]
basicConstraints = critical, CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@dataclass(frozen=True)
class OpensslAuthority:
    """A root with a P-256 key, and below it an issuing authority with an Ed25519 key."""

    folder: Path

    @classmethod
    def new(cls, folder: Path, *, issuing_days: int = 1000) -> "OpensslAuthority":
        """Make both."""
        authority = cls(folder)
        (folder / "extensions").write_text(_EXTENSIONS)
        authority.openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"),
            *("-subj", "/O=Acme/CN=Acme Root", "-days", "3650"),
            *("-keyout", "root.key", "-out", "root.pem"),
        )
        authority.openssl(
            *("req", "-new", "-newkey", "ed25519", "-noenc", "-subj", "/O=Acme/CN=Acme Issuing"),
            *("-keyout", "issuing.key", "-out", "issuing.csr"),
        )
        authority._sign("root", "issuing.csr", "issuing.pem", "issuing", days=issuing_days)
        return authority

    @property
    def root(self) -> bytes:
        """The root's certificate, as PEM."""
        return (self.folder / "root.pem").read_bytes()

    @property
    def issuing(self) -> bytes:
        """The issuing authority's certificate, as PEM."""
        return (self.folder / "issuing.pem").read_bytes()

    def sign(self, request: bytes, *, days: int = 90) -> bytes:
        """Sign a request (PEM), with the extensions that it asks for; return the certificate."""
        (self.folder / "leaf.csr").write_bytes(request)
        self._sign("issuing", "leaf.csr", "leaf.pem", "leaf", days=days)
        return (self.folder / "leaf.pem").read_bytes()

    def chain(self, request: bytes, *, days: int = 90) -> bytes:
        """Sign a request, and return the certificate after those of its issuers."""
        return self.root + self.issuing + self.sign(request, days=days)

    def bundle(self, *certificates: bytes, form: str = "PEM") -> bytes:
        """Put certificates into a PKCS #7 bundle."""
        (self.folder / "all.pem").write_bytes(b"".join(certificates))
        return self.openssl("crl2pkcs7", "-nocrl", "-certfile", "all.pem", "-outform", form)

    def der(self, certificate: bytes) -> bytes:
        """Turn PEM into DER."""
        (self.folder / "one.pem").write_bytes(certificate)
        return self.openssl("x509", "-in", "one.pem", "-outform", "DER")

    def openssl(self, *arguments: str) -> bytes:
        """Run openssl in the folder."""
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, check=False, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _sign(self, issuer: str, request: str, out: str, section: str, *, days: int) -> None:
        self.openssl(
            *("x509", "-req", "-in", request, "-out", out, "-days", str(days)),
            *("-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial"),
            *("-copy_extensions", "copy", "-extfile", "extensions", "-extensions", section),
        )
