"""Sealed keys come out again for whom they were sealed, unaltered, and for nobody else."""

import base64
import subprocess
from collections.abc import Callable
from functools import cache
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.keys.exports import (
    CHEAP,
    EPHEMERAL_KEY,
    KEY,
    NONCE,
    NOW,
    PASSPHRASE,
    SALT,
    VECTORS,
    about,
    certificate_of,
    private_key,
    to_certificate,
    with_passphrase,
)
from workers.errors import InvalidRequestError
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.export_file import (
    ExportFile,
    ExportFileError,
    PassphraseProtection,
    read_export,
    write_export,
)
from workers.keys.export_sealing import (
    ScryptCost,
    open_with_passphrase,
    open_with_private_key,
    seal_to_certificate,
    seal_with_passphrase,
)
from workers.keys.rsa_keys import read_recipient

Opener = Callable[[ExportFile], CleartextKey]


def by_passphrase(file: ExportFile) -> CleartextKey:
    return open_with_passphrase(file, PASSPHRASE)


def by_private_key(file: ExportFile) -> CleartextKey:
    return open_with_private_key(file, private_key())


BOTH = pytest.mark.parametrize(
    ("text", "opener"),
    [(with_passphrase(), by_passphrase), (to_certificate(), by_private_key)],
    ids=["passphrase", "certificate"],
)


@cache
def other_private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 3072)


def refused(text: str | bytes, opener: Opener) -> str:
    """Return why a file does not open: one sentence that gives nothing away."""
    with pytest.raises(ExportFileError) as caught:
        opener(read_export(text.encode() if isinstance(text, str) else text))
    said = str(caught.value)
    assert PASSPHRASE not in said
    assert KEY.reveal().hex() not in said
    return said


@BOTH
def test_what_was_sealed_opens(text: str, opener: Opener) -> None:
    assert opener(read_export(text.encode())) == KEY


def test_the_file_of_a_passphrase_is_always_the_same() -> None:
    # A known answer: change the format, and keys exported earlier are lost.
    assert with_passphrase(ScryptCost()) == (VECTORS / "passphrase.txt").read_text()


def test_files_of_an_earlier_keywright_still_open() -> None:
    assert by_passphrase(read_export((VECTORS / "passphrase.txt").read_bytes())) == KEY
    assert by_private_key(read_export((VECTORS / "certificate.txt").read_bytes())) == KEY


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    """Run openssl and return what it writes."""
    return subprocess.run(
        ["openssl", *arguments], input=given, capture_output=True, check=True
    ).stdout


def read_by_hand(name: str) -> tuple[dict[str, str], bytes, bytes]:
    """Return the headers of a vector, what is authenticated, and what is sealed."""
    lines = (VECTORS / name).read_text().splitlines()
    blank = lines.index("")
    headers = lines[1:blank]
    authenticated = "\n".join(("keywright master key export", *headers, "")).encode()
    sealed = base64.b64decode("".join(lines[blank + 1 : -1]))
    return dict(line.split(": ") for line in headers), authenticated, sealed


def test_openssl_opens_the_file_of_a_passphrase() -> None:
    headers, _, sealed = read_by_hand("passphrase.txt")
    n, r, p = (each.partition("=")[2] for each in headers["Scrypt"].split())
    parameters = [f"pass:{PASSPHRASE}", f"hexsalt:{headers['Salt']}", f"n:{n}", f"r:{r}", f"p:{p}"]
    options = [
        word for each in (*parameters, "maxmem_bytes:200000000") for word in ("-kdfopt", each)
    ]
    derived = openssl("kdf", "-binary", "-keylen", "32", *options, "SCRYPT")
    # GCM is counter mode that begins at 2 (SP 800-38D §7.1); openssl's command knows it no better.
    counter = headers["Nonce"] + "00000002"
    opened = openssl(
        "enc", "-d", "-aes-256-ctr", "-K", derived.hex(), "-iv", counter, given=sealed[:-16]
    )
    assert opened == KEY.reveal()


def test_openssl_opens_the_file_of_a_certificate() -> None:
    _, authenticated, sealed = read_by_hand("certificate.txt")
    options = [
        word
        for each in (
            "rsa_padding_mode:oaep",
            "rsa_oaep_md:sha256",
            "rsa_mgf1_md:sha256",
            f"rsa_oaep_label:{sha256(authenticated).hexdigest()}",
        )
        for word in ("-pkeyopt", each)
    ]
    key_file = str(VECTORS / "private-key.pem")
    ephemeral = openssl("pkeyutl", "-decrypt", "-inkey", key_file, *options, given=sealed[:384])
    assert ephemeral == EPHEMERAL_KEY
    wrapped = sealed[384:]
    cipher = ("-id-aes256-wrap-pad", "-K", ephemeral.hex(), "-iv", "A65959A6")
    assert openssl("enc", "-d", *cipher, given=wrapped) == KEY.reveal()


