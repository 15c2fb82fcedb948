"""Renewing: replaced is not deployed (rule 57 of the model)."""

import pytest

from tests.integration.certificates.inventory import inventory, meanwhile, uncommitted
from tests.integration.notifications.household import DAY, NOON, outcomes
from tests.unit.certificates.certificate_maker import make_found
from workers.certificates.versions import add_version
from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError


def test_a_new_version_opens_its_own_tiers(connection: Connection) -> None:
    acme = inventory(connection)
    acme.keep("web")
    added = acme.renew("WEB")
    assert (added.unique_name, added.version_number, added.still_used_in) == ("web", 2, ())
    assert acme.warns(added.version_id)
    assert outcomes(connection, added.version_id) == {}


def test_a_replaced_version_that_no_place_uses_is_told_no_more(connection: Connection) -> None:
    acme = inventory(connection)
    old = acme.keep("web", days_left=30)
    acme.plan()
    assert acme.notices(old) == [(30, "planned", None), (60, "superseded", None)]
    acme.renew("web")
    assert not acme.warns(old)
    assert acme.notices(old) == [(30, "cancelled", "replaced"), (60, "superseded", None)]
    row = connection.execute(
        "SELECT replaced_at FROM keywright.certificate_version WHERE version_id = %s", [old]
    ).fetchone()
    assert row == (NOON,)


def test_a_replaced_certificate_still_in_use_keeps_warning(connection: Connection) -> None:
    acme = inventory(connection)
    old = acme.keep("web", days_left=30)
    acme.use("web", "Billing")
    acme.plan()
    added = acme.renew("web")
    assert added.still_used_in == ("api_client: Billing",)
    assert acme.warns(old)
    assert acme.notices(old)[0] == (30, "planned", None)
    acme.plan(NOON + 20 * DAY)
    assert acme.notices(old)[0] == (10, "planned", None)


def test_only_the_versions_in_use_warn_after_two_renewals(connection: Connection) -> None:
    acme = inventory(connection)
    first = acme.keep("web")
    acme.use("web", "Billing")
    second = acme.renew("web").version_id
    third = acme.renew("web", number=3)
    assert third.version_number == 3
    assert [acme.warns(each) for each in (first, second, third.version_id)] == [True, False, True]


def test_the_moment_of_the_first_replacement_is_kept(connection: Connection) -> None:
    acme = inventory(connection)
    acme.keep("web")
    acme.renew("web")
    add_version(
        connection,
        organization_id=acme.organization_id,
        unique_name="web",
        found=make_found("web", number=3),
        now=NOON + DAY,
    )
    rows = connection.execute(
        "SELECT replaced_at FROM keywright.certificate_version ORDER BY version_number"
    ).fetchall()
    assert rows == [(NOON,), (NOON + DAY,), (None,)]


def test_renewing_with_a_certificate_that_is_there_is_refused(connection: Connection) -> None:
    acme = inventory(connection)
    acme.keep("web")
    acme.renew("web", number=2)
    with pytest.raises(ConflictError, match="“web”"):
        acme.renew("web", number=2)
    acme.keep("mail", number=7)
    with pytest.raises(NotFoundError, match="“none”"):
        acme.renew("none")


def test_what_a_scan_is_just_planning_of_a_replaced_version_is_cancelled_too(
    connection: Connection, conninfo: str
) -> None:
    acme = inventory(connection)
    old = acme.keep("web", days_left=30)
    with uncommitted(conninfo) as scanning:
        acme.connection = scanning
        acme.plan()

        def renew(other: Connection) -> None:
            acme.connection = other
            acme.renew("web")

        with meanwhile(conninfo, connection, renew) as renewal:
            scanning.commit()
            renewal.result()
    acme.connection = connection
    assert acme.notices(old) == [(30, "cancelled", "replaced"), (60, "superseded", None)]
    assert not acme.warns(old)


def test_two_renewals_at_once_number_their_versions_one_after_the_other(
    connection: Connection, conninfo: str
) -> None:
    acme = inventory(connection)
    acme.keep("web")

    def renew(with_connection: Connection, number: int) -> int:
        return add_version(
            with_connection,
            organization_id=acme.organization_id,
            unique_name="web",
            found=make_found("web", number=number),
            now=NOON,
        ).version_number

    with uncommitted(conninfo) as first:
        assert renew(first, 2) == 2
        with meanwhile(conninfo, connection, lambda other: renew(other, 3)) as second:
            first.commit()
            assert second.result() == 3
