"""What people see of replacements: where places stand, what is next, what is late."""

import pytest

from tests.integration.certificates.inventory import meanwhile, uncommitted
from tests.integration.certificates.replacement.stage import ADA, Stage
from tests.integration.notifications.household import DAY, NOON
from workers.certificates.replacement.plan import Deadlines, Place
from workers.certificates.replacements import announce_overdue, list_replacements, reschedule
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError

BY = Deadlines(overlap_by=NOON + DAY, switch_by=NOON + 2 * DAY, retire_by=NOON + 3 * DAY)


def late(acme: Stage, days: float) -> list[str]:
    _, steps = acme.shown(NOON + days * DAY)
    return [step.place for step in steps if step.is_overdue]


def test_places_are_counted_where_they_stand_and_the_most_urgent_comes_first(
    connection: Connection,
) -> None:
    acme = Stage.of(connection, "Billing", "Shop", "Mail")
    acme.keep("other", number=5, days_left=10)
    acme.start("other", "new")
    acme.start()
    acme.step("overlapping", "Billing", "Shop")
    acme.step("switched", "Shop")
    rows = list_replacements(connection, now=NOON, organization_id=acme.organization_id)
    assert [row.old_name for row in rows] == ["old", "other"]  # nobody has the other: nothing due
    row = rows[0]
    assert (row.waiting, row.overlapping, row.switched, row.retired, row.overdue) == (1, 1, 1, 0, 0)
    with pytest.raises(InvalidRequestError, match="limit"):
        list_replacements(connection, now=NOON, limit=0)


def test_each_step_has_its_own_deadline(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing")
    acme.start(overlap_by=BY.overlap_by, switch_by=BY.switch_by, retire_by=BY.retire_by)
    assert (late(acme, 0.9), late(acme, 1.1)) == ([], ["Billing"])
    acme.step("overlapping")
    assert (late(acme, 1.9), late(acme, 2.1)) == ([], ["Billing"])
    acme.step("switched")
    assert (late(acme, 2.9), late(acme, 3.1)) == ([], ["Billing"])
    acme.step("retired")
    assert late(acme, 30) == []


def test_a_place_can_have_deadlines_of_its_own(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing", "Shop")
    acme.start()
    shop = Place("api_client", "Shop")
    assert change(acme, shop) == 1
    acme.use("old", "Late")
    assert late(acme, 1.1) == ["Shop"]
    assert change(acme) == 3  # and the usual ones of those that come later
    acme.use("old", "Later")
    assert late(acme, 1.1) == ["Billing", "Late", "Later", "Shop"]
    with pytest.raises(NotFoundError, match="Nowhere has no part"):
        change(acme, Place("api_client", "Nowhere"))
    acme.back()
    with pytest.raises(ConflictError, match="is over"):
        change(acme)


def change(acme: Stage, *places: Place) -> int:
    return reschedule(
        acme.connection,
        organization_id=acme.organization_id,
        replacement_id=acme.replacement_id,
        places=places,
        by=BY,
        actor=ADA,
        now=NOON,
    )


def overdue(acme: Stage) -> list[tuple[str, str]]:
    told = acme.announced("certificate.replacement_overdue")
    return [(data["place"], data["state"]) for _, data in told]


def test_what_is_late_is_announced_once_for_each_step(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing", "Shop")
    acme.start(overlap_by=BY.overlap_by, switch_by=BY.switch_by, retire_by=BY.retire_by)
    acme.use("old", "Late")
    assert announce_overdue(connection, now=NOON) == 0
    assert announce_overdue(connection, now=NOON + 1.5 * DAY) == 3
    assert announce_overdue(connection, now=NOON + 1.6 * DAY) == 0
    acme.step("overlapping", "Shop")
    assert announce_overdue(connection, now=NOON + 1.7 * DAY) == 0
    assert announce_overdue(connection, now=NOON + 5 * DAY) == 1
    assert sorted(overdue(acme)) == [
        *(
            ("Billing", "waiting"),
            ("Late", "waiting"),
            ("Shop", "overlapping"),
            ("Shop", "waiting"),
        ),
    ]
    rows = list_replacements(connection, now=NOON + 5 * DAY, only_overdue=True)
    assert [row.overdue for row in rows] == [3]
    acme.back()
    assert list_replacements(connection, now=NOON + 5 * DAY, only_overdue=True) == []
    assert announce_overdue(connection, now=NOON + 9 * DAY) == 0


def test_two_reviews_at_once_announce_nothing_twice(connection: Connection, conninfo: str) -> None:
    acme = Stage.of(connection, "Billing")
    acme.start(overlap_by=BY.overlap_by, switch_by=BY.switch_by, retire_by=BY.retire_by)
    with uncommitted(conninfo) as first:
        assert announce_overdue(first, now=NOON + 1.5 * DAY) == 1
        with meanwhile(
            conninfo, connection, lambda other: announce_overdue(other, now=NOON + 1.6 * DAY)
        ) as second:
            first.commit()
            assert second.result() == 0
    assert overdue(acme) == [("Billing", "waiting")]
