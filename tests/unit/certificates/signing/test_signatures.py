"""Who signed what, and how well; the oldest kinds are made with openssl, which still can."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.unit.certificates.signing.authority import (
    ISSUING,
    LEAF,
    MIDDLE,
    ROOT,
    Issued,
    issue,
    key,
    key_hash,
)
from tests.unit.certificates.signing.verdicts import codes
from workers.certificates.reading.contents import read_certificates
from workers.certificates.reading.fields import read_certificate
from workers.certificates.signing.candidates import Candidate
from workers.certificates.signing.rules import ChainRules
from workers.certificates.signing.signatures import (
    is_root,
    was_signed_by,
    why_signature_is_weak,
)
from workers.certificates.signing.verifying import verify_found


def candidate(issued: Issued | bytes) -> Candidate:
    der = issued if isinstance(issued, bytes) else issued.der
    return Candidate.of(read_certificate(der, source="a file", position=1))


def openssl(*arguments: str, cwd: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


def test_only_the_key_that_signed_it_is_found_to_have() -> None:
    assert was_signed_by(candidate(LEAF), candidate(ISSUING)) is True
    assert was_signed_by(candidate(LEAF), candidate(MIDDLE)) is False
    assert is_root(candidate(ROOT))
    assert not is_root(candidate(MIDDLE))
    assert not is_root(candidate(issue("Root", own_key=ROOT.key, signer=key("forger"))))


def test_a_single_bit_of_the_signed_part_counts() -> None:
    at = LEAF.der.index(b"leaf.example.org")
    forged = LEAF.der[:at] + b"leaf.example.orf" + LEAF.der[at + 16 :]
    assert was_signed_by(candidate(forged), candidate(ISSUING)) is False


def test_the_signed_part_has_to_say_how_it_is_signed() -> None:
    sha256, sha384 = (bytes.fromhex(f"06082a8648ce3d0403{last}") for last in ("02", "03"))
    at = LEAF.der.rindex(sha256)
    relabelled = LEAF.der[:at] + sha384 + LEAF.der[at + len(sha256) :]
    assert was_signed_by(candidate(relabelled), candidate(ISSUING)) is False


def test_good_hashes_are_not_weak() -> None:
    assert why_signature_is_weak(candidate(LEAF)) is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("-sha1",), "signed with SHA-1"),
        (("-md5",), "signed with MD5"),
        (("-sha1", "-sigopt", "rsa_padding_mode:pss"), "signed with SHA-1"),
        (("-sha256", "-sigopt", "rsa_padding_mode:pss"), ""),
        (("-sha512",), ""),
    ],
)
def test_signatures_that_openssl_made_are_judged(
    tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    days = ("-days", "60")
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-subj", "/CN=Old CA", "-sha1", *days),
        *("-keyout", "ca.key", "-out", "ca.pem"),
        cwd=tmp_path,
    )
    leaf_key = key("leaf.example.org")
    (tmp_path / "leaf.key").write_bytes(
        leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    openssl(
        *("req", "-new", "-key", "leaf.key", "-subj", "/CN=leaf.example.org", "-out", "leaf.csr"),
        cwd=tmp_path,
    )
    openssl(
        *("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", *days, *options),
        *("-out", "leaf.pem"),
        cwd=tmp_path,
    )
    pem = (tmp_path / "ca.pem").read_bytes() + (tmp_path / "leaf.pem").read_bytes()
    found = read_certificates(pem, source="upload.pem").certificates
    chain = verify_found(
        found,
        key_hashes={key_hash(leaf_key)},
        now=found[1].not_before,
        rules=ChainRules(),
    )
    # How the root signed itself matters to nobody: it is trusted for being known.
    assert codes(chain) == ([("weak_signature", 2)] if says else [])
    assert says in " ".join(map(str, chain.faults))
