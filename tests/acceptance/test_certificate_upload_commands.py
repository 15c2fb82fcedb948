"""Certificates that an authority made of openssl signs, uploaded on the command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.keywright_command import Keywright, keywright_of_acme
from tests.integration.certificates.signing.openssl_authority import OpensslAuthority
from tests.servers.postgres import PostgresServer

ACME = ("-o", "Acme")
CERTIFICATE = "certificate"


@pytest.fixture(scope="module")
def keywright(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Keywright]:
    """The command, on a database with one organization."""
    with keywright_of_acme(postgres, tmp_path_factory.mktemp("uploads")) as keywright:
        yield keywright


def written(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def test_a_certificate_is_signed_uploaded_renewed_and_shown(
    keywright: Keywright, tmp_path: Path
) -> None:
    authority = OpensslAuthority.new(tmp_path, issuing_days=20)
    command = (CERTIFICATE, "create", "Shop", *ACME, "--ca-signed", "--profile", "tls_server")
    assert keywright.run(*command, "--san", "dns:shop.example.org").returncode == 0
    csr = tmp_path / "shop.csr"
    assert keywright.run(CERTIFICATE, "csr", "Shop", *ACME, "--output", str(csr)).returncode == 0
    leaf = authority.sign(csr.read_bytes())
    key = (tmp_path / "root.key").read_bytes()
    files = (
        written(tmp_path / "ca.p7b", authority.bundle(authority.root, authority.issuing)),
        written(tmp_path / "shop.cer", authority.der(leaf)),
    )
    upload = (CERTIFICATE, "upload", "shop")

    wrong = (files[1], written(tmp_path / "wrong.pem", authority.root + key), "/nowhere")
    ran = keywright.run(*upload, *wrong, *ACME)
    assert (ran.returncode, ran.stderr) == (1, "")
    for said in (
        f"✗ {files[1]}, entry 1: the certificate of its issuer “CN=Acme Issuing,O=Acme” is missing",
        "wrong.pem, line 1, entry 1: it signed nothing in this chain; leave it out",
        "✗ /nowhere: it cannot be read",
        "wrong.pem: there is a private key in it, which was not read or stored",
        "shop: refused, nothing was changed.",
    ):
        assert said in ran.stdout
    ran = keywright.run(*upload, *wrong, *ACME, "--json")
    refused = json.loads(ran.stdout)
    assert (ran.returncode, refused["outcome"]) == (1, "refused")
    assert [each["code"] for each in refused["faults"]] == [
        *("missing_issuer", "surplus", "unreadable")
    ]

    checked = keywright.json(*upload, *files, *ACME, "--dry-run")
    assert (checked["outcome"], checked["dry_run"]) == ("signed", True)
    ran = keywright.run(*upload, *files, *ACME)
    assert ran.returncode == 0, ran.stderr
    for said in (
        "! " + files[0] + ", line 1, entry 2: it ends on",
        "1. shop.example.org\n2. CN=Acme Issuing,O=Acme\n3. CN=Acme Root,O=Acme\n",
        "Shop is usable now, with version 1.",
        "when “CN=Acme Issuing,O=Acme” of its chain does.",
    ):
        assert said in ran.stdout
    again = keywright.json(*upload, *files, *ACME)
    assert (again["outcome"], again["version_number"]) == ("there_already", 1)

    renewed = written(tmp_path / "new.pem", authority.sign(csr.read_bytes()) + authority.issuing)
    done = keywright.json(*upload, renewed, *ACME)
    assert (done["outcome"], done["version_number"]) == ("renewed", 2)
    history = keywright.json(CERTIFICATE, "history", "Shop", *ACME)
    assert [(each["state"], each["same_key_as"]) for each in history] == [
        *(("valid", 1), ("replaced", 1))
    ]
    said = keywright.run(CERTIFICATE, "history", "Shop", *ACME).stdout
    assert "Version 2: its chain ends on" in said
    [row] = keywright.json(CERTIFICATE, "list", *ACME)
    assert row["ends_first"] == "CN=Acme Issuing,O=Acme"
    assert row["not_after"] < row["leaf_not_after"]
    said = keywright.run(CERTIFICATE, "show", "Shop", *ACME).stdout
    assert "with “CN=Acme Issuing,O=Acme”; its own end would be" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("upload", "Nothing", "/etc/hostname"), "no certificate named “Nothing”"),
        (("history", "Nothing"), "no certificate named “Nothing”"),
        (
            ("upload", "Nothing", "/etc/hostname", "--accept", "expired"),
            "accept: “expired” is none",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    keywright: Keywright, arguments: tuple[str, ...], says: str
) -> None:
    ran = keywright.run(CERTIFICATE, *arguments, *ACME)
    assert ran.returncode == 1
    assert says in ran.stderr
    assert ran.stderr.count("\n") == 1
