"""Whether a column is fit to be an encrypted field: facts in, sentences with fixes out. Pure.

The facts are gathered in ``workers.encryption.catalog``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from workers.encryption.ciphertext import OVERHEAD, ColumnType
from workers.encryption.row_keys import KEY_TYPES

_INTEGERS: Final = ("smallint", "integer", "bigint")
_ADVISED_FILLFACTOR: Final = 90
_GROWTH: Final = (
    f"A ciphertext is {OVERHEAD} bytes longer than its value in bytea, and takes"
    f" 4·⌈(n+{OVERHEAD})/3⌉ characters for n bytes in text."
)


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """A column; ``type_name`` is as in ``KEY_TYPES``, or however else Postgres calls it."""

    name: str
    type_name: str
    length_limit: int | None = None
    not_null: bool = False
    is_generated: bool = False
    is_identity: bool = False
    has_default: bool = False
    is_domain: bool = False
    collation_is_deterministic: bool = True
    may_select: bool = True
    may_update: bool = True


@dataclass(frozen=True, kw_only=True)
class IndexFacts:
    """An index of the table or of one of its partitions.

    ``identifies_rows``: unique at once and for every row, without expression or condition.
    ``uses_column``: the column that is looked at, in an expression or a condition included.
    """

    name: str
    columns: Sequence[str]
    identifies_rows: bool
    is_primary: bool
    uses_column: bool


@dataclass(frozen=True, kw_only=True)
class TableFacts:
    """A table as its database describes it, and what in it concerns the column.

    ``kind`` is ``table``, ``partitioned table`` or what else it is; ``hides_rows``: row security
    applies to us; ``constraints`` are those of CHECK and FOREIGN KEY that the column is part of.
    """

    kind: str
    is_temporary: bool = False
    may_use_schema: bool = True
    hides_rows: bool = False
    update_rules: Sequence[str] = ()
    columns: Mapping[str, ColumnFacts] = field(default_factory=dict)
    indexes: Sequence[IndexFacts] = ()
    constraints: Sequence[str] = ()
    generated_from_column: Sequence[str] = ()
    is_partition_key: bool = False
    update_triggers: Sequence[str] = ()
    is_analyzed: bool = True
    fillfactor: int = 100


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found: with any fault the column is not fit; warnings only cost speed or space."""

    faults: list[str]
    warnings: list[str] = field(default_factory=list)
    column_type: ColumnType = "bytea"
    key_columns: list[str] = field(default_factory=list)
    key_types: list[str] = field(default_factory=list)


def judge(
    facts: TableFacts | None,
    *,
    table: str,
    column_name: str,
    key_columns: Sequence[str] | None,
    organization_column: str | None,
) -> Examination:
    """Say everything that keeps a column from being an encrypted field, and what would be better.

    ``key_columns`` None takes the primary key; ``facts`` None means that there is no such table.
    """
    if facts is None:
        return Examination(faults=[f"There is no table {table} here; check its schema and name."])
    if facts.kind not in ("table", "partitioned table"):
        return Examination(
            faults=[f"{table} is a {facts.kind}; register the table that holds the values."]
        )
    key = key_columns or next((each.columns for each in facts.indexes if each.is_primary), ())
    column = facts.columns.get(column_name)
    faults = [*_of_table(facts, table), *_of_key(facts, table, key)]
    if column is None:
        faults.append(f"{table} has no column {column_name}; check its name.")
    else:
        faults += _of_type(column, table)
        faults += _of_column(facts, column, table, key)
        faults += _of_privileges(column, table)
    faults += _of_organization(facts, table, organization_column, column_name)
    is_known = all(name in facts.columns for name in key)
    return Examination(
        faults=faults,
        warnings=list(_warnings(facts, table)),
        column_type="bytea" if column is None or column.type_name == "bytea" else "text",
        key_columns=list(key),
        key_types=[facts.columns[name].type_name for name in key] if is_known else [],
    )


def _of_table(facts: TableFacts, table: str) -> Iterator[str]:
    if facts.is_temporary:
        yield f"{table} is temporary: no worker ever sees it; use a permanent table."
    if not facts.may_use_schema:
        yield f"This role may not use the schema of {table}; GRANT USAGE ON SCHEMA to it."
    if facts.hides_rows:
        yield (
            f"Row security hides rows of {table} from this role, and a row that is not seen would"
            " keep its old key; connect as a role with BYPASSRLS."
        )
    for rule in facts.update_rules:
        yield f"Rule {rule} rewrites updates of {table}; use a trigger instead."


