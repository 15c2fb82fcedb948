"""Places move on, back, come and go while a certificate is replaced."""

import pytest

from tests.integration.certificates.inventory import meanwhile, uncommitted
from tests.integration.certificates.replacement.stage import Stage
from tests.integration.notifications.household import DAY, NOON
from workers.certificates.replacement.plan import Place
from workers.certificates.usages import move_usage, remove_usage
from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError


def by_hand(acme: Stage, place: str, name: str) -> None:
    move_usage(
        acme.connection,
        organization_id=acme.organization_id,
        place_kind="api_client",
        place=place,
        unique_name=name,
    )


def test_a_place_accepts_both_then_uses_the_new_one_then_gives_up_the_old(
    connection: Connection,
) -> None:
    acme = Stage.of(connection, "Billing")
    acme.start()
    acme.step("overlapping")
    assert (acme.steps(), acme.used()) == ({"Billing": "overlapping"}, {"Billing": "old"})
    acme.step("switched")
    assert (acme.steps(), acme.used()) == ({"Billing": "switched"}, {"Billing": "new"})
    assert acme.step("retired").state == "completed"
    assert acme.steps() == {"Billing": "retired"}
    told = [(kind, data.get("from"), data.get("to")) for kind, data in acme.announced()]
    assert told == [
        ("certificate.replacement_started", None, None),
        ("certificate.replacement_moved", "waiting", "overlapping"),
        ("certificate.switched", "overlapping", "switched"),
        ("certificate.replacement_moved", "switched", "retired"),
        ("certificate.replaced", None, None),
    ]


def test_replaced_is_not_deployed_the_old_one_warns_until_the_last_place_has_switched(
    connection: Connection,
) -> None:
    acme = Stage.of(connection, "Billing", "Shop")
    acme.plan(NOON + 30 * DAY)
    acme.start()
    acme.switch("Billing")
    assert acme.warns(1)
    acme.switch("Shop")
    assert not acme.warns(1)
    assert acme.notices(1) == [(60, "cancelled", "replaced")]
    assert acme.warns(2)