@BOTH
@settings(deadline=None)
@given(st.data())
def test_no_bit_can_be_flipped(text: str, opener: Opener, data: st.DataObject) -> None:
    altered = bytearray(text.encode())
    place = data.draw(st.integers(0, 8 * len(altered) - 1))
    altered[place // 8] ^= 1 << place % 8
    refused(bytes(altered), opener)


@BOTH
@settings(deadline=None)
@given(st.data())
def test_nothing_can_be_cut_off(text: str, opener: Opener, data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, len(text) - 2))
    refused(text[:kept], opener)


@BOTH
@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("Organization: 7", "Organization: 8"),
        ("Key-Number: 3", "Key-Number: 4"),
        ("Created: 2026-01-02", "Created: 2026-01-03"),
        ("Exported: 2026-11-24", "Exported: 2026-11-25"),
        ("Check-Value: 37", "Check-Value: 38"),
        ("Fingerprint: aa", "Fingerprint: ab"),
    ],
)
def test_no_header_can_be_exchanged(text: str, opener: Opener, written: str, instead: str) -> None:
    assert "altered" in refused(text.replace(written, instead), opener)


@BOTH
def test_a_file_that_names_another_key_than_it_holds_is_refused(text: str, opener: Opener) -> None:
    """Whoever knows the passphrase can make such a file, and cannot make one that opens twice."""
    del text
    other = CleartextKey(bytes(32))
    recipient = read_recipient(certificate_of(private_key()), now=NOW)
    forged = (
        seal_with_passphrase(other, about(), PASSPHRASE, salt=SALT, nonce=NONCE, cost=CHEAP)
        if opener is by_passphrase
        else seal_to_certificate(other, about(), recipient, ephemeral_key=EPHEMERAL_KEY)
    )
    assert "the key in it is not the one it says" in refused(forged, opener)


@pytest.mark.parametrize("length", [0, 16, 47, 49, 383, 384, 432, 1000])
def test_sealed_bytes_of_another_length_do_not_open(length: int) -> None:
    for text, opener in ((with_passphrase(), by_passphrase), (to_certificate(), by_private_key)):
        file = read_export(text.encode())
        sealed = (file.sealed * 30)[:length]
        other = ExportFile(key=file.key, protection=file.protection, sealed=sealed)
        refused(write_export(other), opener)


def test_another_passphrase_does_not_open_it() -> None:
    file = read_export(with_passphrase().encode())
    for passphrase in ("", PASSPHRASE.upper(), PASSPHRASE + " ", "x" * 100):
        with pytest.raises(ExportFileError, match="passphrase is wrong, or the export was alte"):
            open_with_passphrase(file, passphrase)


def test_a_passphrase_is_the_same_however_its_accents_were_typed() -> None:
    composed, decomposed = "pässwört-für-öl", "pa\u0308sswo\u0308rt-fu\u0308r-o\u0308l"
    text = seal_with_passphrase(KEY, about(), composed, salt=SALT, nonce=NONCE, cost=CHEAP)
    assert open_with_passphrase(read_export(text.encode()), decomposed) == KEY


@pytest.mark.parametrize(
    "passphrase", ["", "elevenchars", "a\u0308" * 11, "x" * 1025, "\udcff" * 12]
)
def test_a_passphrase_that_protects_nothing_is_refused(passphrase: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^passphrase: ") as caught:
        seal_with_passphrase(KEY, about(), passphrase, salt=SALT, nonce=NONCE, cost=CHEAP)
    assert not passphrase or passphrase not in str(caught.value)


def test_the_default_cost_is_what_is_advised_for_files() -> None:
    protection = read_export((VECTORS / "passphrase.txt").read_bytes()).protection
    assert isinstance(protection, PassphraseProtection)
    assert (protection.n, protection.r, protection.p) == (2**17, 8, 1)


def test_each_protection_asks_for_what_opens_it() -> None:
    assert "name the private key" in refused(to_certificate(), by_passphrase)
    assert "give the passphrase" in refused(with_passphrase(), by_private_key)


def test_another_private_key_does_not_open_it() -> None:
    said = refused(to_certificate(), lambda file: open_with_private_key(file, other_private_key()))
    assert "does not belong to the certificate" in said
