"""A certificate is replaced and SAML metadata published, with ``keywright replacement | saml``."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.keywright_command import Keywright, done
from tests.integration.certificates.issuance.workshop import certificate_tools
from tests.integration.certificates.saml.service_provider import (
    CONSUMER,
    ENTITY_ID,
    ServiceProvider,
)
from tests.servers.postgres import PostgresServer
from workers.database.pool import open_pool

ACME = ("-o", "Acme")


@pytest.fixture(scope="module")
def acme(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProvider]:
    """An organization with a few certificates."""
    folder = tmp_path_factory.mktemp("replacing")
    with (
        postgres.database() as conninfo,
        psycopg.connect(conninfo, autocommit=True) as connection,
        open_pool(conninfo, size=2, name="test") as pool,
    ):
        acme = ServiceProvider.at(connection, certificate_tools(pool, folder), "Acme", folder)
        for name in ("saml", "saml2027", "proxy"):
            acme.generate(name)
        yield acme


@pytest.fixture(scope="module")
def keywright(acme: ServiceProvider) -> Keywright:
    """The command, on that database and root key."""
    return Keywright.on(acme.connection.info.dsn, acme.folder, root_key=acme.folder / "root.key")


def said(keywright: Keywright, *arguments: str) -> str:
    """Run a command that must succeed; return what it said."""
    return done(keywright, *arguments, *ACME)


def refused(keywright: Keywright, *arguments: str) -> str:
    """Run a command that must not; return its one line, or list."""
    ran = keywright.run(*arguments, *ACME)
    assert ran.returncode == 1, ran.stdout
    assert ran.stderr.startswith("keywright: ")
    return ran.stderr


def test_a_signing_certificate_is_replaced_with_both_keys_in_the_metadata_meanwhile(
    keywright: Keywright, acme: ServiceProvider, tmp_path: Path
) -> None:
    urls = ("--entity-id", ENTITY_ID, "--acs-url", CONSUMER)
    assert "Added Okta" in said(keywright, "saml", "add", "Okta", *urls, "--certificate", "saml")
    started = keywright.json("replacement", "start", "saml", "saml2027", *ACME)
    assert (started["replacement_id"], started["places"]) == (1, 1)
    assert "saml_configuration: Okta is waiting" in refused(keywright, "saml", "switch", "Okta")
    place = ("--place", "saml_configuration:Okta")
    assert said(keywright, "replacement", "overlap", "1", *place) == "✓ saml_configuration: Okta\n"
    file = tmp_path / "okta.xml"
    said(keywright, "saml", "metadata", "Okta", "--output", str(file))
    assert file.read_bytes().count(b"<md:KeyDescriptor") == 2
    assert acme.verifies(file.read_bytes(), "saml")
    [row] = keywright.json("replacement", "list", *ACME)
    assert (row["overlapping"], row["overdue"], row["state"]) == (1, 0, "staged")
    assert "signs with saml2027 version 1" in said(keywright, "saml", "switch", "Okta")
    assert "certificate download saml2027" in said(keywright, "saml", "tried", "Okta", "--fails")
    shown = said(keywright, "saml", "show", "Okta")
    assert "saml2027 version 1, ends" in shown
    assert "replacement 1, switched" in shown
    moved = keywright.json("replacement", "retire", "1", *ACME)
    assert (moved["state"], moved["moved"]) == (
        "completed",
        [{"place_kind": "saml_configuration", "place": "Okta"}],
    )
    assert acme.verifies(said(keywright, "saml", "metadata", "Okta").strip().encode(), "saml2027")


def test_a_certificate_is_rekeyed_and_its_places_go_back(
    keywright: Keywright, acme: ServiceProvider
) -> None:
    said(keywright, "usage", "add", "proxy", "api_client", "Billing")
    assert "takes the place of “proxy” version 1" in said(
        keywright, "replacement", "start", "proxy", "--rekey"
    )
    [row] = keywright.json("replacement", "list", *ACME)
    number = str(row["replacement_id"])
    late = ("--switch-by", f"{acme.now.year + 2}-01-01")
    assert "switch_by: a time between now and the end" in refused(
        keywright, "replacement", "reschedule", number, *late
    )
    said(keywright, "replacement", "switch", number, "--without-overlap")
    screen = said(keywright, "replacement", "show", number)
    assert "proxy version 2" in screen
    assert "switched" in screen
    assert f"Replacement {number} is rolled back" in said(
        keywright, "replacement", "roll-back", number
    )
    assert "kind:name" in refused(keywright, "replacement", "switch", number, "--place", "Billing")


def test_rule_65_the_retired_default_goes_in_one_command(
    keywright: Keywright, acme: ServiceProvider
) -> None:
    said(keywright, "saml", "enable-multiple")
    acme.add("Entra", "proxy")
    assert "1 still have it" in said(keywright, "saml", "retire-default", "proxy")
    rows = {row["name"]: row["check_state"] for row in keywright.json("saml", "list", *ACME)}
    assert rows["Entra"] == "uses_default"
    ran = keywright.run("saml", "replace-default")  # of all organizations
    assert "Acme: Entra sign with “SelfSignedCert_" in ran.stdout
    assert said(keywright, "saml", "remove", "Entra") == "Removed Entra.\n"
