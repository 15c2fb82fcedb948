"""Certificates as people see them: lists by expiry, page by page, and one with everything."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.certificates.inventory import Inventory, inventory
from tests.integration.notifications.household import DAY, NOON
from workers.certificates.deletion import delete_certificate
from workers.certificates.listing import PageEnd, list_certificates
from workers.certificates.showing import show_certificate
from workers.database.pool import Connection
from workers.errors import InvalidRequestError, NotFoundError


def listed(
    acme: Inventory, *, expiring_within_days: int | None = None, expired: bool = False
) -> list[str]:
    rows = list_certificates(
        acme.connection,
        organization_id=acme.organization_id,
        now=NOON,
        expiring_within_days=expiring_within_days,
        expired=expired,
    )
    return [row.unique_name for row in rows]


@pytest.fixture
def acme(connection: Connection) -> Inventory:
    """An organization with certificates of every age."""
    acme = inventory(connection)
    for number, (name, days_left) in enumerate(
        [("late", 300), ("over", -5), ("soon", 9), ("today", 0), ("next", 40)], start=1
    ):
        acme.keep(name, days_left=days_left, number=number)
    pending = acme.keep("pending", number=6)
    acme.connection.execute(
        "UPDATE keywright.certificate_version SET not_before = NULL, not_after = NULL,"
        " next_notice_at = NULL WHERE version_id = %s",
        [pending],
    )
    acme.keep("gone", number=7)
    delete_certificate(
        connection, organization_id=acme.organization_id, unique_name="gone", now=NOON
    )
    inventory(connection, "Globex").keep("other")
    return acme


def test_what_ends_first_comes_first_and_what_is_not_signed_last(acme: Inventory) -> None:
    assert listed(acme) == ["over", "today", "soon", "next", "late", "pending"]


def test_a_list_may_keep_to_what_ends_soon_or_has_ended(acme: Inventory) -> None:
    assert listed(acme, expiring_within_days=40) == ["today", "soon", "next"]
    assert listed(acme, expiring_within_days=0) == ["today"]
    assert listed(acme, expired=True) == ["over"]
    assert listed(acme, expiring_within_days=9, expired=True) == ["over", "today", "soon"]


def test_every_page_goes_on_where_the_last_one_ended(acme: Inventory) -> None:
    acme.keep("soon too", days_left=9, number=8)
    names, after = [], None
    for _ in range(4):
        page = list_certificates(
            acme.connection, organization_id=acme.organization_id, now=NOON, after=after, limit=2
        )
        names += [row.unique_name for row in page]
        if page:
            after = PageEnd.parse(str(page[-1].page_end))
    assert names == ["over", "today", "soon", "soon_too", "next", "late", "pending"]


def test_a_status_says_how_a_certificate_stands(acme: Inventory) -> None:
    acme.renew("over")
    acme.connection.execute("SET TimeZone TO 'Asia/Tokyo'")
    rows = list_certificates(
        acme.connection, organization_id=acme.organization_id, now=NOON - 2 * DAY
    )
    assert {row.unique_name: row.status for row in rows} == {
        "over": "not_yet_valid",
        "today": "valid",
        "soon": "valid",
        "next": "valid",
        "late": "valid",
        "pending": "unusable",
    }
    [row] = [row for row in rows if row.unique_name == "over"]
    assert (row.version_number, row.not_after) == (2, NOON + 365 * DAY)


def test_a_list_tells_how_many_places_lag_behind(acme: Inventory) -> None:
    acme.use("soon", "Billing")
    acme.renew("soon", number=20)
    acme.use("soon", "Shop")
    rows = list_certificates(acme.connection, organization_id=acme.organization_id, now=NOON)
    assert {row.unique_name: (row.usages, row.outdated_usages) for row in rows if row.usages} == {
        "soon": (2, 1)
    }


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_page_has_its_limits(acme: Inventory, limit: int) -> None:
    with pytest.raises(InvalidRequestError, match="limit"):
        list_certificates(
            acme.connection, organization_id=acme.organization_id, now=NOON, limit=limit
        )
    with pytest.raises(InvalidRequestError, match="expiring_within_days"):
        listed(acme, expiring_within_days=-1)


@pytest.mark.parametrize("end", [datetime(2027, 1, 1, tzinfo=UTC), None])
def test_the_end_of_a_page_is_one_word(end: datetime | None) -> None:
    assert PageEnd.parse(str(PageEnd(end, 17))) == PageEnd(end, 17)


@pytest.mark.parametrize(
    "word",
    ["", "17", "unsigned/", "unsigned/x", "2027-01-01/1", "2027-13-01T00:00:00+00:00/1", "/1" * 20],
)
def test_a_page_end_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(InvalidRequestError, match="after"):
        PageEnd.parse(word)


def test_everything_about_a_certificate_is_shown(acme: Inventory) -> None:
    acme.use("next", "Billing")
    acme.plan()
    acme.renew("next", number=20)
    shown = show_certificate(
        acme.connection, organization_id=acme.organization_id, unique_name="NEXT"
    )
    assert (shown.unique_name, shown.label, shown.kind) == ("next", "next", "imported")
    assert [(each.version_number, each.replaced_at) for each in shown.versions] == [
        (2, None),
        (1, NOON),
    ]
    assert [(each.place, each.version_number) for each in shown.usages] == [("Billing", 1)]
    assert [(each.tier_days, each.outcome) for each in shown.tiers if each.version_number == 1] == [
        (60, "told"),
        (30, None),
        (10, None),
        (1, None),
        (0, None),
    ]
    assert [(each.tier_days, each.member, each.state) for each in shown.notices] == [
        (60, "Holly", "planned")
    ]


def test_what_is_not_there_cannot_be_shown(acme: Inventory) -> None:
    for name in ("gone", "other", "none"):
        with pytest.raises(NotFoundError, match=name):
            show_certificate(
                acme.connection, organization_id=acme.organization_id, unique_name=name
            )


def narrowed(acme: Inventory, **options: Any) -> list[str]:
    rows = list_certificates(
        acme.connection, organization_id=acme.organization_id, now=NOON, **options
    )
    return [row.unique_name for row in rows]


def test_rule_62_a_list_may_keep_to_what_ended_lately(acme: Inventory) -> None:
    acme.keep("long_over", days_left=-300, number=9)
    assert narrowed(acme, expired=True) == ["long_over", "over"]
    assert narrowed(acme, expired_since=NOON - 6 * DAY) == ["over"]
    assert narrowed(acme, expired_since=NOON - 6 * DAY, expiring_within_days=9) == [
        "over",
        "today",
        "soon",
    ]
    assert narrowed(acme, expired_since=NOON - 4 * DAY) == []


def test_a_list_may_keep_to_what_is_used_or_is_not(acme: Inventory) -> None:
    acme.use("soon", "Billing")
    acme.renew("soon", number=20)
    acme.use("over", "Shop")
    assert narrowed(acme, used=True) == ["over", "soon"]
    assert narrowed(acme, used=False) == ["today", "next", "late", "pending"]
    assert narrowed(acme, used=True, expired=True) == ["over"]


def test_a_list_may_keep_to_a_kind(acme: Inventory) -> None:
    assert narrowed(acme, kind="imported", expired=True) == ["over"]
    assert narrowed(acme, kind="self_signed") == []
    with pytest.raises(InvalidRequestError, match="kind: self_signed, ca_signed, imported"):
        narrowed(acme, kind="own")


def test_a_list_may_keep_to_what_is_being_replaced(acme: Inventory) -> None:
    acme.connection.execute(
        "INSERT INTO keywright.replacement (organization_id, old_version_id, new_version_id,"
        " requested_by, reason, overlap_by, switch_by, retire_by)"
        " SELECT %s, old.version_id, new.version_id, 'test', 'a test', %s, %s, %s"
        "   FROM keywright.certificate_version AS old, keywright.certificate_version AS new"
        "  WHERE old.subject = 'CN=over' AND new.subject = 'CN=late'",
        [acme.organization_id, NOON, NOON, NOON],
    )
    assert narrowed(acme, being_replaced=True) == ["over", "late"]
    assert narrowed(acme, being_replaced=False) == ["today", "soon", "next", "pending"]
