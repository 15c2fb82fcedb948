"""Deletion keeps a way back: the days of grace, and a kept copy after them (rule 63)."""

from datetime import timedelta

import psycopg
import pytest

from tests.integration.certificates.inventory import Inventory, inventory, meanwhile, uncommitted
from tests.integration.certificates.policies.shelf import Shelf
from tests.integration.notifications.household import DAY, NOON
from tests.unit.certificates.certificate_maker import make_found
from workers.certificates.clean_up.store import purge_deleted
from workers.certificates.deletion import ReplacementUnderWayError, delete_certificate
from workers.certificates.restoring import RestoredCertificate, list_deleted, restore_certificate
from workers.certificates.showing import show_certificate
from workers.certificates.store import save_imported
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError


@pytest.fixture
def stock(connection: Connection) -> Inventory:
    """An organization with a certificate that lives 35 days more."""
    stock = inventory(connection)
    stock.keep("web", days_left=35)
    return stock


def delete(stock: Inventory, name: str = "web", *, now: timedelta = timedelta(0)) -> int:
    return delete_certificate(
        stock.connection,
        organization_id=stock.organization_id,
        unique_name=name,
        now=NOON + now,
    )


def restore(
    stock: Inventory, name: str = "web", *, connection: Connection | None = None, **options: object
) -> RestoredCertificate:
    return restore_certificate(
        connection or stock.connection,
        organization_id=stock.organization_id,
        unique_name=name,
        **options,  # type: ignore[arg-type]
    )


def purge(stock: Inventory, *, days: int) -> int:
    with stock.connection.transaction():
        return purge_deleted(stock.connection, now=NOON + days * DAY, limit=10)


def test_what_was_deleted_comes_back_as_it_was(stock: Inventory) -> None:
    stock.renew("web")
    certificate_id = delete(stock)
    [row] = list_deleted(stock.connection, organization_id=stock.organization_id)
    assert (row.unique_name, row.deleted_at, row.purge_at) == ("web", NOON, NOON + 30 * DAY)
    assert row.not_after == NOON + 365 * DAY
    restored = restore(stock, "WEB")
    assert (restored.certificate_id, restored.unique_name) == (certificate_id, "web")
    shown = show_certificate(
        stock.connection, organization_id=stock.organization_id, unique_name="web"
    )
    assert [each.version_number for each in shown.versions] == [2, 1]
    assert list_deleted(stock.connection, organization_id=stock.organization_id) == []
    stock.use("web", "Billing")


def test_it_warns_again_and_tells_what_it_could_not_when_it_was_deleted(stock: Inventory) -> None:
    version_id = stock.keep("mail", days_left=30, number=2)
    stock.plan()
    delete(stock, "mail")
    assert stock.notices(version_id)[0] == (30, "cancelled", "deleted")
    restore(stock, "mail")
    assert stock.warns(version_id)
    stock.plan(NOON + DAY)
    assert stock.notices(version_id) == [(30, "planned", None), (60, "superseded", None)]


def test_what_was_told_before_the_deletion_is_not_told_again(stock: Inventory) -> None:
    version_id = stock.keep("mail", days_left=30, number=2)
    stock.plan()
    stock.connection.execute("UPDATE keywright.notice SET state = 'sent' WHERE state = 'planned'")
    delete(stock, "mail")
    restore(stock, "mail")
    stock.plan(NOON + DAY)
    assert stock.notices(version_id) == [(30, "sent", None), (60, "superseded", None)]
    stock.plan(NOON + 20 * DAY)
    assert stock.notices(version_id)[0] == (10, "planned", None)


def test_a_name_that_is_taken_by_now_asks_for_another(stock: Inventory) -> None:
    delete(stock)
    stock.keep("web", number=2)
    with pytest.raises(ConflictError, match=r"another certificate named “web”.*--as NEW_NAME"):
        restore(stock)
    with pytest.raises(InvalidRequestError, match="unique_name"):
        restore(stock, new_name="1 web")
    assert restore(stock, new_name="web_2026").unique_name == "web_2026"


