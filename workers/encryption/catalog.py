"""What the database of a field says about it: gathers facts and looks into columns. SQL only.

What the facts mean is said in ``workers.encryption.suitability``.
"""

from collections.abc import Collection, Sequence
from typing import Any, LiteralString

from psycopg.errors import (
    InsufficientPrivilege,
    InvalidSchemaName,
    QueryCanceled,
    UndefinedColumn,
    UndefinedTable,
)
from psycopg.rows import class_row
from psycopg.sql import SQL, Composable, Identifier, Literal

from workers.database.pool import Connection
from workers.encryption.ciphertext import FORMAT_BYTE, MAGIC, ColumnType, header_text
from workers.encryption.registry import FieldDefinition
from workers.encryption.suitability import (
    ColumnFacts,
    Examination,
    IndexFacts,
    TableFacts,
    judge,
)
from workers.errors import PermanentError

_SAMPLE_ROWS = 1000
_MOST_COLUMNS = 5000

_KINDS = {"r": "table", "p": "partitioned table", "v": "view", "f": "foreign table"}


def examine_column(
    connection: Connection,
    *,
    table_schema: str,
    table_name: str,
    column_name: str,
    key_columns: Sequence[str] | None = None,
    organization_column: str | None = None,
) -> Examination:
    """Look whether a column is fit to be an encrypted field; all faults are found at once.

    ``key_columns`` None takes the primary key. ``connection`` leads to the database of the field,
    with the role that runs will have.
    """
    return judge(
        _table_facts(connection, table_schema, table_name, column_name),
        table=f"{table_schema}.{table_name}",
        column_name=column_name,
        key_columns=key_columns,
        organization_column=organization_column,
    )


def _table_facts(
    connection: Connection, table_schema: str, table_name: str, column_name: str
) -> TableFacts | None:
    table = connection.execute(
        """
        SELECT pg_class.oid, relkind::text, relpersistence = 't',
               has_schema_privilege(relnamespace, 'USAGE'), row_security_active(pg_class.oid),
               reltuples >= 0,
               (SELECT coalesce(min(option_value::integer), 100)
                  FROM pg_options_to_table(reloptions) WHERE option_name = 'fillfactor'),
               ARRAY(SELECT rulename::text FROM pg_rewrite
                      WHERE ev_class = pg_class.oid AND ev_type = '2' ORDER BY rulename)
          FROM pg_class
          JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE nspname = %(table_schema)s AND relname = %(table_name)s
        """,
        {"table_schema": table_schema, "table_name": table_name},
    ).fetchone()
    if table is None:
        return None
    place = {"table": table[0], "column_name": column_name}
    constraints, generated, is_partition_key, triggers = _of_column(connection, place)
    return TableFacts(
        kind=_KINDS.get(table[1], "relation of another kind"),
        is_temporary=table[2],
        may_use_schema=table[3],
        hides_rows=table[4],
        is_analyzed=table[5],
        fillfactor=table[6],
        update_rules=table[7],
        columns={column.name: column for column in _columns(connection, place)},
        indexes=_indexes(connection, place),
        constraints=constraints,
        generated_from_column=generated,
        is_partition_key=is_partition_key,
        update_triggers=triggers,
    )


def _columns(connection: Connection, place: dict[str, Any]) -> list[ColumnFacts]:
    with connection.cursor(row_factory=class_row(ColumnFacts)) as cursor:
        return cursor.execute(
            """
            SELECT attname::text AS name,
                   CASE format_type(base.oid, NULL)
                        WHEN 'character varying' THEN 'varchar'
                        WHEN 'character' THEN 'bpchar'
                        WHEN 'timestamp without time zone' THEN 'timestamp'
                        WHEN 'timestamp with time zone' THEN 'timestamptz'
                        ELSE format_type(base.oid, NULL) END AS type_name,
                   CASE WHEN atttypmod >= 4 THEN atttypmod - 4 END AS length_limit,
                   attnotnull AS not_null, attgenerated <> '' AS is_generated,
                   attidentity <> '' AS is_identity,
                   atthasdef AND attgenerated = '' AS has_default,
                   own.typtype = 'd' AS is_domain,
                   coalesce(collisdeterministic, true) AS collation_is_deterministic,
                   has_column_privilege(attrelid, attnum, 'SELECT') AS may_select,
                   has_column_privilege(attrelid, attnum, 'UPDATE') AS may_update
              FROM pg_attribute
              JOIN pg_type AS own ON own.oid = atttypid
              JOIN pg_type AS base
                ON base.oid = CASE own.typtype WHEN 'd' THEN own.typbasetype ELSE own.oid END
              LEFT JOIN pg_collation ON pg_collation.oid = attcollation
             WHERE attrelid = %(table)s AND attnum > 0 AND NOT attisdropped
             ORDER BY attnum
            """,
            place,
        ).fetchall()


