"""Rules 65 and 66: the retired default certificate, and the way out of it."""

from typing import Any

import psycopg
import pytest

from tests.integration.certificates.inventory import meanwhile, uncommitted
from tests.integration.certificates.issuance.workshop import ASKER
from tests.integration.certificates.saml.service_provider import ServiceProvider
from workers.certificates.replacement.moves import roll_back
from workers.certificates.replacement.plan import VersionRef
from workers.certificates.retired_defaults import (
    SwitchedConfigurations,
    enable_multiple,
    organizations_on_default,
    reinstate_default,
    replace_default,
    retire_default,
)
from workers.certificates.saml.store import (
    complete,
    list_configurations,
    record_try,
    remove_configuration,
)
from workers.certificates.usages import add_usage, list_usages, move_usage
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError


def retire(acme: ServiceProvider, name: str = "proxy") -> int:
    return retire_default(
        acme.connection,
        organization_id=acme.organization_id,
        certificate=VersionRef(unique_name=name),
        actor=ASKER,
        now=acme.now,
    )


def enable(acme: ServiceProvider, certificate: str | None = None) -> SwitchedConfigurations:
    return enable_multiple(acme.connection, acme.tools, **options(acme, certificate))


def replace(acme: ServiceProvider, certificate: str | None = None) -> SwitchedConfigurations:
    return replace_default(acme.connection, acme.tools, **options(acme, certificate))


def options(acme: ServiceProvider, certificate: str | None) -> dict[str, Any]:
    return {
        "organization_id": acme.organization_id,
        "certificate": certificate and VersionRef(unique_name=certificate),
        "actor": ASKER,
        "now": acme.now,
    }


def used(acme: ServiceProvider) -> dict[str, str]:
    usages = list_usages(acme.connection, organization_id=acme.organization_id)
    return {each.place: each.unique_name for each in usages}


def tried(acme: ServiceProvider, *, works: bool, name: str = "Okta") -> str:
    return record_try(
        acme.connection,
        organization_id=acme.organization_id,
        name=name,
        works=works,
        now=acme.now,
    )


def done(acme: ServiceProvider, name: str = "Okta") -> str:
    return complete(acme.connection, organization_id=acme.organization_id, name=name, now=acme.now)


@pytest.fixture
def on_default(acme: ServiceProvider) -> ServiceProvider:
    """An organization whose one configuration has the retired default certificate."""
    acme.generate("proxy")
    acme.add(certificate="proxy")
    assert retire(acme) == 1
    return acme


def test_rule_65_no_configuration_selects_the_retired_default(on_default: ServiceProvider) -> None:
    acme = on_default
    acme.generate("saml")
    enable(acme, "saml")
    with pytest.raises(ConflictError, match=r"proxy.*retired default"):
        acme.add("Entra", "proxy")
    with pytest.raises(ConflictError, match="retired default"):
        acme.switch(certificate="proxy")
    with pytest.raises(ConflictError, match="retired default"):
        acme.start("saml", "proxy")
    place: dict[str, Any] = {
        "organization_id": acme.organization_id,
        "unique_name": "proxy",
        "place_kind": "saml_configuration",
    }
    with pytest.raises(ConflictError, match="retired default"):
        add_usage(acme.connection, place="Other", now=acme.now, **place)
    with pytest.raises(ConflictError, match="retired default"):
        move_usage(acme.connection, place="Okta", **place)
    with pytest.raises(psycopg.errors.CheckViolation, match="retired default"):
        acme.connection.execute("UPDATE keywright.usage SET version_id = 1")
    assert used(acme) == {"Okta": "saml"}
    add_usage(acme.connection, place="x", now=acme.now, **{**place, "place_kind": "api_client"})


def test_rule_65_enabling_multiple_configurations_switches_those_on_the_default(
    on_default: ServiceProvider,
) -> None:
    acme = on_default
    assert acme.find().check_state == "uses_default"
    with pytest.raises(ConflictError, match="retired default"):
        acme.metadata()
    acme.generate("saml")
    with pytest.raises(ConflictError, match="enable-multiple"):
        acme.add("Entra")
    switched = enable(acme, "saml")
    assert (switched.names, switched.organization) == (("Okta",), "Acme")
    assert switched.certificate == VersionRef(unique_name="saml", version_number=1)
    assert acme.find().check_state == "switched"
    acme.add("Entra")
    acme.generate("other")
    assert enable(acme, "other").names == ()  # what has one of its own keeps it
    assert used(acme) == {"Okta": "saml", "Entra": "saml"}


def test_rule_65_without_a_certificate_one_is_made_once(on_default: ServiceProvider) -> None:
    acme = on_default
    first = enable(acme)
    assert first.certificate is not None
    assert first.certificate.unique_name.startswith("SelfSignedCert_")
    assert acme.verifies(acme.metadata(), first.certificate.unique_name)
    assert enable(acme).certificate is None
    acme.connection.execute("DELETE FROM keywright.usage")
    assert replace(acme).certificate == first.certificate
    assert len(acme.rows()) == 2
    kinds = [kind for kind, _, _ in acme.announced()]
    assert kinds.count("certificate.selected") == 2


