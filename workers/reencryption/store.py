"""Runs in the database: begun, paused, resumed, cancelled and ended. SQL only.

Whoever changes the state of a run locks its row first, so the changes come one after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError

Purpose: TypeAlias = Literal["reencrypt", "encrypt", "decrypt"]
State: TypeAlias = Literal["starting", "rewriting", "verifying", "paused", "cancelled", "completed"]
UNFINISHED: tuple[State, ...] = ("starting", "rewriting", "verifying", "paused")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A row of ``keywright.reencryption_run``."""

    run_id: int
    organization_id: int
    organization: str
    purpose: Purpose
    field_ids: list[UUID]
    target_number: int | None
    state: State
    resume_state: State | None
    waiting_for: str | None
    options: dict[str, Any]
    plan: dict[str, Any] | None
    # "pass" is a word of the language.
    pass_number: int
    zero_censuses: int
    fenced_at: datetime | None
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    report: dict[str, Any] | None


_COLUMNS = """run_id, organization_id,
              (SELECT name FROM keywright.organization
                WHERE organization.organization_id = run.organization_id) AS organization,
              purpose::text AS purpose, field_ids, target_number, state::text AS state,
              resume_state::text AS resume_state, waiting_for, options, plan, pass AS pass_number,
              zero_censuses, fenced_at, requested_by, requested_at, started_at, finished_at,
              report"""


def insert_run(
    connection: Connection,
    *,
    organization_id: int,
    purpose: Purpose,
    field_ids: Sequence[UUID],
    target_number: int | None,
    options: Mapping[str, Any],
    requested_by: str,
) -> int:
    """Begin a run and return its id.

    Raises:
        ConflictError: the organization has a run that is not finished.
        NotFoundError: there is no such organization.
    """
    try:
        with connection.transaction():
            # So that none of them is unregistered before the run is there to forbid it.
            locked = connection.execute(
                "SELECT FROM keywright.encrypted_field WHERE field_id = ANY (%(field_ids)s)"
                " FOR KEY SHARE",
                {"field_ids": list(field_ids)},
            ).rowcount
            if locked != len(field_ids):
                raise ConflictError("A field was unregistered just now. Nothing was begun.")
            row: Any = connection.execute(
                """
                INSERT INTO keywright.reencryption_run
                       (organization_id, purpose, field_ids, target_number, options, requested_by)
                VALUES (%(organization_id)s, %(purpose)s::keywright.reencryption_purpose,
                        %(field_ids)s, %(target_number)s, %(options)s, %(requested_by)s)
                RETURNING run_id
                """,
                {
                    "organization_id": organization_id,
                    "purpose": purpose,
                    "field_ids": list(field_ids),
                    "target_number": target_number,
                    "options": Jsonb(dict(options)),
                    "requested_by": requested_by,
                },
            ).fetchone()
    except ForeignKeyViolation:
        raise NotFoundError("There is no such organization.") from None
    except UniqueViolation:
        other = unfinished_run(connection, organization_id)
        raise ConflictError(
            f"Run {other or '(just ended)'} of this organization is not finished; let it end, or"
            f" cancel it with `keywright reencryption cancel {other or 'RUN'}`. Nothing was begun."
        ) from None
    return int(row[0])


def unfinished_run(connection: Connection, organization_id: int) -> int | None:
    """Return the run of an organization that is not finished; there is one at most."""
    row = connection.execute(
        """
        SELECT run_id FROM keywright.reencryption_run
         WHERE organization_id = %(organization_id)s AND state NOT IN ('cancelled', 'completed')
        """,
        {"organization_id": organization_id},
    ).fetchone()
    return None if row is None else int(row[0])


def load_run(connection: Connection, run_id: int, *, lock: bool = False) -> Run:
    """Return a run; with ``lock``, nobody else changes it before the transaction ends.

    Raises:
        NotFoundError: there is none of that number.
    """
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        run = cursor.execute(
            f"SELECT {_COLUMNS} FROM keywright.reencryption_run AS run"
            f" WHERE run_id = %(run_id)s{' FOR UPDATE' if lock else ''}",
            {"run_id": run_id},
        ).fetchone()
    if run is None:
        raise NotFoundError(f"There is no run {run_id}; `keywright reencryption list` shows them.")
    return run


def list_runs(
    connection: Connection, *, organization_id: int | None = None, limit: int = 50
) -> list[Run]:
    """Return the latest runs, newest first: everybody's, or an organization's."""
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(
            f"""
            SELECT {_COLUMNS} FROM keywright.reencryption_run AS run
             WHERE %(organization_id)s::bigint IS NULL OR organization_id = %(organization_id)s
             ORDER BY run_id DESC LIMIT %(limit)s
            """,
            {"organization_id": organization_id, "limit": limit},
        ).fetchall()


def list_paused(connection: Connection) -> list[Run]:
    """Return the runs that wait for a person, whoever's they are."""
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM keywright.reencryption_run AS run"
            " WHERE state = 'paused' ORDER BY run_id"
        ).fetchall()


def change_run(connection: Connection, run_id: int, **values: object) -> None:
    """Set columns of a run, by the names that ``Run`` has for them."""
    columns = {
        "pass" if name == "pass_number" else name: Jsonb(value)
        if isinstance(value, dict)
        else value
        for name, value in values.items()
    }
    assignments = ", ".join(f"{name} = %({name})s" for name in columns)
    connection.execute(
        f"UPDATE keywright.reencryption_run SET {assignments} WHERE run_id = %(run_id)s",
        {**columns, "run_id": run_id},
    )


def say_what_it_waits_for(connection: Connection, run_id: int, reason: str | None) -> None:
    """Let people see why the run goes slowly, or that it does not any more."""
    connection.execute(
        """
        UPDATE keywright.reencryption_run SET waiting_for = %(reason)s
         WHERE run_id = %(run_id)s AND state IN ('starting', 'rewriting', 'verifying')
           AND waiting_for IS DISTINCT FROM %(reason)s
        """,
        {"run_id": run_id, "reason": reason},
    )


def slots_at_work(connection: Connection, run_id: int) -> set[int]:
    """Return the slots of a run whose jobs are not finished."""
    rows = connection.execute(
        """
        SELECT (arguments ->> 'slot')::integer
          FROM keywright.job
         WHERE kind = 'reencryption.work' AND state IN ('scheduled', 'ready', 'running')
           AND unique_key LIKE %(begins)s
        """,
        {"begins": f"{run_id}/%"},
    ).fetchall()
    return {row[0] for row in rows}


def known_numbers(connection: Connection, organization_id: int) -> list[int]:
    """Return the numbers of all keys that an organization ever had."""
    rows = connection.execute(
        "SELECT key_number FROM keywright.master_key"
        " WHERE organization_id = %(organization_id)s ORDER BY key_number",
        {"organization_id": organization_id},
    ).fetchall()
    return [row[0] for row in rows]