def _indexes(connection: Connection, place: dict[str, Any]) -> list[IndexFacts]:
    with connection.cursor(row_factory=class_row(IndexFacts)) as cursor:
        return cursor.execute(
            """
            SELECT indexrelid::regclass::text AS name,
                   ARRAY(SELECT attname::text
                           FROM unnest((indkey::int2[])[0:indnkeyatts - 1])
                                WITH ORDINALITY AS key (attnum, position)
                           JOIN pg_attribute USING (attnum)
                          WHERE attrelid = indrelid ORDER BY position) AS columns,
                   indrelid = %(table)s::oid AND indisunique AND indisvalid AND indimmediate
                       AND indpred IS NULL AND indexprs IS NULL AS identifies_rows,
                   indrelid = %(table)s::oid AND indisprimary AS is_primary,
                   EXISTS (
                       SELECT FROM pg_attribute
                        WHERE attrelid = indrelid AND attname = %(column_name)s
                          AND (attnum = ANY (indkey)
                               OR EXISTS (SELECT FROM pg_depend
                                           WHERE classid = 'pg_class'::regclass
                                             AND objid = indexrelid
                                             AND refclassid = 'pg_class'::regclass
                                             AND refobjid = indrelid AND refobjsubid = attnum)))
                   AS uses_column
              FROM pg_index
             WHERE indrelid = %(table)s
                OR indrelid IN (SELECT relid FROM pg_partition_tree(%(table)s::oid::regclass))
             ORDER BY indrelid <> %(table)s::oid, indexrelid
            """,
            place,
        ).fetchall()


def _of_column(
    connection: Connection, place: dict[str, Any]
) -> tuple[list[str], list[str], bool, list[str]]:
    """Return constraints, columns generated from it, if it is a partition key, update triggers."""
    row = connection.execute(
        """
        SELECT ARRAY(SELECT conname::text FROM pg_constraint
                      WHERE conrelid = attrelid AND contype IN ('c', 'f') AND attnum = ANY (conkey)
                      ORDER BY conname),
               ARRAY(SELECT made.attname::text
                       FROM pg_depend
                       JOIN pg_attrdef ON objid = pg_attrdef.oid
                       JOIN pg_attribute AS made
                         ON made.attrelid = adrelid AND made.attnum = adnum
                      WHERE classid = 'pg_attrdef'::regclass
                        AND refclassid = 'pg_class'::regclass AND refobjid = used.attrelid
                        AND refobjsubid = used.attnum AND made.attgenerated <> ''
                        AND made.attnum <> used.attnum ORDER BY made.attnum),
               EXISTS (SELECT FROM pg_partitioned_table
                        WHERE partrelid = attrelid AND attnum = ANY (partattrs)),
               ARRAY(SELECT tgname::text FROM pg_trigger
                      WHERE tgrelid = attrelid AND NOT tgisinternal AND tgenabled IN ('O', 'A')
                        AND tgtype & 1 = 1 AND tgtype & 16 = 16  -- for each row, on update
                        AND (cardinality(tgattr::int2[]) = 0 OR attnum = ANY (tgattr))
                      ORDER BY tgname)
          FROM pg_attribute AS used
         WHERE attrelid = %(table)s AND attname = %(column_name)s AND NOT attisdropped
        """,
        place,
    ).fetchone()
    return ([], [], False, []) if row is None else row