def test_rule_65_the_retired_default_is_replaced_everywhere(
    on_default: ServiceProvider, globex: ServiceProvider
) -> None:
    acme = on_default
    globex.generate("own")
    globex.add(certificate="own")
    # The same certificate, in another organization and under another name.
    acme.connection.execute(
        "UPDATE keywright.certificate_version AS mine SET fingerprint = theirs.fingerprint"
        " FROM keywright.certificate_version AS theirs"
        " WHERE mine.organization_id = %s AND theirs.version_id = 1",
        [globex.organization_id],
    )
    assert retire(acme) == 2
    everywhere = [acme.organization_id, globex.organization_id]
    assert organizations_on_default(acme.connection) == everywhere
    for organization in (acme, globex):
        assert replace(organization).names == ("Okta",)
    assert organizations_on_default(acme.connection) == []


def test_a_default_that_was_retired_by_mistake_may_be_selected_again(
    on_default: ServiceProvider,
) -> None:
    def reinstate() -> int:
        return reinstate_default(
            on_default.connection,
            organization_id=on_default.organization_id,
            certificate=VersionRef(unique_name="proxy"),
            now=on_default.now,
        )

    assert organizations_on_default(on_default.connection) == [on_default.organization_id]
    assert reinstate() == 1
    assert organizations_on_default(on_default.connection) == []
    assert tried(on_default, works=True) == "works"
    with pytest.raises(ConflictError, match="proxy is no retired default"):
        reinstate()


def test_rule_66_a_configuration_is_switched_tried_and_done(on_default: ServiceProvider) -> None:
    acme = on_default
    with pytest.raises(ConflictError, match="switch it first"):
        tried(acme, works=True)
    replace(acme)
    with pytest.raises(ConflictError, match="has not been tried"):
        done(acme)
    assert [tried(acme, works=True), tried(acme, works=True)] == ["works", "works"]
    assert [done(acme), done(acme)] == ["done", "done"]
    assert replace(acme).names == ()
    assert tried(acme, works=True) == "done"
    assert tried(acme, works=False) == "idp_update_needed"
    assert done(acme) == "done"


def test_rule_66_another_certificate_has_to_be_tried_again(on_default: ServiceProvider) -> None:
    acme = on_default
    replace(acme)
    tried(acme, works=True)
    done(acme)
    acme.generate("saml")
    acme.switch(certificate="saml")
    assert acme.find().check_state == "switched"
    acme.switch(certificate="saml")
    tried(acme, works=True)
    assert acme.find().check_state == "works"


def test_one_who_selects_what_is_being_retired_comes_too_late(
    acme: ServiceProvider, conninfo: str
) -> None:
    acme.generate("proxy")

    def of(connection: Connection) -> ServiceProvider:
        return ServiceProvider(connection, acme.tools, acme.organization_id, acme.name)

    with uncommitted(conninfo) as first:
        assert retire(of(first)) == 0
        with meanwhile(
            conninfo, acme.connection, lambda other: of(other).add(certificate="proxy")
        ) as second:
            first.commit()
            with pytest.raises((ConflictError, psycopg.errors.CheckViolation), match="default"):
                second.result()
    assert used(acme) == {}


def test_rule_65_nothing_goes_back_to_what_was_retired_meanwhile(acme: ServiceProvider) -> None:
    acme.generate("proxy")
    acme.generate("saml")
    acme.add(certificate="proxy")
    replacement_id = acme.start("proxy", "saml").replacement_id
    for step in ("overlapping", "switched"):
        acme.step(replacement_id, step)
    retire(acme)
    with pytest.raises(ConflictError, match="retired default"):
        roll_back(
            acme.connection,
            organization_id=acme.organization_id,
            replacement_id=replacement_id,
            actor=ASKER,
            now=acme.now,
        )
    assert used(acme) == {"Okta": "saml"}


def test_a_configuration_is_refused_for_what_is_wrong_with_it(acme: ServiceProvider) -> None:
    acme.generate("saml")
    for field, wrong in (
        ("entity_id", "acme"),
        ("entity_id", "https://acme.example/\n"),
        ("assertion_consumer_url", "http://acme.example/acs"),
        ("assertion_consumer_url", "urn:acme:acs"),
    ):
        with pytest.raises(InvalidRequestError, match=f"^{field}: "):
            acme.add(**{field: wrong})
    with pytest.raises(InvalidRequestError, match="unique_name"):
        acme.add("my idp")
    with pytest.raises(NotFoundError, match="“none”"):
        acme.add(certificate="none")
    acme.generate("imported")
    acme.connection.execute(
        "UPDATE keywright.certificate_version SET private_key = NULL WHERE version_id = 2"
    )
    with pytest.raises(ConflictError, match="private key is not here"):
        acme.add(certificate="imported")
    acme.add()
    with pytest.raises(InvalidRequestError, match="say which one"):
        acme.switch()
    with pytest.raises(NotFoundError, match="no SAML configuration named “nobody”"):
        acme.metadata("nobody")


def test_a_configuration_that_is_removed_uses_nothing(acme: ServiceProvider) -> None:
    acme.generate("saml")
    acme.add()
    remove_configuration(acme.connection, organization_id=acme.organization_id, name="okta")
    assert used(acme) == {}
    assert list_configurations(acme.connection, organization_id=acme.organization_id) == []
