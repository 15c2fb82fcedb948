"""Requesters and their grants in the database. SQL only."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from workers.contract import JOB_REQUESTS
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError
from workers.jobs.broker_users import KEYWRIGHT

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")

GRANTABLE = tuple(sorted(each.kind for each in JOB_REQUESTS if each.for_requesters))
"""The kinds of job that a requester may be granted."""


@dataclass(frozen=True, kw_only=True)
class Requester:
    """Another system: its RabbitMQ user and its database role say that it is the one."""

    name: str
    broker_user: str | None
    database_role: str | None
    disabled_at: datetime | None
    grants: int
    open_jobs: int


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a requester may ask for in one organization."""

    organization: str
    kinds: list[str]


def add_requester(
    connection: Connection, *, name: str, broker_user: str | None, database_role: str | None
) -> int:
    """Add a requester, which may ask for nothing yet; return its number.

    Raises:
        InvalidRequestError: the name will not do, or nothing says who it is.
        ConflictError: another has the name, the user or the role.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequestError(
            "name: a lower-case letter, then up to 62 letters, digits, hyphens and underscores."
        )
    if broker_user is None and database_role is None:
        raise InvalidRequestError(
            "broker_user or database_role: name at least one, for it says who asks."
        )
    for field, value, most in (
        ("broker_user", broker_user, 255),
        ("database_role", database_role, 63),
    ):
        if value is not None and not (value.isprintable() and 1 <= len(value) <= most):
            raise InvalidRequestError(f"{field}: at most {most} characters, all of them printable.")
    if broker_user in {each.user for each in KEYWRIGHT}:
        raise InvalidRequestError("broker_user: this one is keywright's own; take another.")
    try:
        row = connection.execute(
            """
            INSERT INTO keywright.requester (name, broker_user, database_role)
            VALUES (%(name)s, %(broker_user)s, %(database_role)s)
            RETURNING requester_id
            """,
            {"name": name, "broker_user": broker_user, "database_role": database_role},
        ).fetchone()
    except psycopg.errors.UniqueViolation as error:
        taken = (error.diag.constraint_name or "").removeprefix("requester_").removesuffix("_key")
        raise ConflictError(f"{taken}: another requester has it; nothing was added.") from None
    assert row is not None
    return int(row[0])


def list_requesters(connection: Connection) -> list[Requester]:
    """Return all requesters by name."""
    with connection.cursor(row_factory=class_row(Requester)) as cursor:
        return cursor.execute(
            """
            SELECT name, broker_user, database_role, disabled_at,
                   (SELECT count(*) FROM keywright.requester_grant AS granted
                     WHERE granted.requester_id = requester.requester_id) AS grants,
                   (SELECT count(*) FROM keywright.job
                     WHERE job.requester_id = requester.requester_id
                       AND state IN ('scheduled', 'ready', 'running')) AS open_jobs
              FROM keywright.requester
             ORDER BY name
            """
        ).fetchall()


def find_requester(connection: Connection, name: str) -> Requester:
    """Return one requester.

    Raises:
        NotFoundError: there is none of this name.
    """
    for each in list_requesters(connection):
        if each.name == name:
            return each
    raise _no_requester(name)


def grants_of(connection: Connection, name: str) -> list[Grant]:
    """Return what a requester may ask for, by organization."""
    with connection.cursor(row_factory=class_row(Grant)) as cursor:
        return cursor.execute(
            """
            SELECT organization.name AS organization, array_agg(kind ORDER BY kind) AS kinds
              FROM keywright.requester_grant
              JOIN keywright.organization USING (organization_id)
              JOIN keywright.requester USING (requester_id)
             WHERE requester.name = %(name)s
             GROUP BY organization.name
             ORDER BY organization.name
            """,
            {"name": name},
        ).fetchall()


def grant(connection: Connection, *, name: str, organization_id: int, kinds: Sequence[str]) -> int:
    """Let a requester ask for kinds of job in an organization; return how many that adds.

    Raises:
        NotFoundError: there is no such requester.
    """
    requester_id = _find(connection, name)
    return connection.execute(
        """
        INSERT INTO keywright.requester_grant (requester_id, organization_id, kind)
        SELECT %(requester_id)s, %(organization_id)s, kind FROM unnest(%(kinds)s::text[]) AS kind
            ON CONFLICT DO NOTHING
        """,
        {
            "requester_id": requester_id,
            "organization_id": organization_id,
            "kinds": list(kinds),
        },
    ).rowcount


def revoke(connection: Connection, *, name: str, organization_id: int, kinds: Sequence[str]) -> int:
    """Take grants back, and return how many that were; what was asked for goes on.

    Raises:
        NotFoundError: there is no such requester.
    """
    return connection.execute(
        """
        DELETE FROM keywright.requester_grant
         WHERE requester_id = %(requester_id)s AND organization_id = %(organization_id)s
           AND kind = ANY (%(kinds)s)
        """,
        {
            "requester_id": _find(connection, name),
            "organization_id": organization_id,
            "kinds": list(kinds),
        },
    ).rowcount


def set_enabled(connection: Connection, *, name: str, enabled: bool) -> None:
    """Refuse a requester everything from now on, or let it ask again.

    Raises:
        NotFoundError: there is no such requester.
    """
    connection.execute(
        """
        UPDATE keywright.requester
           SET disabled_at = CASE WHEN NOT %(enabled)s THEN coalesce(disabled_at, now()) END
         WHERE requester_id = %(requester_id)s
        """,
        {"requester_id": _find(connection, name), "enabled": enabled},
    )


def kinds_meant(patterns: Sequence[str]) -> list[str]:
    """Return the kinds that words such as ``certificate.*`` or ``keystore.export`` mean.

    Raises:
        InvalidRequestError: a word means none that a requester may be granted.
    """
    meant: dict[str, None] = {}
    for pattern in patterns:
        prefix = pattern.removesuffix("*")
        found = [
            kind
            for kind in GRANTABLE
            if kind == pattern or (pattern.endswith(".*") and kind.startswith(prefix))
        ]
        if not found:
            raise InvalidRequestError(
                f"kind {pattern}: none that may be granted; there are {', '.join(GRANTABLE)}."
            )
        meant |= dict.fromkeys(found)
    return list(meant)


def _find(connection: Connection, name: str) -> int:
    row = connection.execute(
        "SELECT requester_id FROM keywright.requester WHERE name = %(name)s", {"name": name}
    ).fetchone()
    if row is None:
        raise _no_requester(name)
    return int(row[0])


def _no_requester(name: str) -> NotFoundError:
    return NotFoundError(
        f"There is no requester {name}; `keywright requester list` shows who there is."
    )