def _of_key(facts: TableFacts, table: str, key: Sequence[str]) -> Iterator[str]:
    if not key:
        yield (
            f"{table} has no primary key; add one, or name the NOT NULL columns of a unique index"
            " with --key."
        )
        return
    for name in key:
        column = facts.columns.get(name)
        place = f"Key column {name} of {table}"
        if column is None:
            yield f"{table} has no key column {name}; check its name."
        elif column.type_name not in KEY_TYPES:
            yield (
                f"{place} is of type {column.type_name}, which a value cannot be bound to; name a"
                f" unique index of other columns with --key, of types {', '.join(KEY_TYPES)}."
            )
        elif not column.collation_is_deterministic:
            yield (
                f"{place} has a nondeterministic collation, under which several texts mean one"
                " row; name a unique index of other columns with --key."
            )
        elif not column.not_null:
            yield f"{place} may be NULL; ALTER TABLE {table} ALTER COLUMN {name} SET NOT NULL."
        elif not column.may_select:
            yield f"{place} may not be read by this role; GRANT SELECT ON {table} to it."
    if not any(
        index.identifies_rows and sorted(index.columns) == sorted(key) for index in facts.indexes
    ):
        yield (
            f"({', '.join(key)}) does not identify the rows of {table}; name with --key all"
            " columns of its primary key or of a unique index, not deferrable and without"
            " condition."
        )


def _of_type(column: ColumnFacts, table: str) -> Iterator[str]:
    place = f"{table}.{column.name}"
    change = f"ALTER TABLE {table} ALTER COLUMN {column.name} TYPE"
    if column.is_domain:
        yield f"{place} is of a domain, which has rules of its own; {change} bytea or text."
    elif column.type_name == "varchar" and column.length_limit is not None:
        yield (f"{place} holds at most {column.length_limit} characters; {change} text. {_GROWTH}")
    elif column.type_name not in ("bytea", "text", "varchar"):
        yield f"{place} is of type {column.type_name}; {change} bytea or text. {_GROWTH}"
    elif not column.collation_is_deterministic:
        yield (
            f"{place} has a nondeterministic collation, under which different values count as"
            f' equal; {change} text COLLATE "C".'
        )


def _of_column(
    facts: TableFacts, column: ColumnFacts, table: str, key: Sequence[str]
) -> Iterator[str]:
    place = f"{table}.{column.name}"
    if column.is_generated:
        yield f"{place} is generated by the database; encrypt the column it is made from."
    if column.is_identity:
        yield f"{place} is an identity column; choose another."
    if column.has_default:
        yield (
            f"{place} has a default, which would be stored in the clear; ALTER TABLE {table} ALTER"
            f" COLUMN {column.name} DROP DEFAULT."
        )
    for name in facts.generated_from_column:
        yield f"{table}.{name} is generated from {place}, soon from ciphertext; drop that column."
    if column.name in key:
        yield f"{place} is part of the key of its rows; choose a column that is not."
    if facts.is_partition_key:
        yield f"{place} decides on the partition of its rows; partition by another column."
    for index in facts.indexes:
        if index.uses_column and column.name not in key:
            yield (
                f"Index {index.name} uses {place}: it finds nothing by ciphertext, and makes every"
                f" update of the column slow and the table grow; DROP INDEX {index.name}, or the"
                " constraint that it belongs to."
            )
    for name in facts.constraints:
        yield (
            f"Constraint {name} would check the ciphertext in {place}; ALTER TABLE {table} DROP"
            f" CONSTRAINT {name}."
        )


def _of_privileges(column: ColumnFacts, table: str) -> Iterator[str]:
    given = {"SELECT": column.may_select, "UPDATE": column.may_update}
    if missing := [privilege for privilege, is_granted in given.items() if not is_granted]:
        yield (
            f"This role lacks {' and '.join(missing)} on {table}.{column.name}; GRANT"
            f" {', '.join(missing)} ON {table} to it."
        )


def _of_organization(
    facts: TableFacts, table: str, organization_column: str | None, column_name: str
) -> Iterator[str]:
    if organization_column is None:
        return
    column = facts.columns.get(organization_column)
    if column is None:
        yield f"{table} has no organization column {organization_column}; check its name."
    elif column.type_name not in _INTEGERS or organization_column == column_name:
        yield (
            f"Organization column {organization_column} of {table} is of type {column.type_name};"
            " it has to hold keywright's organization ids, as bigint."
        )
    elif not column.may_select:
        yield (
            f"Organization column {organization_column} of {table} may not be read by this role;"
            f" GRANT SELECT ON {table} to it."
        )


def _warnings(facts: TableFacts, table: str) -> Iterator[str]:
    for name in facts.update_triggers:
        yield (
            f"Trigger {name} fires for every row that a run rewrites, which makes the run slow, and"
            " perhaps more than that; see to it that it may."
        )
    if not facts.is_analyzed:
        yield f"{table} was never analysed; ANALYZE {table}, so that runs are planned well."
    if facts.fillfactor > _ADVISED_FILLFACTOR:
        yield (
            f"{table} fills its pages to {facts.fillfactor} %, so runs make it grow; ALTER TABLE"
            f" {table} SET (fillfactor = {_ADVISED_FILLFACTOR}), which counts for pages filled from"
            " then on."
        )
