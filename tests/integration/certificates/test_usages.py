"""Where certificates are used, and what moving a usage silences."""

import pytest

from tests.integration.certificates.inventory import Inventory, inventory, meanwhile, uncommitted
from tests.integration.notifications.household import DAY, NOON
from workers.certificates.acknowledgement import acknowledge_replaced
from workers.certificates.usages import add_usage, list_usages, move_usage, remove_usage
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError


def move(acme: Inventory, place: str, name: str, version_number: int | None = None) -> None:
    move_usage(
        acme.connection,
        organization_id=acme.organization_id,
        place_kind="api_client",
        place=place,
        unique_name=name,
        version_number=version_number,
    )


def remove(acme: Inventory, place: str) -> None:
    remove_usage(
        acme.connection,
        organization_id=acme.organization_id,
        place_kind="api_client",
        place=place,
    )


def places(acme: Inventory) -> list[tuple[str, str, int]]:
    usages = list_usages(acme.connection, organization_id=acme.organization_id)
    return [(each.place, each.unique_name, each.version_number) for each in usages]


def test_a_place_has_the_newest_version_unless_another_is_named(connection: Connection) -> None:
    acme = inventory(connection)
    acme.keep("web")
    acme.renew("web")
    acme.use("WEB", "new")
    acme.use("web", "old", version_number=1)
    assert places(acme) == [("new", "web", 2), ("old", "web", 1)]
    usages = list_usages(connection, organization_id=acme.organization_id, unique_name="Web")
    assert [each.replaced for each in usages] == [False, True]
    assert usages[0].not_after == NOON + 365 * DAY


def test_a_place_uses_one_certificate(connection: Connection) -> None:
    acme = inventory(connection)
    acme.keep("web")
    acme.keep("mail", number=2)
    acme.use("web", "Billing")
    with pytest.raises(ConflictError, match="api_client: Billing uses a certificate already"):
        acme.use("mail", "Billing")
    assert places(acme) == [("Billing", "web", 1)]


@pytest.mark.parametrize(
    ("place_kind", "place", "named"),
    [
        ("API client", "x", "place_kind"),
        ("", "x", "place_kind"),
        ("api_client\n", "x", "place_kind"),
        ("api_client", "", "place:"),
        ("api_client", " x", "place:"),
        ("api_client", "a\nb", "place:"),
        ("api_client", "x" * 201, "place:"),
    ],
)
def test_a_place_that_is_none_is_refused(
    connection: Connection, place_kind: str, place: str, named: str
) -> None:
    acme = inventory(connection)
    acme.keep("web")
    with pytest.raises(InvalidRequestError, match=named):
        add_usage(
            connection,
            organization_id=acme.organization_id,
            unique_name="web",
            place_kind=place_kind,
            place=place,
            now=NOON,
        )


def test_what_is_not_there_cannot_be_used_moved_or_removed(connection: Connection) -> None:
    acme = inventory(connection)
    acme.keep("web")
    with pytest.raises(NotFoundError, match="“none”"):
        acme.use("none", "Billing")
    with pytest.raises(NotFoundError, match="version 2"):
        acme.use("web", "Billing", version_number=2)
    with pytest.raises(NotFoundError, match="api_client: Billing"):
        move(acme, "Billing", "web")
    with pytest.raises(NotFoundError, match="api_client: Billing"):
        remove(acme, "Billing")


def test_an_unusable_certificate_cannot_be_used(connection: Connection) -> None:
    acme = inventory(connection)
    version_id = acme.keep("web")
    connection.execute(
        "UPDATE keywright.certificate_version SET not_before = NULL, not_after = NULL,"
        " next_notice_at = NULL WHERE version_id = %s",
        [version_id],
    )
    with pytest.raises(NotFoundError, match="no signed version"):
        acme.use("web", "Billing")


