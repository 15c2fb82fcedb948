"""What is due by the database's clock, by wear and by date; and asking for it once."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.keys.keyholder import Keyholder, keyholder
from workers.contract import DestroyMasterKey, RotateMasterKey
from workers.database.pool import Connection, database_clock
from workers.errors import InvalidRequestError, NotFoundError
from workers.jobs.due import DueJob, enqueue_due
from workers.keys.policy import (
    destructions_due,
    list_rotation_policies,
    remove_rotation_policy,
    rotations_due_by_policy,
    rotations_due_by_wear,
    set_rotation_policy,
)
from workers.keys.root_keys import RootKeys
from workers.keys.states import State
from workers.keys.usage import ROTATE, WORN_OUT


def set_policy(holder: Keyholder, every_days: int, *, reencrypt: bool = True) -> None:
    """Set an organization's policy."""
    set_rotation_policy(
        holder.connection,
        organization_id=holder.organization_id,
        every_days=every_days,
        reencrypt=reencrypt,
    )


def make_active_for(holder: Keyholder, number: int, age: timedelta) -> None:
    """Make it seem as if a key had been active for a while."""
    holder.set(number, "state_since", database_clock(holder.connection) - age)


def due_numbers(due: list[DueJob]) -> list[int]:
    """Return the keys that are to give way."""
    requests = [each.request for each in due if isinstance(each.request, RotateMasterKey)]
    assert len(requests) == len(due)
    return [request.expected_number for request in requests]


def test_a_policy_is_listed_as_it_was_set_last(acme: Keyholder) -> None:
    set_policy(acme, 90)
    set_policy(acme, 30, reencrypt=False)
    [policy] = list_rotation_policies(acme.connection)
    assert (policy.organization, policy.every_days, policy.reencrypt) == ("Acme", 30, False)
    assert (policy.active_number, policy.due_at) == (None, None)
    acme.rotate(None)
    acme.rotate(1)
    acme.set(2, "state_since", datetime(2026, 6, 1, 12, 0, tzinfo=UTC))
    acme.prepare(2)
    [policy] = list_rotation_policies(acme.connection, organization_id=acme.organization_id)
    assert policy.active_number == 2
    assert policy.due_at == datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def test_policies_are_listed_by_organization(acme: Keyholder, root_keys: RootKeys) -> None:
    others = [keyholder(acme.connection, root_keys, name) for name in ("zebra", "Bolt")]
    for holder in (acme, *others):
        set_policy(holder, 365)
    listed = [policy.organization for policy in list_rotation_policies(acme.connection)]
    assert listed == ["Acme", "Bolt", "zebra"]
    ours = list_rotation_policies(acme.connection, organization_id=others[0].organization_id)
    assert [policy.organization for policy in ours] == ["zebra"]


@pytest.mark.parametrize("every_days", [0, -1, 3651, 2**31, 2**70])
def test_a_period_that_is_none_is_refused(acme: Keyholder, every_days: int) -> None:
    with pytest.raises(InvalidRequestError, match=r"^every_days: 1 to 3650 days"):
        set_policy(acme, every_days)
    assert list_rotation_policies(acme.connection) == []


def test_an_organization_that_is_none_has_no_policy(acme: Keyholder) -> None:
    acme.organization_id = 999_999
    with pytest.raises(NotFoundError, match="There is no organization 999999"):
        set_policy(acme, 30)
    with pytest.raises(NotFoundError, match="has no rotation policy"):
        remove_rotation_policy(acme.connection, organization_id=999_999)


def test_without_a_policy_age_does_not_matter(acme: Keyholder) -> None:
    set_policy(acme, 30)
    remove_rotation_policy(acme.connection, organization_id=acme.organization_id)
    acme.rotate(None)
    make_active_for(acme, 1, timedelta(days=5000))
    assert rotations_due_by_policy(acme.connection) == []
    assert list_rotation_policies(acme.connection) == []