def test_a_place_too_far_behind_is_named_and_nothing_changes(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing", "Shop")
    acme.start()
    acme.step("overlapping", "Billing")
    with pytest.raises(ConflictError, match="api_client: Shop is waiting"):
        acme.step("switched", "Billing", "Shop")
    assert acme.steps() == {"Billing": "overlapping", "Shop": "waiting"}
    moved = acme.step("switched")  # of all, those that can
    assert (moved.moved, moved.too_early) == (
        (Place("api_client", "Billing"),),
        (Place("api_client", "Shop"),),
    )


def test_a_step_taken_twice_changes_nothing_more(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing")
    acme.start()
    acme.step("overlapping")
    again = acme.step("overlapping", "Billing")
    assert (again.moved, again.there_already) == ((), (Place("api_client", "Billing"),))
    assert len(acme.announced("%moved")) == 1


def test_a_certificate_that_must_not_be_accepted_is_left_without_overlap(
    connection: Connection,
) -> None:
    acme = Stage.of(connection, "Billing")
    acme.start()
    assert acme.step("switched", without_overlap=True).moved
    assert acme.used() == {"Billing": "new"}


def test_a_place_goes_back_step_by_step_and_the_old_one_warns_again(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing", "Shop")
    acme.start()
    acme.switch()
    acme.step("retired", "Billing")
    assert not acme.warns(1)
    acme.back("Billing")
    assert (acme.steps()["Billing"], acme.used()["Billing"]) == ("switched", "new")
    acme.back("Billing")
    assert (acme.steps()["Billing"], acme.used()["Billing"]) == ("overlapping", "old")
    assert acme.warns(1)
    acme.back("Billing")
    acme.back("Billing")  # it waits: there is no step before
    assert acme.steps() == {"Billing": "waiting", "Shop": "switched"}


def test_rolling_back_gives_every_place_the_old_one(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing", "Shop")
    acme.start()
    acme.step("overlapping")
    acme.step("switched", "Shop")
    assert acme.back().state == "rolled_back"
    assert acme.used() == {"Billing": "old", "Shop": "old"}
    assert acme.steps() == {"Billing": "waiting", "Shop": "waiting"}
    # It counts as replaced no more: it would warn even if no place had it.
    row = connection.execute(
        "SELECT replaced_at FROM keywright.certificate_version WHERE version_id = 1"
    ).fetchone()
    assert row == (None,)
    assert acme.back().state == "rolled_back"
    assert acme.start().created


def test_a_place_that_somebody_gave_the_old_one_after_all_waits_again(
    connection: Connection,
) -> None:
    acme = Stage.of(connection, "Billing", "Shop")
    acme.start()
    acme.switch("Billing")
    acme.step("retired", "Billing")
    connection.execute("UPDATE keywright.usage SET version_id = 1 WHERE place = 'Billing'")
    assert acme.used()["Billing"] == "old"
    assert acme.steps() == {"Billing": "waiting", "Shop": "waiting"}


def test_what_is_used_nowhere_warns_again_once_its_successor_is_none(
    connection: Connection,
) -> None:
    acme = Stage.of(connection)
    acme.start()
    assert not acme.warns(1)
    assert acme.back().state == "rolled_back"
    assert acme.warns(1)


def test_a_place_that_gave_up_the_old_one_must_accept_it_first(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing", "Shop")
    acme.start()
    acme.switch()
    acme.step("retired", "Billing")
    with pytest.raises(ConflictError, match="rolling it back alone:\n- api_client: Billing"):
        acme.back()
    assert acme.used() == {"Billing": "new", "Shop": "new"}
    acme.back("Billing")
    acme.back()
    assert acme.used() == {"Billing": "old", "Shop": "old"}


def test_nothing_goes_back_to_a_certificate_that_has_ended(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing")
    acme.start()
    acme.switch()
    with pytest.raises(ConflictError, match="ended on 2026-08-30"):
        acme.back(now=NOON + 91 * DAY)
    assert acme.used() == {"Billing": "new"}


def test_nothing_switches_to_a_certificate_that_is_not_valid_yet(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing")
    assert acme.start(now=NOON - 2 * DAY).remarks[0].startswith("Places can switch from")
    acme.step("overlapping", now=NOON - 2 * DAY)
    with pytest.raises(ConflictError, match="is not valid before"):
        acme.step("switched", now=NOON - 2 * DAY)
    assert acme.step("switched").moved


def test_one_is_not_finished_before_the_last_place_has_switched(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing", "Shop")
    acme.start()
    acme.switch("Billing")
    with pytest.raises(ConflictError, match="api_client: Shop is waiting"):
        acme.finish()
    acme.switch("Shop")
    assert acme.finish().state == "completed"
    assert set(acme.steps().values()) == {"retired"}
    assert acme.finish().state == "completed"
    with pytest.raises(ConflictError, match="is completed"):
        acme.back()
    with pytest.raises(ConflictError, match="is completed"):
        acme.step("overlapping")


def test_a_usage_that_appears_takes_part_and_one_that_leaves_does_not(
    connection: Connection,
) -> None:
    acme = Stage.of(connection, "Billing", "Shop")
    acme.start()
    acme.use("old", "Late")
    remove_usage(
        connection, organization_id=acme.organization_id, place_kind="api_client", place="Shop"
    )
    assert acme.steps() == {"Billing": "waiting", "Late": "waiting", "Shop": "left"}
    with pytest.raises(NotFoundError, match="api_client: Shop"):
        acme.step("overlapping", "Shop")
    acme.switch()
    assert acme.step("retired").state == "completed"
    assert acme.steps() == {"Billing": "retired", "Late": "retired"}


def test_a_usage_moved_by_hand_counts_for_what_it_is(connection: Connection) -> None:
    acme = Stage.of(connection, "Billing", "Shop", "Other")
    acme.keep_successor("third", number=9)
    acme.start()
    by_hand(acme, "Billing", "new")
    by_hand(acme, "Other", "third")
    assert acme.steps() == {"Billing": "switched", "Other": "left", "Shop": "waiting"}
    acme.switch("Shop")
    by_hand(acme, "Shop", "old")
    assert acme.steps()["Shop"] == "overlapping"
    acme.back()
    assert acme.used() == {"Billing": "old", "Shop": "old", "Other": "third"}


def test_of_two_who_switch_at_once_the_second_finds_it_done(
    connection: Connection, conninfo: str
) -> None:
    acme = Stage.of(connection, "Billing")
    acme.start()
    acme.step("overlapping")

    def other(session: Connection) -> Stage:
        return Stage(session, acme.household, acme.replacement_id)

    with uncommitted(conninfo) as first:
        other(first).step("switched")
        with meanwhile(conninfo, connection, lambda it: other(it).step("switched")) as second:
            first.commit()
            assert second.result().there_already == (Place("api_client", "Billing"),)  # type: ignore[attr-defined]
    assert len(acme.announced("certificate.switched")) == 1


def test_a_usage_that_is_moved_away_meanwhile_is_not_dragged_back(
    connection: Connection, conninfo: str
) -> None:
    acme = Stage.of(connection, "Billing", "Shop")
    acme.keep_successor("third", number=9)
    acme.start()
    acme.step("overlapping")
    with uncommitted(conninfo) as first:
        by_hand(Stage(first, acme.household), "Billing", "third")
        with meanwhile(
            conninfo,
            connection,
            lambda it: Stage(it, acme.household, acme.replacement_id).step("switched"),
        ) as second:
            first.commit()
            second.result()
    assert acme.used() == {"Billing": "third", "Shop": "new"}


def test_a_replacement_of_another_organization_is_out_of_reach(connection: Connection) -> None:
    acme, globex = Stage.of(connection, "Billing"), Stage.of(connection, "Web", name="Globex")
    acme.start()
    globex.replacement_id = acme.replacement_id
    with pytest.raises(NotFoundError, match="no replacement 1"):
        globex.step("overlapping")
    with pytest.raises(NotFoundError, match="no replacement 1"):
        globex.shown()
