"""Configuring a client from the database: which key leaves, what is recorded, where it is used."""

from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.integration.certificates.keystore_jobs.office import Issued, Office
from tests.integration.certificates.mutual_tls.partners import (
    ISSUING,
    PARTNER,
    ROOT,
    STRANGER,
    client,
    private_pem,
)
from workers.certificates.api_clients.configuring import (
    configure_client,
    find_identity,
    open_private_key,
)
from workers.certificates.api_clients.files import ClientRequest, Program
from workers.certificates.api_clients.identity import read_private_key
from workers.certificates.api_clients.writing import write_files
from workers.certificates.usages import list_usages
from workers.errors import ConflictError, InvalidRequestError, NotFoundError

REQUEST = ClientRequest(
    program=Program.CURL, url="https://api.example.org/", folder=PurePosixPath("/opt/client")
)
CHAIN = (ISSUING.der, ROOT.der)


def configure(
    acme: Office,
    folder: Path,
    request: ClientRequest = REQUEST,
    *,
    name: str = "partner",
    place: str | None = None,
    replaces: bool = False,
) -> list[str]:
    version, identity = find_identity(
        acme.connection,
        organization_id=acme.organization_id,
        unique_name=name,
        version_number=None,
        now=acme.now,
    )
    if request.key_file is None:
        key = open_private_key(
            acme.connection,
            acme.tools.private_keys,
            organization_id=acme.organization_id,
            version=version,
        )
        identity = replace(identity, private_key=key)
    return configure_client(
        acme.connection,
        organization_id=acme.organization_id,
        version=version,
        identity=identity,
        request=request,
        place=place,
        by="cli:test",
        now=acme.now,
        write=partial(write_files, folder, replace=replaces),
    )


def announced(acme: Office) -> list[dict[str, object]]:
    rows = acme.connection.execute(
        "SELECT data FROM keywright.announcement WHERE kind = 'api_client.configured'"
    )
    return [row[0] for row in rows]


def test_an_exportable_key_leaves_and_that_is_recorded(acme: Office, tmp_path: Path) -> None:
    acme.keep("partner", Issued(PARTNER.key, (PARTNER.der, *CHAIN)))
    folder = tmp_path / "client"
    assert configure(acme, folder) == ["certificate-chain.pem", "curl.conf", "private-key.pem"]
    assert folder.stat().st_mode & 0o777 == 0o700
    # The leaf first, and without the root.
    assert (folder / "certificate-chain.pem").read_bytes() == PARTNER.pem + ISSUING.pem
    key = load_pem_private_key((folder / "private-key.pem").read_bytes(), password=None)
    assert key.public_key() == PARTNER.key.public_key()
    assert 'key = "/opt/client/private-key.pem"' in (folder / "curl.conf").read_text()
    [data] = announced(acme)
    assert (data["program"], data["private_key_left"], data["by"]) == ("curl", True, "cli:test")


def test_rule_6_a_key_that_may_not_leave_does_not(acme: Office, tmp_path: Path) -> None:
    acme.keep("partner", Issued(PARTNER.key, (PARTNER.der, *CHAIN)), exportable=False)
    with pytest.raises(ConflictError, match="made never to leave"):
        configure(acme, tmp_path / "client")
    by_reference = replace(REQUEST, key_file=PurePosixPath("/etc/partner.key"))
    assert configure(acme, tmp_path / "client", by_reference) == [
        *("certificate-chain.pem", "curl.conf")
    ]
    [data] = announced(acme)
    assert data["private_key_left"] is False


def test_files_of_an_earlier_time_are_replaced_only_on_demand(acme: Office, tmp_path: Path) -> None:
    acme.keep("partner", Issued(PARTNER.key, (PARTNER.der, *CHAIN)))
    folder = tmp_path / "client"
    configure(acme, folder)
    (folder / "private-key.pem").unlink()
    with pytest.raises(ConflictError, match=r"certificate-chain\.pem, curl\.conf already") as error:
        configure(acme, folder, place="nightly export")
    assert "private-key.pem" not in str(error.value)
    # Neither or both: nothing was written, and nothing recorded.
    assert not (folder / "private-key.pem").exists()
    assert list_usages(acme.connection, organization_id=acme.organization_id) == []
    assert len(announced(acme)) == 1
    configure(acme, folder, replaces=True)
    assert {path.name for path in folder.iterdir()} == {
        *("certificate-chain.pem", "curl.conf", "private-key.pem")
    }
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())


def test_a_client_is_a_place_that_uses_the_certificate(acme: Office, tmp_path: Path) -> None:
    acme.keep("partner", Issued(PARTNER.key, (PARTNER.der, *CHAIN)))
    acme.keep("stranger", Issued(STRANGER.key, (STRANGER.der, *CHAIN)))
    configure(acme, tmp_path / "one", place="nightly export")
    configure(acme, tmp_path / "two", place="nightly export")
    configure(acme, tmp_path / "three", name="stranger", place="nightly export")
    [usage] = list_usages(acme.connection, organization_id=acme.organization_id)
    assert (usage.place_kind, usage.place) == ("api_client", "nightly export")
    assert usage.unique_name == "stranger"


def test_what_cannot_be_presented_is_refused(acme: Office, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no certificate named “partner”"):
        configure(acme, tmp_path)
    acme.keep("partner", Issued(PARTNER.key, (PARTNER.der, *CHAIN)), signed=False)
    with pytest.raises(NotFoundError, match="no such signed version"):
        configure(acme, tmp_path)
    ended = client("ended", lasts=-(PARTNER.certificate.not_valid_after_utc - acme.now) / 400)
    acme.keep("ended", Issued(ended.key, (ended.der, *CHAIN)))
    with pytest.raises(ConflictError, match="renew it first"):
        configure(acme, tmp_path, name="ended")


def test_a_key_file_has_to_belong_to_the_certificate() -> None:
    assert read_private_key(private_pem(PARTNER), PARTNER.der)
    for pem, reason in (
        (private_pem(STRANGER), "another certificate"),
        (PARTNER.pem, "no private key in PEM form"),
        (b"", "no private key in PEM form"),
    ):
        with pytest.raises(InvalidRequestError, match=reason):
            read_private_key(pem, PARTNER.der)
