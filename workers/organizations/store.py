"""Organizations and members in the database. SQL only."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError
from workers.organizations.members import NewMember

_NAME_RULE = "name: 1 to 80 characters on one line, without blanks at either end."


@dataclass(frozen=True, kw_only=True)
class Organization:
    """A tenant; ``members`` counts the active ones, ``certificates`` those not deleted.

    ``most_open_jobs`` is how many unfinished jobs other systems may have there at a time.
    """

    organization_id: int
    name: str
    is_sandbox: bool
    time_zone: str
    sending_hour: int
    most_open_jobs: int
    members: int
    certificates: int


@dataclass(frozen=True, kw_only=True)
class Member:
    """A person in an organization."""

    member_id: int
    organization: str
    name: str
    email: str
    profile: str
    permissions: list[str]
    active: bool
    time_zone: str | None


def add_organization(
    connection: Connection, *, name: str, time_zone: str, sending_hour: int, is_sandbox: bool
) -> int:
    """Insert an organization and return its id.

    Raises:
        InvalidRequestError: the name is no name, or the database does not know the time zone.
        ConflictError: the name is taken.
    """
    if not name.isprintable():
        raise InvalidRequestError(_NAME_RULE)
    try:
        with connection.transaction():
            row = connection.execute(
                """
                INSERT INTO keywright.organization (name, time_zone, sending_hour, is_sandbox)
                SELECT %(name)s, %(time_zone)s, %(sending_hour)s, %(is_sandbox)s
                 WHERE now() AT TIME ZONE %(time_zone)s IS NOT NULL
                RETURNING organization_id
                """,
                {
                    "name": name,
                    "time_zone": time_zone,
                    "sending_hour": sending_hour,
                    "is_sandbox": is_sandbox,
                },
            ).fetchone()
    except psycopg.errors.UniqueViolation:
        raise ConflictError(
            f"There is an organization named “{name}” already; choose another name."
        ) from None
    except psycopg.errors.InvalidParameterValue:
        raise InvalidRequestError(
            "time_zone: the database does not know it; one looks like Europe/Berlin."
        ) from None
    except psycopg.errors.CheckViolation:
        raise InvalidRequestError(_NAME_RULE) from None
    assert row is not None
    return int(row[0])


def organization_id(connection: Connection, name: str) -> int:
    """Return the id of the organization called ``name``, whatever its case.

    Raises:
        NotFoundError: there is none.
    """
    row = connection.execute(
        "SELECT organization_id FROM keywright.organization WHERE lower(name) = lower(%(name)s)",
        {"name": name},
    ).fetchone()
    if row is None:
        raise NotFoundError(
            f"There is no organization named “{name}”; `keywright organization list` shows them."
        )
    return int(row[0])


def exact_name(connection: Connection, name: str) -> str:
    """Return the name of the organization called ``name``, in the case that it has.

    Raises:
        NotFoundError: there is none.
    """
    owner = organization_id(connection, name)
    row = connection.execute(
        "SELECT name FROM keywright.organization WHERE organization_id = %(id)s", {"id": owner}
    ).fetchone()
    assert row is not None
    return str(row[0])


def limit_open_jobs(connection: Connection, *, organization_id: int, most: int) -> None:
    """Let other systems have so many unfinished jobs of an organization at a time, and no more."""
    connection.execute(
        """
        UPDATE keywright.organization SET most_open_jobs = %(most)s
         WHERE organization_id = %(organization_id)s
        """,
        {"organization_id": organization_id, "most": most},
    )


def list_organizations(connection: Connection) -> list[Organization]:
    """Return all organizations by name."""
    with connection.cursor(row_factory=class_row(Organization)) as cursor:
        return cursor.execute(
            """
            SELECT organization_id, name, is_sandbox, time_zone, sending_hour, most_open_jobs,
                   (SELECT count(*) FROM keywright.member
                     WHERE member.organization_id = organization.organization_id AND active
                   ) AS members,
                   (SELECT count(*) FROM keywright.certificate
                     WHERE certificate.organization_id = organization.organization_id
                       AND deleted_at IS NULL) AS certificates
              FROM keywright.organization
             ORDER BY lower(name)
            """
        ).fetchall()


def add_members(
    connection: Connection, *, organization_id: int, members: Sequence[NewMember]
) -> list[int]:
    """Insert members, all or none, and return their ids in the order given.

    Raises:
        ConflictError: an address is a member's already; the text says which line, not which one.
    """
    try:
        with connection.transaction():
            rows = connection.execute(
                """
                INSERT INTO keywright.member
                       (organization_id, name, email, profile, permissions, active, time_zone)
                SELECT %(organization_id)s, name, email, profile::keywright.member_profile,
                       string_to_array(permissions, ' '), active, time_zone
                  FROM unnest(%(names)s::text[], %(emails)s::text[], %(profiles)s::text[],
                              %(permissions)s::text[], %(active)s::boolean[],
                              %(time_zones)s::text[])
                       WITH ORDINALITY
                       AS new (name, email, profile, permissions, active, time_zone, position)
                 ORDER BY position
                RETURNING member_id
                """,
                {
                    "organization_id": organization_id,
                    "names": [member.name for member in members],
                    "emails": [member.email for member in members],
                    "profiles": [member.profile for member in members],
                    "permissions": [" ".join(member.permissions) for member in members],
                    "active": [member.active for member in members],
                    "time_zones": [member.time_zone for member in members],
                },
            ).fetchall()
    except psycopg.errors.UniqueViolation:
        raise ConflictError(
            "email: one of the addresses belongs to a member of this organization already, or"
            " stands twice in the input; nobody was added."
        ) from None
    return [int(row[0]) for row in rows]


def list_members(connection: Connection, organization: str | None = None) -> list[Member]:
    """Return the members of one organization, or of all, by organization and name."""
    with connection.cursor(row_factory=class_row(Member)) as cursor:
        return cursor.execute(
            """
            SELECT member_id, organization.name AS organization, member.name, email,
                   profile::text AS profile, permissions, active, member.time_zone
              FROM keywright.member
              JOIN keywright.organization USING (organization_id)
             WHERE %(organization)s::text IS NULL
                OR lower(organization.name) = lower(%(organization)s)
             ORDER BY lower(organization.name), lower(member.name), member_id
            """,
            {"organization": organization},
        ).fetchall()
