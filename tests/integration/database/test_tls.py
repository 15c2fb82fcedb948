"""PostgreSQL over TLS: only the right authority, name and date will do, each refusal says why."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.servers.certificates import Authority
from tests.servers.tls_postgres import PASSWORD, TlsPostgres
from tests.servers.waiting import until
from workers.database.address import with_verification
from workers.database.pool import DatabaseUnavailableError, connect
from workers.encryption.connections import Connections

EXPIRED = "the server has a certificate that has expired; "
UNKNOWN = "the server has a certificate of an authority that is not trusted here; "
OTHER_NAME = "the server has a certificate for another host name; "

ELSEWHERE = {"host": "db.example.org", "hostaddr": "127.0.0.1"}
"""A name that is another machine's, and the way to it without looking it up."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody but its friends knows."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[TlsPostgres]:
    """A server with a certificate of that authority, for encrypted connections alone."""
    with TlsPostgres(authority.certificate()) as server:
        yield server


@pytest.fixture
def database(server: TlsPostgres) -> Iterator[str]:
    """An empty database of it."""
    with server.database() as conninfo:
        yield conninfo


def refusal(url: str) -> str:
    """Return what whoever connects is told; the same for one of the other databases."""
    with pytest.raises(DatabaseUnavailableError) as told:
        connect(url, name="test")
    with pytest.raises(DatabaseUnavailableError) as told_otherwise:
        Connections("", {"shop": SecretStr(url)}).connect("shop", "test")
    text = str(told.value)
    assert str(told_otherwise.value) == text.replace("the database", "“shop”").replace(
        "KEYWRIGHT_DATABASE_URL", "KEYWRIGHT_CONNECTION_SHOP"
    )
    assert PASSWORD not in text
    return text


def verified(server: TlsPostgres, database: str, ca_file: Path | None, **where: str) -> str:
    """Return an address that is verified against some authorities."""
    return with_verification(server.url(database, sslmode="verify-full", **where), ca_file)


def test_a_private_authority_is_trusted_where_the_settings_name_it(
    server: TlsPostgres, database: str, authority: Authority
) -> None:
    with connect(verified(server, database, authority.ca_file), name="test") as connection:
        row = connection.execute(
            "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert row == ("TLSv1.3",)


@pytest.mark.parametrize("which", ["the system's", "another"])
def test_no_other_authority_is_trusted(
    server: TlsPostgres, database: str, authority: Authority, which: str
) -> None:
    ca_file = authority.other_ca_file if which == "another" else None
    text = refusal(verified(server, database, ca_file))
    assert UNKNOWN in text
    assert text.endswith("in KEYWRIGHT_CA_FILE.")


def test_a_certificate_for_another_name_is_not_accepted(
    server: TlsPostgres, database: str, authority: Authority
) -> None:
    text = refusal(verified(server, database, authority.ca_file, host="127.0.0.1"))
    assert OTHER_NAME in text
    assert "KEYWRIGHT_DATABASE_URL" in text


def test_a_name_that_is_another_machines_is_verified_without_being_asked(
    server: TlsPostgres, database: str, authority: Authority
) -> None:
    url = with_verification(server.url(database, **ELSEWHERE), authority.ca_file)
    assert OTHER_NAME in refusal(url)
    connect(server.url(database, **ELSEWHERE, sslmode="require"), name="test").close()


def test_an_expired_certificate_is_not_accepted(
    server: TlsPostgres, database: str, authority: Authority
) -> None:
    url = verified(server, database, authority.ca_file)
    server.show(authority.certificate("expired"))
    try:
        until(lambda: EXPIRED in refusal(url), "the server to show its new certificate")
    finally:
        server.show(authority.certificate())
    until(lambda: _answers(url), "the server to show its old certificate again")


def test_a_server_without_tls_is_not_made_do_with(authority: Authority) -> None:
    with (
        TlsPostgres(authority.certificate(), encrypted=False) as server,
        server.database() as database,
    ):
        text = refusal(verified(server, database, authority.ca_file))
    assert "the server offers no TLS; switch it on there (ssl = on)" in text


def test_a_server_that_cannot_be_reached_is_told_from_one_that_is_not_trusted() -> None:
    with pytest.raises(DatabaseUnavailableError) as told:
        connect("postgresql://u:hush@127.0.0.1:9/d?sslmode=verify-full", name="test")
    assert "check KEYWRIGHT_DATABASE_URL." in str(told.value)
    assert "certificate" not in str(told.value)


def _answers(url: str) -> bool:
    try:
        connect(url, name="test").close()
    except DatabaseUnavailableError:
        return False
    return True
