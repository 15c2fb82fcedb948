"""Starting replacements: what takes the place of what, by when, and what forbids it."""

import pytest

from tests.integration.certificates.inventory import meanwhile, uncommitted
from tests.integration.certificates.replacement.stage import Stage
from tests.integration.notifications.household import DAY, NOON
from workers.certificates.deletion import ReplacementUnderWayError, delete_certificate
from workers.certificates.replacement.plan import VersionRef
from workers.certificates.replacement.store import start_replacement
from workers.certificates.usages import remove_usage
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError


def test_every_place_of_the_old_one_waits_and_it_warns_on(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing", "Shop")
    started = acme.start()
    assert (started.places, started.created, started.remarks) == (2, True, ())
    assert acme.steps() == {"Billing": "waiting", "Shop": "waiting"}
    assert acme.warns(1)
    row, steps = acme.shown()
    assert (row.old_name, row.new_name, row.state, row.requested_by) == (
        *("old", "new", "staged", "test:ada"),
    )
    assert row.next_due_at == steps[0].overlap_by
    assert NOON < steps[0].overlap_by < steps[0].switch_by < steps[0].retire_by < NOON + 90 * DAY
    [(kind, data)] = acme.announced()
    assert kind == "certificate.replacement_started"
    assert data["places"] == 2


def test_asked_for_again_the_same_replacement_is_found(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing")
    first = acme.start()
    again = acme.start()
    assert (again.replacement_id, again.created) == (first.replacement_id, False)
    assert len(acme.announced()) == 1


def test_other_rooms_start_one_by_version(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing")
    acme.renew("old")
    replacement_id = start_replacement(
        connection,
        organization_id=acme.organization_id,
        old=VersionRef(unique_name="old", version_number=1),
        new=VersionRef(unique_name="old", version_number=2),
        switch_by=NOON + 30 * DAY,
        requested_by="review",
        reason="policy",
        now=NOON,
    )
    acme.replacement_id = replacement_id
    row, steps = acme.shown()
    assert (row.old_version, row.new_version) == (1, 2)
    assert steps[0].switch_by == NOON + 30 * DAY


def test_without_numbers_the_version_in_use_gives_way_to_the_newest(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing")
    acme.renew("old", number=2)
    acme.renew("old", number=3)
    started = acme.start("old", "OLD")
    assert (started.old.version_number, started.new.version_number) == (1, 3)


def test_of_several_versions_in_use_one_has_to_be_named(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing")
    acme.renew("old")
    acme.use("old", "Shop")
    acme.keep_successor("newer", number=9, days=700)
    with pytest.raises(InvalidRequestError, match=r"2 \(1 places\), 1 \(1 places\)"):
        acme.start("old", "newer")
    assert acme.start(VersionRef(unique_name="old", version_number=2), "newer").places == 1


def test_what_is_used_nowhere_falls_silent_with_its_successor(connection: Connection) -> None:
    acme = Stage.of(connection)
    assert acme.warns(1)
    acme.start()
    assert not acme.warns(1)
    assert acme.finish().state == "completed"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("old", "old", "no other signed version"),
        ("new", "old", "it ends earlier"),
        ("none", "new", "“none”"),
        ("old", "none", "“none”"),
    ],
)
def test_a_successor_that_is_none_is_refused(
    connection: Connection, old: str, new: str, says: str
) -> None:
    acme = Stage.of(connection, "Billing")
    with pytest.raises((ConflictError, NotFoundError), match=says):
        acme.start(old, new)
    assert acme.announced() == []
    assert acme.warns(1)


def test_rule_13_an_unsigned_version_cannot_take_over(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing")
    connection.execute(
        "UPDATE keywright.certificate_version SET not_before = NULL, not_after = NULL,"
        " next_notice_at = NULL WHERE version_id = 2"
    )
    with pytest.raises(NotFoundError, match="no signed version"):
        acme.start()
    with pytest.raises(ConflictError, match="not signed yet; upload"):
        acme.start(new=VersionRef(unique_name="new", version_number=1))


def test_replacements_do_not_get_into_each_others_way(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing")
    acme.keep_successor("newer", number=9, days=700)
    acme.start()
    with pytest.raises(ConflictError, match="is being replaced in replacement 1"):
        acme.start("old", "newer")
    with pytest.raises(ConflictError, match="has a part in replacement 1"):
        acme.start("new", "newer")
    acme.keep("other", number=5)
    assert acme.start("other", "new").created  # several may have the same successor


def test_rule_60_neither_certificate_is_deleted_meanwhile(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing")
    acme.start()
    acme.switch()
    for name in ("old", "new"):
        with pytest.raises(ConflictError):
            delete_certificate(
                connection, organization_id=acme.organization_id, unique_name=name, now=NOON
            )
    with pytest.raises(ReplacementUnderWayError):
        delete_certificate(
            connection, organization_id=acme.organization_id, unique_name="old", now=NOON
        )
    acme.finish()
    assert delete_certificate(
        connection, organization_id=acme.organization_id, unique_name="old", now=NOON
    )


def test_two_that_start_different_ones_at_once_do_not_both(
    connection: Connection, conninfo: str
) -> None:
    acme = Stage.of(connection, "Billing")
    acme.keep_successor("newer", number=9, days=700)
    with uncommitted(conninfo) as first:
        Stage(first, acme.household).start()
        with meanwhile(
            conninfo,
            connection,
            lambda other: Stage(other, acme.household).start("old", "newer"),
        ) as second:
            first.commit()
            with pytest.raises(ConflictError, match="is being replaced"):
                second.result()


def test_a_usage_that_goes_while_one_starts_has_no_part(
    connection: Connection, conninfo: str
) -> None:
    acme = Stage.of(connection, "Billing", "Shop")
    with uncommitted(conninfo) as first:
        remove_usage(
            first, organization_id=acme.organization_id, place_kind="api_client", place="Shop"
        )
        with meanwhile(
            conninfo, connection, lambda other: Stage(other, acme.household).start()
        ) as second:
            first.commit()
            second.result()
    acme.replacement_id = 1
    assert acme.steps() == {"Billing": "waiting"}
