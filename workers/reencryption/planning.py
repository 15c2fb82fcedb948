"""What a run will do to a table: in which order, in which pieces, and how much."""

from dataclasses import asdict, dataclass
from typing import Any

from psycopg.sql import SQL, Identifier

from workers.database.pool import Connection
from workers.encryption.ciphertext import OVERHEAD
from workers.reencryption.census import count_by_key
from workers.reencryption.ranges import NewRange
from workers.reencryption.tables import Table, key_text

RANGES = 64
"""Into so many pieces a large table is divided: some workers, and one that is slow, end alike."""

FEWEST_BLOCKS = 2048
"""16 MiB: with less in hand, workers come round before what they replaced can be pruned."""

_FEW = 3
_SAMPLED_ROWS = 200
_IN_ORDER = 0.9
_ROWS_PER_SECOND = 100_000
_WAL_BYTES_BESIDE_THE_ROW = 110
_BLOCK_BYTES = 8192  # as nearly every server has it; only predictions depend on it


@dataclass(frozen=True, kw_only=True)
class TableStatistics:
    """What the server knows of a table; ``correlation`` of the first key column with the heap."""

    rows: int
    blocks: int
    fillfactor: int
    correlation: float | None
    has_blocks: bool
    average_row_bytes: float
    updates: int
    hot_updates: int


def read_statistics(connection: Connection, table: Table) -> TableStatistics:
    """Return what the server knows of a table, its partitions included."""
    row: Any = connection.execute(
        """
        SELECT greatest(sum(leaf.reltuples), 0)::bigint,
               (sum(pg_relation_size(leaf.oid)) / current_setting('block_size')::integer)::bigint,
               coalesce(min(substring(option FROM 'fillfactor=([0-9]+)')::integer), 100),
               (SELECT correlation FROM pg_stats
                 WHERE schemaname = %(schema)s AND tablename = %(name)s
                   AND attname = %(key_column)s AND NOT inherited),
               bool_and(root.relkind = 'r'),
               coalesce(sum(pg_relation_size(leaf.oid))
                        / nullif(greatest(sum(leaf.reltuples), 0), 0), 0)::float8,
               coalesce(sum(pg_stat_get_tuples_updated(leaf.oid)), 0)::bigint,
               coalesce(sum(pg_stat_get_tuples_hot_updated(leaf.oid)), 0)::bigint
          FROM pg_class AS root
          JOIN pg_namespace ON pg_namespace.oid = root.relnamespace
         CROSS JOIN LATERAL (
               SELECT relid FROM pg_partition_tree(root.oid) WHERE isleaf
               UNION SELECT root.oid WHERE root.relkind = 'r') AS part (relid)
          JOIN pg_class AS leaf ON leaf.oid = part.relid
          LEFT JOIN LATERAL unnest(leaf.reloptions) AS option ON option LIKE 'fillfactor=%%'
         WHERE nspname = %(schema)s AND root.relname = %(name)s
        """,
        {"schema": table.schema, "name": table.name, "key_column": table.key_columns[0]},
    ).fetchone()
    rows, blocks, fillfactor, correlation, is_plain, row_bytes, updates, hot_updates = row
    return TableStatistics(
        rows=rows or 0,
        blocks=blocks or 0,
        fillfactor=fillfactor,
        correlation=correlation,
        has_blocks=bool(is_plain),
        average_row_bytes=row_bytes or 0.0,
        updates=updates,
        hot_updates=hot_updates,
    )


def goes_by_blocks(statistics: TableStatistics) -> bool:
    """Whether a table is to be read in physical order rather than in that of its key.

    Where the key follows the heap, both touch each page once, and the key's order shows where new
    rows are. Where it does not, or nobody knows, key order would write each page's full image again
    and again. The blocks of a partitioned table have no order of their own.
    """
    if not statistics.has_blocks:
        return False
    return statistics.correlation is None or statistics.correlation < _IN_ORDER


