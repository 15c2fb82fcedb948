"""Group roles of the database: least privilege for each process and for other systems."""

from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from workers.database.pool import Connection
from workers.errors import PermanentError

GROUP_ROLES = (
    "keywright_worker",
    "keywright_scheduler",
    "keywright_requester",
    "keywright_reader",
)
"""What logins are made members of: GRANT keywright_worker TO … ."""

CREATE_GROUP_ROLES = "\n".join(
    [
        f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN;"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;"
        for role in GROUP_ROLES
    ]
    # So that bulk re-encryption sees how far replicas are behind, and waits for them.
    + ["GRANT pg_read_all_stats TO keywright_worker;"]
)
"""What an administrator runs where the owner may not make roles; again, it changes nothing."""


@dataclass(frozen=True, kw_only=True)
class GroupRole:
    """A group role of this server, and the logins that are members of it, of whatever database."""

    name: str
    is_there: bool
    logins: list[str]


class RolesMissingError(PermanentError):
    """The group roles are not there, and this role may not make them."""

    code = "roles-missing"
    title = "The database has no group roles yet"


def set_up_roles(connection: Connection) -> None:
    """Make the group roles where they are missing, and give each its rights anew.

    Raises:
        RolesMissingError: this role may not make roles. Nothing was changed.
    """
    try:
        with connection.transaction():
            connection.execute("CALL keywright.set_up_roles()")
    except psycopg.errors.InsufficientPrivilege as error:
        raise RolesMissingError(
            "This database role may not make the group roles; give an administrator the output of"
            " `keywright database roles --sql` to run, and then run `keywright database create`"
            " once more. Everything works without them, but all of it with the rights of the owner."
        ) from error


def list_roles(connection: Connection) -> list[GroupRole]:
    """Return the group roles, also those that are not there."""
    with connection.cursor(row_factory=class_row(GroupRole)) as cursor:
        return cursor.execute(
            """
            SELECT wanted.name, role.oid IS NOT NULL AS is_there,
                   ARRAY(SELECT login.rolname::text
                           FROM pg_auth_members AS membership
                           JOIN pg_roles AS login ON login.oid = membership.member
                          WHERE membership.roleid = role.oid AND login.rolcanlogin
                          ORDER BY login.rolname) AS logins
              FROM unnest(%(names)s::text[]) WITH ORDINALITY AS wanted (name, position)
              LEFT JOIN pg_roles AS role ON role.rolname = wanted.name
             ORDER BY wanted.position
            """,
            {"names": list(GROUP_ROLES)},
        ).fetchall()
