"""Organizations and members in the database: what is added, found, refused."""

from zoneinfo import available_timezones

import psycopg
import pytest

from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError
from workers.organizations.members import NewMember, check_time_zone
from workers.organizations.store import (
    Organization,
    add_members,
    add_organization,
    list_members,
    list_organizations,
    organization_id,
)


def add(connection: Connection, name: str = "Acme", *, time_zone: str = "Europe/Berlin") -> int:
    """Add an organization."""
    return add_organization(
        connection, name=name, time_zone=time_zone, sending_hour=9, is_sandbox=True
    )


def member(name: str, *, active: bool = True) -> NewMember:
    """Return a member with an address made from the name."""
    return NewMember(name=name, email=f"{name.lower()}@example.org", active=active)


def members_of(connection: Connection, organization: str) -> list[str]:
    """Return the names of an organization's members."""
    return [found.name for found in list_members(connection, organization)]


def test_an_organization_is_listed_as_it_was_added(connection: Connection) -> None:
    number = add(connection)
    add_members(
        connection,
        organization_id=number,
        members=[member("Alice"), member("Bob"), member("Carol", active=False)],
    )
    assert list_organizations(connection) == [
        Organization(
            organization_id=number,
            name="Acme",
            is_sandbox=True,
            time_zone="Europe/Berlin",
            sending_hour=9,
            most_open_jobs=10_000,
            members=2,
            certificates=0,
        )
    ]


def test_certificates_are_counted_until_they_are_deleted(connection: Connection) -> None:
    number = add(connection)
    connection.execute(
        "INSERT INTO keywright.certificate (organization_id, unique_name, label, kind, deleted_at)"
        " SELECT %s, 'c' || n, 'l', 'imported', CASE WHEN n > 2 THEN now() END"
        " FROM generate_series(1, 5) AS n",
        [number],
    )
    assert [found.certificates for found in list_organizations(connection)] == [2]


def test_organizations_are_listed_by_name_whatever_its_case(connection: Connection) -> None:
    for name in ("beta", "Alpha", "Gamma"):
        add(connection, name)
    assert [found.name for found in list_organizations(connection)] == ["Alpha", "beta", "Gamma"]


@pytest.mark.parametrize("again", ["Acme", "ACME", "acme"])
def test_a_name_is_taken_once_whatever_its_case(connection: Connection, again: str) -> None:
    add(connection)
    with pytest.raises(ConflictError, match=f"There is an organization named “{again}” already"):
        add(connection, again)
    assert len(list_organizations(connection)) == 1


@pytest.mark.parametrize("name", ["", " Acme", "Acme ", "x" * 81, "a\x00b"])
def test_a_name_that_is_none_is_refused(connection: Connection, name: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^name: 1 to 80 characters"):
        add(connection, name)
    assert list_organizations(connection) == []


def test_a_refusal_leaves_the_callers_transaction_usable(connection: Connection) -> None:
    with connection.transaction():
        number = add(connection)
        with pytest.raises(ConflictError):
            add(connection)
        add_members(connection, organization_id=number, members=[member("Alice")])
        with pytest.raises(ConflictError):
            add_members(connection, organization_id=number, members=[member("Alice")])
    assert members_of(connection, "Acme") == ["Alice"]


def test_an_organization_is_found_by_its_name_whatever_its_case(connection: Connection) -> None:
    number = add(connection, "Acme")
    add(connection, "Other")
    assert organization_id(connection, "aCME") == number
    with pytest.raises(NotFoundError, match="There is no organization named “Acm”"):
        organization_id(connection, "Acm")


def test_every_time_zone_that_is_accepted_is_known_to_the_database(
    connection: Connection,
) -> None:
    # One that only Python knows would stop the scan for everybody.
    known = {found[0] for found in connection.execute("SELECT name FROM pg_timezone_names")}
    accepted = set()
    for name in available_timezones():
        try:
            accepted.add(check_time_zone(name))
        except ValueError:
            continue
    assert len(accepted) > 400
    assert accepted - known == set()


def test_a_time_zone_that_the_database_does_not_know_is_refused(connection: Connection) -> None:
    with pytest.raises(InvalidRequestError, match=r"^time_zone: "):
        add(connection, time_zone="Mars/Olympus")
    assert list_organizations(connection) == []


def test_members_are_added_in_order_with_all_they_are(connection: Connection) -> None:
    number = add(connection)
    everything = NewMember(
        name="Zoe",
        email="zoe@example.org",
        profile="system_administrator",
        permissions=("receive_expiration_notices", "modify_all_data"),
        active=False,
        time_zone="Asia/Tokyo",
    )
    member_ids = add_members(
        connection, organization_id=number, members=[everything, member("Alice")]
    )
    assert member_ids == sorted(member_ids)
    alice, zoe = list_members(connection)
    assert [zoe.member_id, alice.member_id] == member_ids
    assert (zoe.name, zoe.email, zoe.organization) == ("Zoe", "zoe@example.org", "Acme")
    assert (zoe.profile, zoe.active, zoe.time_zone) == ("system_administrator", False, "Asia/Tokyo")
    assert zoe.permissions == ["receive_expiration_notices", "modify_all_data"]
    assert (alice.profile, alice.permissions, alice.time_zone) == ("standard", [], None)


def test_nobody_may_be_added(connection: Connection) -> None:
    assert add_members(connection, organization_id=add(connection), members=[]) == []


@pytest.mark.parametrize("address", ["bob@example.org", "BOB@example.org"])
def test_an_address_is_taken_once_in_an_organization_and_is_not_repeated(
    connection: Connection, address: str
) -> None:
    number = add(connection)
    add_members(connection, organization_id=number, members=[member("Bob")])
    again = [member("Alice"), NewMember(name="Robert", email=address)]
    with pytest.raises(ConflictError, match="nobody was added") as refused:
        add_members(connection, organization_id=number, members=again)
    assert "example.org" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert members_of(connection, "Acme") == ["Bob"]


def test_an_address_that_stands_twice_in_the_input_adds_nobody(connection: Connection) -> None:
    number = add(connection)
    with pytest.raises(ConflictError, match="stands twice in the input"):
        add_members(connection, organization_id=number, members=[member("Bob"), member("Bob")])
    assert members_of(connection, "Acme") == []


def test_a_person_may_be_in_two_organizations(connection: Connection) -> None:
    for name in ("Acme", "Other"):
        add_members(connection, organization_id=add(connection, name), members=[member("Bob")])
    assert [(found.organization, found.name) for found in list_members(connection)] == [
        ("Acme", "Bob"),
        ("Other", "Bob"),
    ]
    assert members_of(connection, "OTHER") == ["Bob"]
    assert members_of(connection, "Nobody") == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("email", "nobody"),
        ("email", "a@b@c"),
        ("email", "<a@b>"),
        ("name", ""),
        ("permissions", ["fly"]),
    ],
)
def test_the_database_itself_keeps_the_rules(
    connection: Connection, column: str, value: object
) -> None:
    add_members(connection, organization_id=add(connection), members=[member("Bob")])
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"UPDATE keywright.member SET {column} = %s", [value])
