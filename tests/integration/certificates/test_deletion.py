"""Deleting: refused while anything uses it, also in the same moment (rules 57, 60, 61, 3)."""

import pytest

from tests.integration.certificates.inventory import Inventory, inventory, meanwhile, uncommitted
from tests.integration.notifications.household import NOON
from workers.certificates.deletion import CertificateInUseError, delete_certificate
from workers.certificates.usages import list_usages
from workers.database.pool import Connection
from workers.errors import NotFoundError


def delete(acme: Inventory, name: str) -> int:
    return delete_certificate(
        acme.connection, organization_id=acme.organization_id, unique_name=name, now=NOON
    )


def test_deletion_is_refused_while_a_place_uses_any_version_and_lists_each(
    connection: Connection,
) -> None:
    acme = inventory(connection)
    acme.keep("web")
    acme.use("web", "Billing")
    acme.renew("web")
    acme.use("web", "Shop")
    with pytest.raises(CertificateInUseError) as refusal:
        delete(acme, "WEB")
    assert "- api_client: Billing (version 1)" in str(refusal.value)
    assert "- api_client: Shop (version 2)" in str(refusal.value)
    assert len(list_usages(connection, organization_id=acme.organization_id)) == 2


def test_nothing_is_told_of_a_deleted_certificate_and_what_was_told_stays(
    connection: Connection,
) -> None:
    acme = inventory(connection)
    version_id = acme.keep("web", days_left=30)
    newest = acme.keep("mail", days_left=30, number=2)
    acme.plan()
    delete(acme, "web")
    assert not acme.warns(version_id)
    assert acme.notices(version_id) == [(30, "cancelled", "deleted"), (60, "superseded", None)]
    assert acme.notices(newest)[0] == (30, "planned", None)


def test_all_versions_of_a_deleted_certificate_are_silent(connection: Connection) -> None:
    acme = inventory(connection)
    old = acme.keep("web")
    new = acme.renew("web").version_id
    delete(acme, "web")
    assert not acme.warns(old)
    assert not acme.warns(new)


def test_a_deleted_certificate_is_gone_and_its_name_free(connection: Connection) -> None:
    acme = inventory(connection)
    acme.keep("web")
    delete(acme, "web")
    with pytest.raises(NotFoundError, match="“web”"):
        delete(acme, "web")
    with pytest.raises(NotFoundError, match="“web”"):
        acme.use("web", "Billing")
    acme.keep("web", number=2)


def test_a_usage_added_in_the_moment_of_deletion_finds_no_certificate(
    connection: Connection, conninfo: str
) -> None:
    acme = inventory(connection)
    acme.keep("web")
    with uncommitted(conninfo) as deleting:
        delete(Inventory(deleting, acme.household), "web")
        with meanwhile(
            conninfo,
            connection,
            lambda other: Inventory(other, acme.household).use("web", "Billing"),
        ) as usage:
            deleting.commit()
            with pytest.raises(NotFoundError, match="“web”"):
                usage.result()


def test_a_deletion_in_the_moment_a_usage_is_added_is_refused(
    connection: Connection, conninfo: str
) -> None:
    acme = inventory(connection)
    acme.keep("web")
    with uncommitted(conninfo) as using:
        Inventory(using, acme.household).use("web", "Billing")
        with meanwhile(
            conninfo, connection, lambda other: delete(Inventory(other, acme.household), "web")
        ) as deletion:
            using.commit()
            with pytest.raises(CertificateInUseError, match="Billing"):
                deletion.result()