def holds_ciphertext(connection: Connection, field: FieldDefinition) -> bool:
    """Whether any value of the column looks like a ciphertext; reads the table until one does.

    Raises:
        PermanentError: this role may not read the column.
    """
    try:
        row = connection.execute(
            SQL("SELECT EXISTS (SELECT FROM {} WHERE {})").format(
                Identifier(field.table_schema, field.table_name),
                _looks_like_ciphertext(field.column_name, field.column_type),
            )
        ).fetchone()
    except (UndefinedTable, UndefinedColumn, InvalidSchemaName):
        return False
    except InsufficientPrivilege:
        raise PermanentError(
            f"This role may not read {field.place}; GRANT SELECT on it to this role."
        ) from None
    return row is not None and bool(row[0])


def organizations_with_values(
    connection: Connection, field: FieldDefinition, *, timeout_seconds: float
) -> list[int | None] | None:
    """Return whose values the column holds, by its organization column; None: it took too long."""
    assert field.organization_column is not None
    try:
        with connection.transaction():
            connection.execute(
                "SELECT set_config('statement_timeout', %s, true)",
                [f"{round(timeout_seconds * 1000)}ms"],
            )
            rows = connection.execute(
                SQL("SELECT DISTINCT {} FROM {} WHERE {} IS NOT NULL ORDER BY 1").format(
                    Identifier(field.organization_column),
                    Identifier(field.table_schema, field.table_name),
                    Identifier(field.column_name),
                )
            ).fetchall()
    except QueryCanceled:
        return None
    return [row[0] for row in rows]


def undeclared_columns(
    connection: Connection, declared: Collection[tuple[str, str, str]]
) -> list[str]:
    """Look at the beginning of each table for undeclared ciphertext; return where it is.

    ``declared`` are schema, table and column. Rotation knows nothing of what is found, and a
    destroyed key would take it along.
    """
    found = []
    for schema, table, column, column_type in _columns_to_look_at(connection):
        if (schema, table, column) in declared:
            continue
        row = connection.execute(
            SQL(
                "SELECT EXISTS (SELECT FROM (SELECT {} FROM {} LIMIT {}) AS sample WHERE {})"
            ).format(
                Identifier(column),
                Identifier(schema, table),
                Literal(_SAMPLE_ROWS),
                _looks_like_ciphertext(column, column_type),
            )
        ).fetchone()
        if row is not None and row[0]:
            found.append(f"{schema}.{table}.{column}")
    return found


def _columns_to_look_at(connection: Connection) -> list[tuple[str, str, str, ColumnType]]:
    return connection.execute(
        """
        SELECT nspname::text, relname::text, attname::text,
               CASE atttypid WHEN 'bytea'::regtype THEN 'bytea' ELSE 'text' END
          FROM pg_attribute
          JOIN pg_class ON pg_class.oid = attrelid
          JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE relkind IN ('r', 'p') AND NOT relispartition AND relpersistence <> 't'
           AND attnum > 0 AND NOT attisdropped
           AND atttypid IN ('bytea'::regtype, 'text'::regtype, 'varchar'::regtype)
           AND nspname NOT IN ('pg_catalog', 'information_schema')
           AND has_schema_privilege(relnamespace, 'USAGE')
           AND has_column_privilege(attrelid, attnum, 'SELECT')
         ORDER BY nspname, relname, attnum
         LIMIT %(limit)s
        """,
        {"limit": _MOST_COLUMNS},
    ).fetchall()


def _looks_like_ciphertext(column_name: str, column_type: ColumnType) -> Composable:
    if column_type == "bytea":
        mark = Literal(bytes((MAGIC, FORMAT_BYTE)))
        condition: LiteralString = "substring({} FROM 1 FOR 2) = {}"
    else:
        # Of the first 2^18 key numbers; five characters are told from any word.
        mark = Literal(header_text(1)[:5])
        condition = "starts_with({}, {})"
    return SQL(condition).format(Identifier(column_name), mark)