def test_a_replaced_version_falls_silent_when_its_last_usage_moves_away(
    connection: Connection,
) -> None:
    acme = inventory(connection)
    old = acme.keep("web", days_left=30)
    acme.use("web", "Billing")
    acme.use("web", "Shop")
    acme.plan()
    acme.renew("web")
    move(acme, "Billing", "web")
    assert acme.warns(old)
    move(acme, "Shop", "web")
    assert not acme.warns(old)
    assert acme.notices(old)[0] == (30, "cancelled", "replaced")
    assert places(acme) == [("Billing", "web", 2), ("Shop", "web", 2)]


def test_a_replaced_version_falls_silent_when_its_last_usage_is_removed(
    connection: Connection,
) -> None:
    acme = inventory(connection)
    old = acme.keep("web", days_left=30)
    acme.use("web", "Billing")
    acme.renew("web")
    remove(acme, "Billing")
    assert not acme.warns(old)
    assert places(acme) == []


def test_a_certificate_without_successor_warns_though_its_usages_moved_to_another(
    connection: Connection,
) -> None:
    acme = inventory(connection)
    old = acme.keep("web")
    acme.keep("web 2026", number=2)
    acme.use("web", "Billing")
    move(acme, "Billing", "web_2026")
    assert acme.warns(old)
    assert places(acme) == [("Billing", "web_2026", 1)]


def test_a_replaced_version_warns_again_when_a_place_goes_back_to_it(
    connection: Connection,
) -> None:
    acme = inventory(connection)
    old = acme.keep("web", days_left=35)
    acme.use("web", "Billing")
    acme.renew("web")
    move(acme, "Billing", "web")
    assert not acme.warns(old)
    move(acme, "Billing", "web", 1)
    assert acme.warns(old)
    acme.plan(NOON + 6 * DAY)
    assert acme.notices(old)[0] == (30, "planned", None)


def test_a_place_of_another_organization_is_out_of_reach(connection: Connection) -> None:
    acme, globex = inventory(connection), inventory(connection, "Globex")
    acme.keep("web")
    globex.keep("web")
    acme.use("web", "Billing")
    globex.use("web", "Billing")
    remove(acme, "Billing")
    assert places(acme) == []
    assert places(globex) == [("Billing", "web", 1)]


def test_of_the_last_two_usages_that_leave_at_once_one_knows_that_it_is_the_last(
    connection: Connection, conninfo: str
) -> None:
    acme = inventory(connection)
    old = acme.keep("web", days_left=30)
    acme.use("web", "Billing")
    acme.use("web", "Shop")
    acme.renew("web")
    with uncommitted(conninfo) as first:
        remove(Inventory(first, acme.household), "Billing")
        with meanwhile(
            conninfo,
            connection,
            lambda other: remove(Inventory(other, acme.household), "Shop"),
        ) as second:
            first.commit()
            second.result()
    assert not acme.warns(old)


def test_a_usage_that_is_moved_twice_at_once_ends_where_the_second_put_it(
    connection: Connection, conninfo: str
) -> None:
    acme = inventory(connection)
    acme.keep("web")
    acme.keep("mail", number=2)
    acme.keep("shop", number=3)
    acme.use("web", "Billing")
    with uncommitted(conninfo) as first:
        move(Inventory(first, acme.household), "Billing", "mail")
        with meanwhile(
            conninfo,
            connection,
            lambda other: move(Inventory(other, acme.household), "Billing", "shop"),
        ) as second:
            first.commit()
            second.result()
    assert places(acme) == [("Billing", "shop", 1)]


def test_a_replaced_version_that_was_acknowledged_warns_no_more(connection: Connection) -> None:
    acme = inventory(connection)
    old = acme.keep("web", days_left=35)
    acme.use("web", "Billing")
    acme.renew("web")
    assert acme.warns(old)
    assert acknowledge(acme, "web") == 1
    assert not acme.warns(old)
    # Nor when its dates are gone through again.
    connection.execute("SELECT keywright.schedule_notices(%s)", [[old]])
    assert not acme.warns(old)
    with pytest.raises(ConflictError, match="no replaced version"):
        acknowledge(acme, "web")


def acknowledge(acme: Inventory, unique_name: str) -> int:
    return acknowledge_replaced(
        acme.connection,
        organization_id=acme.organization_id,
        unique_name=unique_name,
        now=NOON,
    )
