"""Creating the schema, and refusing to work on one that this version does not know."""

from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL

from workers.database.kinds import record_kinds
from workers.errors import ConflictError, PermanentError

VERSION = 4
_MARK = f"keywright schema version {VERSION}"
_CREATION_LOCK = 0x6B657977  # any number that nothing else locks: "keyw"


def schema_text() -> str:
    """Return schema.sql, from the installed package or from the checkout around it."""
    here = Path(__file__).parent
    for path in (here / "schema.sql", here.parents[1] / "schema.sql"):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError("schema.sql is missing from this installation")


def schema_mark(connection: psycopg.Connection[Any]) -> str | None:
    """Return the version mark of the keywright schema, or None where there is no such schema."""
    row = connection.execute(
        "SELECT coalesce(obj_description(oid, 'pg_namespace'), '')"
        " FROM pg_namespace WHERE nspname = 'keywright'"
    ).fetchone()
    return None if row is None else str(row[0])


def create_schema(connection: psycopg.Connection[Any]) -> bool:
    """Create everything in one transaction; return False where it was there already.

    Safe when several processes do it at once.

    Raises:
        ConflictError: a schema of another version is there. Nothing was changed.
        PermanentError: the role may not create a schema.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_CREATION_LOCK])
        if schema_mark(connection) is not None:
            check_schema(connection)
            record_kinds(connection)
            return False
        try:
            connection.execute(SQL(schema_text()))
        except psycopg.errors.InsufficientPrivilege as error:
            raise PermanentError(
                "This database role may not create a schema; let its owner do it, or have it run"
                " GRANT CREATE ON DATABASE … TO this role. Nothing was changed."
            ) from error
        record_kinds(connection)
        connection.execute(
            "SELECT keywright.audit('database.create', 'database',"
            " after => jsonb_build_object('version', %s::integer))",
            [VERSION],
        )
        return True


def check_schema(connection: psycopg.Connection[Any]) -> None:
    """Pass if the database has the schema of this version.

    Raises:
        ConflictError: it has none, or one of another version.
    """
    mark = schema_mark(connection)
    if mark is None:
        raise ConflictError(
            "The database has no keywright schema yet; run `keywright database create` first."
        )
    if mark != _MARK:
        raise ConflictError(
            f"The database holds “{mark or 'an unmarked schema'}”, this keywright works with"
            f" “{_MARK}”; use the keywright version that made it, or another database."
        )
