"""Usages and deletions in plain SQL lead to the same as those through jobs and commands."""

import psycopg
import pytest

from tests.integration.certificates.inventory import Inventory, inventory
from tests.integration.jobs.workbench import count
from tests.integration.notifications.household import NOON
from workers.database.pool import Connection

ALL_USAGES = "keywright.usage"


@pytest.fixture
def acme(connection: Connection) -> Inventory:
    """An organization without certificates."""
    return inventory(connection)


def insert(acme: Inventory, version_id: int, *places: str) -> None:
    acme.connection.execute(
        "INSERT INTO keywright.usage (organization_id, version_id, place_kind, place)"
        " SELECT %s, %s, 'api_client', place FROM unnest(%s::text[]) AS new (place)",
        [acme.organization_id, version_id, list(places)],
    )


def move(acme: Inventory, place: str, version_id: int) -> None:
    acme.connection.execute(
        "UPDATE keywright.usage SET version_id = %s WHERE place = %s", [version_id, place]
    )


def remove(acme: Inventory, *places: str) -> None:
    acme.connection.execute("DELETE FROM keywright.usage WHERE place = ANY (%s)", [list(places)])


def make_unusable(acme: Inventory, version_id: int) -> None:
    acme.connection.execute(
        "UPDATE keywright.certificate_version SET not_before = NULL, not_after = NULL,"
        " next_notice_at = NULL WHERE version_id = %s",
        [version_id],
    )


def test_rule_13_a_version_that_is_not_signed_is_used_by_nothing(acme: Inventory) -> None:
    signed, unsigned = acme.keep("web"), acme.keep("mail", number=2)
    make_unusable(acme, unsigned)
    insert(acme, signed, "Billing")
    refused = pytest.raises(
        psycopg.errors.RestrictViolation, match='version 1 of certificate "mail" is not signed yet'
    )
    with refused as refusal:
        insert(acme, unsigned, "Shop")
    assert refusal.value.diag.constraint_name == "unusable_versions_are_not_used"
    with refused:
        move(acme, "Billing", unsigned)
    assert count(acme.connection, ALL_USAGES) == 1


def test_a_deleted_certificate_is_used_by_nothing(acme: Inventory) -> None:
    kept, deleted = acme.keep("web"), acme.keep("mail", number=2)
    acme.connection.execute(
        "UPDATE keywright.certificate SET deleted_at = now() WHERE unique_name = 'mail'"
    )
    insert(acme, kept, "Billing")
    refused = pytest.raises(psycopg.errors.RestrictViolation, match='"mail" was deleted')
    with refused as refusal:
        insert(acme, deleted, "Shop")
    assert refusal.value.diag.constraint_name == "deleted_certificates_are_not_used"
    with refused:
        move(acme, "Billing", deleted)


def test_what_is_not_there_or_belongs_to_another_is_used_by_nothing(acme: Inventory) -> None:
    foreign = inventory(acme.connection, "Globex").keep("web")
    for version_id in (foreign, 999_999):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            insert(acme, version_id, "Billing")


def test_rule_60_deletion_is_refused_while_a_place_uses_any_version_and_lists_each(
    acme: Inventory,
) -> None:
    insert(acme, acme.keep("web"), "Shop")
    insert(acme, acme.renew("web").version_id, "Billing")
    with pytest.raises(psycopg.errors.RestrictViolation) as refusal:
        acme.connection.execute("UPDATE keywright.certificate SET deleted_at = now()")
    assert refusal.value.diag.message_primary == (
        'certificate "web" is still in use:'
        " api_client: Billing (version 2), api_client: Shop (version 1)"
    )
    assert refusal.value.diag.constraint_name == "certificates_in_use_are_not_deleted"
    remove(acme, "Shop", "Billing")
    acme.connection.execute("UPDATE keywright.certificate SET deleted_at = now()")


def test_rule_57_nothing_is_told_of_what_plain_sql_deletes(acme: Inventory) -> None:
    web, mail = acme.keep("web", days_left=30), acme.keep("mail", days_left=30, number=2)
    acme.plan()
    acme.connection.execute(
        "UPDATE keywright.certificate SET deleted_at = %s WHERE unique_name = 'web'", [NOON]
    )
    assert not acme.warns(web)
    assert acme.warns(mail)
    assert acme.notices(web) == [(30, "cancelled", "deleted"), (60, "superseded", None)]
    assert acme.notices(mail)[0] == (30, "planned", None)


def test_what_plain_sql_deletes_has_its_days_of_grace_too(acme: Inventory) -> None:
    acme.keep("web")
    row = acme.connection.execute(
        "UPDATE keywright.certificate SET deleted_at = %s RETURNING purge_at - deleted_at", [NOON]
    ).fetchone()
    assert row is not None
    assert row[0].days == 30


def test_a_replaced_version_falls_silent_with_its_last_usage(acme: Inventory) -> None:
    old = acme.keep("web", days_left=30)
    insert(acme, old, "Billing", "Shop", "Backup")
    acme.plan()
    new = acme.renew("web").version_id
    move(acme, "Billing", new)
    remove(acme, "Backup")
    assert acme.warns(old)
    move(acme, "Shop", new)
    assert not acme.warns(old)
    assert acme.notices(old)[0] == (30, "cancelled", "replaced")


def test_a_replaced_version_falls_silent_when_all_its_usages_are_removed_in_one_statement(
    acme: Inventory,
) -> None:
    old = acme.keep("web", days_left=30)
    insert(acme, old, "Billing", "Shop")
    acme.renew("web")
    assert acme.warns(old)
    remove(acme, "Billing", "Shop")
    assert not acme.warns(old)


def test_a_replaced_version_warns_again_when_a_place_gets_it(acme: Inventory) -> None:
    old = acme.keep("web", days_left=35)
    new = acme.renew("web").version_id
    insert(acme, new, "Billing")
    assert not acme.warns(old)
    insert(acme, old, "Shop")
    assert acme.warns(old)
    remove(acme, "Shop")
    assert not acme.warns(old)
    move(acme, "Billing", old)
    assert acme.warns(old)


def test_renaming_a_place_changes_nothing_else(acme: Inventory) -> None:
    old = acme.keep("web")
    insert(acme, old, "Billing")
    acme.renew("web")
    acme.connection.execute("UPDATE keywright.usage SET place = 'Invoices'")
    assert acme.warns(old)


def test_only_the_newest_version_of_a_certificate_is_the_newest(acme: Inventory) -> None:
    acme.keep("web")
    acme.renew("web")
    acme.renew("web", number=3)
    acme.keep("mail", number=4)
    rows = acme.connection.execute(
        "SELECT unique_name, version_number, is_newest FROM keywright.certificate_version"
        " JOIN keywright.certificate USING (certificate_id) ORDER BY 1, 2"
    ).fetchall()
    assert rows == [
        ("mail", 1, True),
        ("web", 1, False),
        ("web", 2, False),
        ("web", 3, True),
    ]
