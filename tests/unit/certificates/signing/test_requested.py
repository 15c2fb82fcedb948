"""What a request asks for, as openssl writes it and as we do."""

import subprocess
from pathlib import Path

from tests.unit.certificates.signing.authority import CLIENT, LEAF, SERVER
from workers.certificates.reading.fields import read_certificate
from workers.certificates.signing.candidates import Candidate
from workers.certificates.signing.requested import Requested, names_in, requested_in
from workers.certificates.signing.rules import Name


def test_names_and_usages_of_a_request_are_read(tmp_path: Path) -> None:
    names = "DNS:www.example.org,IP:2001:db8::1,email:pki@example.org,URI:spiffe://example.org/x"
    subprocess.run(
        [
            *("openssl", "req", "-new", "-newkey", "ed25519", "-noenc", "-keyout", "/dev/null"),
            *("-subj", "/CN=Acme Web/O=Acme", "-outform", "DER", "-out", tmp_path / "x.csr"),
            *("-addext", f"subjectAltName={names}"),
            *("-addext", "extendedKeyUsage=serverAuth,clientAuth"),
        ],
        check=True,
        capture_output=True,
    )
    assert requested_in((tmp_path / "x.csr").read_bytes()) == Requested(
        (
            Name("common", "Acme Web"),
            Name("dns", "www.example.org"),
            Name("ip", "2001:db8::1"),
            Name("email", "pki@example.org"),
            Name("uri", "spiffe://example.org/x"),
        ),
        frozenset({SERVER, CLIENT}),
    )


def test_names_of_a_certificate_are_read() -> None:
    found = read_certificate(LEAF.der, source="a file", position=1)
    assert names_in(Candidate.of(found)) == (Name("common", "leaf.example.org"),)