def test_of_several_of_a_name_the_one_deleted_last_comes_back_unless_another_is_meant(
    stock: Inventory,
) -> None:
    first = delete(stock)
    stock.keep("web", number=2)
    last = delete(stock, now=DAY)
    assert restore(stock).certificate_id == last
    assert restore(stock, new_name="older", certificate_id=first).certificate_id == first


def test_the_very_same_certificate_is_not_there_twice(stock: Inventory) -> None:
    delete(stock)
    stock.keep("web", days_left=35)
    with pytest.raises(ConflictError, match="very same certificate is there again"):
        restore(stock, new_name="old_web")


def test_rule_63_what_is_gone_for_good_is_brought_back_only_from_outside(
    stock: Inventory,
) -> None:
    delete(stock)
    assert purge(stock, days=29) == 0
    assert purge(stock, days=30) == 1
    with pytest.raises(NotFoundError, match=r"only from a keystore that you kept"):
        restore(stock)
    # Neither the name nor the fingerprint of what is gone stands in the way.
    stock.keep("web", days_left=35)


def test_rule_63_nor_is_a_deleted_certificate_in_the_way_during_its_days_of_grace(
    stock: Inventory,
) -> None:
    found = make_found("web", number=1, not_before=NOON - 330 * DAY, not_after=NOON + 35 * DAY)
    delete(stock)
    saved = save_imported(
        stock.connection,
        organization_id=stock.organization_id,
        found=[found],
        now=NOON,
        unique_name="web",
    )
    assert [each.unique_name for each in saved.imported] == ["web"]
    assert saved.duplicates == ()


def test_a_restoration_in_the_moment_of_the_purge_is_refused(
    stock: Inventory, conninfo: str
) -> None:
    delete(stock)
    with uncommitted(conninfo) as purging:
        assert purge_deleted(purging, now=NOON + 30 * DAY, limit=10) == 1
        with meanwhile(
            conninfo, stock.connection, lambda other: restore(stock, connection=other)
        ) as restoration:
            purging.commit()
            with pytest.raises(NotFoundError):
                restoration.result()


def test_a_purge_in_the_moment_of_restoration_lets_it_be(stock: Inventory, conninfo: str) -> None:
    delete(stock)
    with psycopg.connect(conninfo) as restoring:
        restore(stock, connection=restoring)
        assert purge(stock, days=30) == 0
    assert purge(stock, days=30) == 0
    stock.use("web", "Billing")


def test_a_certificate_of_another_organization_is_out_of_reach(stock: Inventory) -> None:
    delete(stock)
    globex = inventory(stock.connection, "Globex")
    with pytest.raises(NotFoundError):
        restore(globex)
    assert list_deleted(stock.connection, organization_id=globex.organization_id) == []


def test_what_is_part_of_a_replacement_is_not_deleted(acme: Shelf) -> None:
    old, new = acme.put("old", days_left=5), acme.put("new", days_left=300)
    acme.begin_replacement(old, new)
    for name in ("old", "new"):
        with pytest.raises(ReplacementUnderWayError, match="finish that or roll it back"):
            acme.delete(name)
        with pytest.raises(psycopg.errors.RestrictViolation) as refusal:
            acme.set_certificate(name, "deleted_at", acme.now)
        assert refusal.value.diag.constraint_name == "replacements_end_before_deletion"


def test_deletions_and_returns_are_announced(acme: Shelf) -> None:
    acme.put("web", days_left=5)
    certificate_id = acme.delete("web")
    restore_certificate(
        acme.connection, organization_id=acme.organization_id, unique_name="web", new_name="web2"
    )
    [(subject, deleted)] = acme.announced("certificate.deleted")
    assert subject == f"certificate/{certificate_id}"
    assert (deleted["unique_name"], deleted["by"]) == ("web", "request")
    [(subject, restored)] = acme.announced("certificate.restored")
    assert subject == f"certificate/{certificate_id}"
    assert restored["unique_name"] == "web2"