def divide(connection: Connection, table: Table, statistics: TableStatistics) -> list[NewRange]:
    """Divide a table into ranges: what is not in one of them now is in the last."""
    pieces = max(1, min(RANGES, statistics.blocks // FEWEST_BLOCKS))
    if goes_by_blocks(statistics):
        bounds: list[Any] = [int(statistics.blocks * share) for share in shares(pieces)]
    else:
        bounds = _key_bounds(connection, table, pieces, rows=statistics.rows)
    by_blocks = goes_by_blocks(statistics)
    return [
        NewRange(
            field_ids=table.field_ids, by_blocks=by_blocks, lower_bound=lower, upper_bound=upper
        )
        for lower, upper in zip([None, *bounds], [*bounds, None], strict=True)
    ]


def shares(pieces: int) -> list[float]:
    """Return where to divide, as shares of the whole: evenly, and finer at the end.

    So that workers end at about the same time, and none has a whole range before it as the last.
    """
    fine = [pieces - 2 + i / 4 for i in range(1, 8)] if pieces > _FEW else []
    evenly = [float(i) for i in range(1, pieces)]
    return [each / pieces for each in sorted({*evenly, *fine})]


def _key_bounds(connection: Connection, table: Table, pieces: int, *, rows: int) -> list[list[str]]:
    """Return keys, each as a list of texts, that divide a table of ``rows`` into equal pieces."""
    if pieces == 1:
        return []
    # A sample of blocks: some hundred rows per piece, whatever the table's size.
    percent = min(100.0, 100.0 * _SAMPLED_ROWS * pieces / max(1, rows))
    sampled = connection.execute(
        SQL("SELECT {keys} FROM {table} TABLESAMPLE SYSTEM (%(percent)s) ORDER BY {keys}").format(
            keys=SQL(", ").join(Identifier(column) for column in table.key_columns),
            table=Identifier(table.schema, table.name),
        ),
        {"percent": percent},
    ).fetchall()
    picked = [sampled[int(len(sampled) * share)] for share in shares(pieces)] if sampled else []
    bounds = [[key_text(value) for value in key] for key in picked]
    return [bound for i, bound in enumerate(bounds) if i == 0 or bound != bounds[i - 1]]


def predict(connection: Connection, table: Table, organization_id: int, target: int | None) -> Any:
    """Say how many values are due, how long they will take, and what they will cost."""
    statistics = read_statistics(connection, table)
    census = [count_by_key(connection, table, i, organization_id) for i in range(len(table.fields))]
    due = [
        sum(each.by_key.values()) if target is None else each.values - each.by_key.get(target, 0)
        for each in census
    ]
    rows = max((each.values for each in census), default=0)
    # All due values of a row go in one update.
    due_rows = max(due, default=0)
    growth = 0.0 if statistics.fillfactor <= 95 else 0.12  # noqa: PLR2004  # measured, see docs
    plaintext = sum(each.plaintext for each in census)
    table_bytes = statistics.blocks * _BLOCK_BYTES
    row_bytes = statistics.average_row_bytes or table_bytes / max(1, rows)  # never analysed
    if target is not None and plaintext:
        growth += plaintext * OVERHEAD / max(1, table_bytes)
    return {
        "table": table.qualified,
        "order": "physical" if goes_by_blocks(statistics) else "key",
        "ranges": max(1, min(RANGES, statistics.blocks // FEWEST_BLOCKS)),
        "values": sum(each.values for each in census),
        "rows": rows,
        "due": sum(due),
        "due_rows": due_rows,
        "seconds": round(due_rows / _ROWS_PER_SECOND, 1),
        "wal_bytes": int(due_rows * (row_bytes + _WAL_BYTES_BESIDE_THE_ROW)),
        "heap_growth": round(growth, 3),
        "census": [asdict(each) for each in census],
        "statistics": asdict(statistics),
    }
