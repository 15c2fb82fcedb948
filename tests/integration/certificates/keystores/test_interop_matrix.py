"""Who wrote a keystore, who reads it, and which type of key: the same keys and certificates.

Java reads by the ``KeyStore`` that keytool is made of: 17, and whatever else is installed.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pytest

from tests.integration.certificates.keystores.foreign_tools import (
    Contents,
    contents_of,
    copy_by_keytool,
    pem_by_openssl,
    read_by_openssl,
    write_by_openssl,
)
from tests.integration.certificates.keystores.java import (
    Java,
    StoreFile,
    all_jdks,
    compiled,
    keytool,
)
from tests.unit.certificates.keystores.material import (
    KEY_TYPES,
    PASSWORD,
    key_entry,
    same_form,
    trusted_entry,
)
from workers.certificates.keystores.entries import Format
from workers.certificates.keystores.reading import read_keystore
from workers.certificates.keystores.writing import write_file, write_keystore, write_truststore

VECTORS = Path(__file__).parents[3] / "vectors/keystores"
GOLDEN = {
    "jdk25-rsa.jks": "jks",
    "jdk25-ec.jks": "jks",
    "jdk25-key-password.jks": "jks",
    "jdk25.jceks": "jceks",
    "jdk25-multi.p12": "pkcs12",
    "jdk25-multi-named.jks": "pkcs12",
    "jdk25-legacy.p12": "pkcs12",
    "jdk25-sha512.p12": "pkcs12",
}
OURS: tuple[Format, ...] = ("jks", "pkcs12", "pem")
COPIES = ("jks", "jceks", "pkcs12")
EVERYTHING = (
    *(f"keywright.{each}" for each in OURS),
    *(f"keytool17.{each}" for each in COPIES),
)
OPENSSL = [
    f"openssl-{kind}.{store_format}"
    for kind in (*KEY_TYPES, "legacy")
    for store_format in ("pkcs12", "pem")
]
OPENSSL.remove("openssl-legacy.pem")


class Matrix:
    """All files, each read once by everybody who can."""

    def __init__(self, folder: Path, java: Java) -> None:
        self._java = java
        self.files = {
            name: StoreFile(
                store_format=kind,
                path=VECTORS / name,
                password="changeit-25",
                key_password="another-25" if "key-password" in name else None,
            )
            for name, kind in GOLDEN.items()
        }
        for kind in OURS:
            self._write_ourselves(folder / f"keywright.{kind}", kind)
        ours = self.files["keywright.pkcs12"]
        with ThreadPoolExecutor(2) as pool:
            copies = {
                f"keytool17.{kind}": pool.submit(
                    copy_by_keytool, ours, folder / f"keytool17.{kind}", kind
                )
                for kind in COPIES
            }
        self.files.update({name: copy.result() for name, copy in copies.items()})
        for key_type in KEY_TYPES:
            path = folder / f"openssl-{key_type}"
            entry = key_entry(key_type)
            self.files[f"{path.name}.pkcs12"] = write_by_openssl(path.with_suffix(".pkcs12"), entry)
            self.files[f"{path.name}.pem"] = pem_by_openssl(path.with_suffix(".pem"), entry)
        self.files["openssl-legacy.pkcs12"] = write_by_openssl(
            folder / "openssl-legacy.pkcs12", key_entry("rsa2048"), options=["-legacy"]
        )

    def _write_ourselves(self, path: Path, kind: Format) -> None:
        content = write_keystore(
            kind,
            keys=[key_entry(each) for each in KEY_TYPES],
            trusted=[trusted_entry()],
            password=PASSWORD,
        )
        write_file(path, content)
        self.files[path.name] = StoreFile(store_format=kind, path=path, password=PASSWORD)

    @cached_property
    def read_by_java(self) -> list[dict[str, Contents]]:
        """What each JDK finds."""
        files = {name: each for name, each in self.files.items() if each.store_format != "pem"}
        return [
            {
                name: contents_of(found.keys, found.trusted)
                for name, found in zip(
                    files, self._java.read(list(files.values()), jdk=jdk), strict=True
                )
            }
            for jdk in all_jdks()
        ]

    def read_by_us(self, name: str) -> Contents:
        """Return what keywright finds."""
        file = self.files[name]
        reading = read_keystore(
            file.path.read_bytes(),
            store_password=file.password,
            key_password=file.key_password,
        )
        assert (reading.format, reading.faults) == (file.store_format, ())
        return contents_of(
            {each.alias: (each.private_key, each.chain) for each in reading.keys},
            {each.alias: each.certificate for each in reading.trusted},
        )


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """All files of this test run."""
    with compiled() as java:
        yield Matrix(tmp_path_factory.mktemp("keystores"), java)


def expected(*key_types: str) -> Contents:
    """Return what a file with these keys, and the trusted root, holds."""
    entries = [key_entry(each) for each in key_types]
    return contents_of(
        {each.alias: (each.private_key, each.chain) for each in entries},
        {"root": trusted_entry().certificate},
    )


def without_names(contents: Contents) -> Contents:
    return replace(contents, entries=None, trusted=None)


@pytest.mark.parametrize("name", EVERYTHING)
def test_rule_29_what_keywright_reads_is_what_keywright_or_keytool_wrote(
    matrix: Matrix, name: str
) -> None:
    found = matrix.read_by_us(name)
    if name == "keywright.pem":  # where nothing tells a trusted certificate from another
        found = replace(found, trusted={"root": trusted_entry().certificate})
    assert found == expected(*KEY_TYPES)


@pytest.mark.parametrize("name", [each for each in EVERYTHING if not each.endswith(".pem")])
def test_java_reads_what_keywright_wrote_and_what_keytool_copied_from_it(
    matrix: Matrix, name: str
) -> None:
    for found in matrix.read_by_java:
        assert found[name] == expected(*KEY_TYPES)


@pytest.mark.parametrize(
    "name", [each for each in EVERYTHING if each.endswith((".pem", ".pkcs12"))]
)
def test_openssl_reads_what_keywright_wrote_and_what_keytool_copied_from_it(
    matrix: Matrix, name: str
) -> None:
    assert read_by_openssl(matrix.files[name]) == without_names(expected(*KEY_TYPES))


@pytest.mark.parametrize("name", OPENSSL)
def test_everybody_reads_what_openssl_wrote(matrix: Matrix, name: str) -> None:
    kind = name.removeprefix("openssl-").partition(".")[0].replace("legacy", "rsa2048")
    entry = key_entry(kind)
    written = contents_of({kind: (entry.private_key, entry.chain)}, {})
    assert matrix.read_by_us(name) == written
    assert read_by_openssl(matrix.files[name], legacy="legacy" in name) == without_names(written)
    if name.endswith(".pkcs12"):
        for found in matrix.read_by_java:
            assert found[name] == written


@pytest.mark.parametrize("name", GOLDEN)
def test_keywright_finds_what_java_finds_in_keystores_of_jdk_25(matrix: Matrix, name: str) -> None:
    ours = matrix.read_by_us(name)
    assert ours.keys
    for found in matrix.read_by_java:
        assert found[name] == ours
    if GOLDEN[name] == "pkcs12":
        legacy = "legacy" in name
        assert read_by_openssl(matrix.files[name], legacy=legacy) == without_names(ours)


def test_a_key_of_its_own_password_is_read_by_java_with_that_password(
    matrix: Matrix, tmp_path: Path
) -> None:
    path = tmp_path / "own-password.jks"
    content = write_keystore(
        "jks", keys=[key_entry("p256")], password=PASSWORD, key_password="another-password"
    )
    write_file(path, content)
    file = StoreFile(
        store_format="jks", path=path, password=PASSWORD, key_password="another-password"
    )
    [found] = matrix._java.read([file])
    assert same_form(found.keys["p256"][0]) == same_form(key_entry("p256").private_key)


def test_java_lists_a_truststore_as_trusted_certificates(matrix: Matrix, tmp_path: Path) -> None:
    files = []
    for kind in ("jks", "pkcs12"):
        path = tmp_path / f"trust.{kind}"
        content = write_truststore(
            kind,
            [trusted_entry(), replace(trusted_entry(), alias="root.again")],
            password=PASSWORD,
        )
        write_file(path, content)
        files.append(StoreFile(store_format=kind, path=path, password=PASSWORD))
    for found in matrix._java.read(files):
        root = trusted_entry().certificate
        assert (found.keys, found.trusted) == ({}, {"root": root, "root.again": root})


@pytest.mark.parametrize("kind", ["jks", "pkcs12"])
def test_keytool_lists_every_entry(matrix: Matrix, kind: str) -> None:
    path = matrix.files[f"keywright.{kind}"].path
    listed = keytool("-list", "-keystore", str(path), "-storepass", PASSWORD)
    assert f"Keystore type: {kind.upper()}" in listed
    assert listed.count("PrivateKeyEntry") == len(KEY_TYPES)
    assert listed.count("trustedCertEntry") == 1
