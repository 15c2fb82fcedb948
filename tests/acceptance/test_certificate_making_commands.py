"""Certificates that are made, copied, rekeyed, renamed and handed out on the command line."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance import keywright_command
from tests.acceptance.keywright_command import Keywright, keywright_of_acme
from tests.servers.postgres import PostgresServer

ACME = ("-o", "Acme")
CERTIFICATE = "certificate"


@pytest.fixture(scope="module")
def keywright(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Keywright]:
    """The command, on a database with one organization."""
    with keywright_of_acme(postgres, tmp_path_factory.mktemp("making")) as keywright:
        yield keywright


def refused(keywright: Keywright, *arguments: str) -> str:
    """Run a command that must not succeed; return its one line."""
    said = keywright_command.refused(keywright, CERTIFICATE, *arguments, *ACME)
    return said.removeprefix("keywright: ")


def test_a_self_signed_certificate_is_made_renamed_copied_rekeyed_and_downloaded(
    keywright: Keywright, tmp_path: Path
) -> None:
    ran = keywright.run(CERTIFICATE, "create", "SAML signing", *ACME)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("SAML_signing, version 1, is valid until ")
    edited = keywright.json(
        CERTIFICATE, "edit", "saml_signing", *ACME, "--unique-name", "saml", "--label", "SAML"
    )
    assert edited == {"unique_name": "saml", "changed": ["label", "unique_name"]}
    copied = keywright.json(CERTIFICATE, "copy", "saml", "The copy", *ACME, "--not-exportable")
    assert (copied["unique_name"], copied["status"]) == ("The_copy", "valid")
    rekeyed = keywright.json(CERTIFICATE, "rekey", "saml", *ACME, "--expected-version", "1")
    assert (rekeyed["version_number"], rekeyed["made"]) == (2, True)
    shown = keywright.json(CERTIFICATE, "show", "saml", *ACME)
    assert [version["version_number"] for version in shown["versions"]] == [2, 1]
    assert shown["made_from"]["key_type"] == "RSA-2048"
    rows = {row["unique_name"]: row for row in keywright.json(CERTIFICATE, "list", *ACME)}
    assert rows["saml"]["label"] == "SAML"
    assert [rows[name]["private_key_exportable"] for name in ("saml", "The_copy")] == [True, False]
    path = tmp_path / "saml.crt"
    for _ in range(2):
        ran = keywright.run(CERTIFICATE, "download", "saml", *ACME, "--output", str(path))
    assert ran.returncode == 1
    assert "exists already and is not overwritten" in ran.stderr
    said = subprocess.run(
        ["openssl", "x509", "-in", path, "-noout", "-serial"], capture_output=True, check=True
    ).stdout
    assert said.decode().strip().removeprefix("serial=").lower() == shown["versions"][0]["serial"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_request_is_made_with_names_and_handed_out(keywright: Keywright, tmp_path: Path) -> None:
    ran = keywright.run(
        *(CERTIFICATE, "create", "Shop", *ACME, "--ca-signed", "--profile", "tls_server"),
        *("--common-name", "shop.example.org", "--company", "Acme GmbH", "--department", "Web"),
        *("--city", "Köln", "--state", "NRW", "--country", "de", "--email-address", "a@b.example"),
        *("--san", "dns:shop.example.org", "--san", "ip:2001:db8::1"),
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Shop, version 1, waits for its CA: `keywright certificate csr Shop -o Acme`" in (
        ran.stdout
    )
    written = keywright.json(CERTIFICATE, "csr", "shop", *ACME, "--output", str(tmp_path / "a.csr"))
    assert written["file"] == str(tmp_path / "a.csr")
    said = subprocess.run(
        [
            "openssl",
            "req",
            "-in",
            written["file"],
            "-verify",
            "-noout",
            "-text",
            "-nameopt",
            "utf8",
        ],
        capture_output=True,
        check=True,
    ).stdout.decode()
    for expected in (
        "O=Acme GmbH",
        "OU=Web",
        "L=Köln",
        "C=DE",
        "emailAddress=a@b.example",
        "DNS:shop.example.org, IP Address:2001:DB8:0:0:0:0:0:1",
        "TLS Web Server Authentication",
    ):
        assert expected in said
    assert "is not signed yet" in refused(keywright, "download", "shop")


def test_a_lifetime_beyond_the_caps_is_said_or_refused_as_the_setting_has_it(
    keywright: Keywright,
) -> None:
    long = ("--profile", "tls_server", "--san", "dns:a.example", "--validity-days", "1000")
    ran = keywright.run(CERTIFICATE, "create", "Long", *ACME, *long)
    assert ran.returncode == 0
    assert "! It lasts 1000 days" in ran.stdout
    strict = Keywright(
        keywright.data_dir, {**keywright.settings, "KEYWRIGHT_LIFETIME_CAPS": "refuse"}
    )
    assert refused(strict, "create", "Longer", *long).startswith("validity_days: it lasts 1000")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "a", "--country", "Germany", "--common-name", "a"), "country: "),
        (("create", "a", "--san", "a.example"), "--san a.example: write it as dns:…"),
        (("edit", "Long", "--key-size", "4096"), "key_size: its key size cannot change"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    keywright: Keywright, arguments: tuple[str, ...], said: str
) -> None:
    assert refused(keywright, *arguments).startswith(said)