@pytest.mark.parametrize(
    ("age", "due"),
    [
        (timedelta(0), []),
        (timedelta(days=30) - timedelta(minutes=1), []),
        (timedelta(days=30), [1]),
        (timedelta(days=300), [1]),
    ],
)
def test_a_key_is_due_once_it_is_as_old_as_the_policy_says(
    acme: Keyholder, age: timedelta, due: list[int]
) -> None:
    set_policy(acme, 30)
    acme.rotate(None)
    make_active_for(acme, 1, age)
    assert due_numbers(rotations_due_by_policy(acme.connection)) == due
    [policy] = list_rotation_policies(acme.connection)
    assert policy.is_due(database_clock(acme.connection)) is bool(due)


def test_an_organization_without_a_key_has_none_that_is_due(acme: Keyholder) -> None:
    set_policy(acme, 1)
    assert rotations_due_by_policy(acme.connection) == []


def test_what_is_asked_for_names_the_key_the_policy_and_whether_data_follow(
    acme: Keyholder,
) -> None:
    set_policy(acme, 30, reencrypt=False)
    acme.rotate(None)
    acme.rotate(1)
    make_active_for(acme, 1, timedelta(days=90))
    make_active_for(acme, 2, timedelta(days=30))
    assert rotations_due_by_policy(acme.connection) == [
        DueJob(
            organization_id=acme.organization_id,
            unique_key="after-2",
            request=RotateMasterKey(
                expected_number=2, reencrypt=False, reason="policy: every 30 days"
            ),
        )
    ]


@pytest.mark.parametrize("reencrypt", [None, True, False])
def test_a_worn_key_is_due_with_or_without_a_policy(
    acme: Keyholder, reencrypt: bool | None
) -> None:
    if reencrypt is not None:
        set_policy(acme, 3650, reencrypt=reencrypt)
    acme.rotate(None)
    acme.set(1, "uses_leased", ROTATE - 1)
    assert rotations_due_by_wear(acme.connection) == []
    acme.set(1, "uses_leased", ROTATE)
    assert rotations_due_by_wear(acme.connection) == [
        DueJob(
            organization_id=acme.organization_id,
            unique_key="after-1",
            request=RotateMasterKey(expected_number=1, reencrypt=bool(reencrypt), reason=WORN_OUT),
        )
    ]
    acme.rotate(1)
    assert rotations_due_by_wear(acme.connection) == []


def test_a_destruction_is_due_from_its_date_on(acme: Keyholder) -> None:
    acme.bring_to(State.ARCHIVED)
    now = database_clock(acme.connection)
    acme.set(1, "destroy_at", now + timedelta(hours=1))
    acme.set(2, "destroy_at", now - timedelta(days=3))
    assert destructions_due(acme.connection) == [
        DueJob(
            organization_id=acme.organization_id,
            unique_key="key-2",
            request=DestroyMasterKey(key_number=2),
        )
    ]
    acme.move(2, State.DESTROYED)
    assert destructions_due(acme.connection) == []


def test_what_is_asked_for_twice_is_done_once(acme: Keyholder, root_keys: RootKeys) -> None:
    other = keyholder(acme.connection, root_keys, "Other")
    due = [
        DueJob(
            organization_id=organization_id,
            unique_key="after-1",
            request=RotateMasterKey(expected_number=1, reason=reason),
        )
        for organization_id in (acme.organization_id, other.organization_id)
        for reason in ("the first", "the second")
    ]
    assert enqueue_due(acme.connection, due) == 2
    assert enqueue_due(acme.connection, due) == 0
    assert enqueue_due(acme.connection, []) == 0
    assert jobs(acme.connection) == [
        ("encryption", acme.organization_id, "the first"),
        ("encryption", other.organization_id, "the first"),
    ]


def jobs(connection: Connection) -> list[tuple[object, ...]]:
    """Return queue, organization and reason of the rotations in the ledger."""
    return connection.execute(
        "SELECT queue::text, organization_id, arguments->>'reason' FROM keywright.job"
        " WHERE kind = 'master_key.rotate' AND max_attempts = 5 ORDER BY job_id"
    ).fetchall()
