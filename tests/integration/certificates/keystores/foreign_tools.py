"""Keystores written and read by openssl and keytool, and by Java, as the tests compare them."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.integration.certificates.keystores.java import StoreFile, keytool
from tests.unit.certificates.keystores.material import PASSWORD, same_form
from workers.certificates.keystores.entries import KeyEntry
from workers.certificates.reading.pem import find_pem_blocks


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What somebody read: private keys in one form, leaves and chains (leaf first), trusted ones.

    openssl tells neither aliases nor chains apart: it finds ``keys`` and ``certificates``.
    """

    keys: frozenset[bytes]
    certificates: frozenset[bytes]
    entries: dict[str, tuple[bytes, tuple[bytes, ...]]] | None = None
    trusted: dict[str, bytes] | None = None


def contents_of(
    keys: dict[str, tuple[bytes, tuple[bytes, ...]]], trusted: dict[str, bytes]
) -> Contents:
    """Put together what was read by somebody who tells entries apart."""
    entries = {alias: (same_form(key), chain) for alias, (key, chain) in keys.items()}
    return Contents(
        keys=frozenset(key for key, _ in entries.values()),
        certificates=frozenset(
            [*(each for _, chain in entries.values() for each in chain), *trusted.values()]
        ),
        entries=entries,
        trusted=trusted,
    )


def openssl(*arguments: str | Path, given: bytes = b"") -> bytes:
    """Run openssl and return what it prints."""
    done = subprocess.run(
        ["openssl", *arguments], input=given, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def read_by_openssl(file: StoreFile, *, legacy: bool = False) -> Contents:
    """Return what openssl finds in a PKCS #12 or PEM file."""
    password = f"pass:{file.password}"
    if file.store_format == "pkcs12":
        old = ["-legacy"] if legacy else []
        text = openssl("pkcs12", "-in", file.path, "-passin", password, "-nodes", *old)
    else:
        keys = openssl("storeutl", "-keys", "-passin", password, file.path)
        bundle = openssl("crl2pkcs7", "-nocrl", "-certfile", file.path)
        text = keys + openssl("pkcs7", "-print_certs", given=bundle)
    blocks = list(find_pem_blocks(text.decode()))
    return Contents(
        keys=frozenset(same_form(each.decode()) for each in blocks if "KEY" in each.label),
        certificates=frozenset(each.decode() for each in blocks if each.label == "CERTIFICATE"),
    )


def write_by_openssl(path: Path, entry: KeyEntry, *, options: Sequence[str] = ()) -> StoreFile:
    """Have openssl make a PKCS #12 file of a key and its chain."""
    blocks = [
        openssl("pkcs8", "-inform", "DER", "-nocrypt", given=entry.private_key),
        *(x509.load_der_x509_certificate(each).public_bytes(Encoding.PEM) for each in entry.chain),
    ]
    wanted = ("-out", path, "-passout", f"pass:{PASSWORD}", "-name", entry.alias)
    openssl("pkcs12", "-export", *wanted, *options, given=b"".join(blocks))
    return StoreFile(store_format="pkcs12", path=path, password=PASSWORD)


def pem_by_openssl(path: Path, entry: KeyEntry) -> StoreFile:
    """Have openssl turn such a file into PEM with an encrypted key."""
    made = write_by_openssl(path.with_suffix(".for-pem"), entry)
    passwords = ("-passin", f"pass:{PASSWORD}", "-passout", f"pass:{PASSWORD}")
    openssl("pkcs12", "-in", made.path, "-out", path, *passwords)
    return StoreFile(store_format="pem", path=path, password=PASSWORD)


def copy_by_keytool(source: StoreFile, path: Path, store_format: str) -> StoreFile:
    """Have keytool 17 copy all entries into a keystore of another format."""
    keytool(
        *("-importkeystore", "-noprompt", "-srckeystore", str(source.path)),
        *("-srcstorepass", source.password, "-destkeystore", str(path)),
        *("-deststoretype", store_format, "-deststorepass", PASSWORD),
    )
    return StoreFile(store_format=store_format, path=path, password=PASSWORD)
