"""What a finished run has to say: counts before and after, what it cost, what was predicted."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from workers.database.pool import Connection
from workers.encryption.connections import Connections
from workers.reencryption import quarantine, ranges
from workers.reencryption.census import Census
from workers.reencryption.planning import read_statistics
from workers.reencryption.store import Run
from workers.reencryption.tables import Table


def wal_position(connection: Connection) -> int:
    """Return how many bytes of WAL the server has ever written, everybody's together."""
    row: Any = connection.execute(
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
    ).fetchone()
    return int(row[0])


def completion_report(
    ledger: Connection,
    connections: Connections,
    run: Run,
    tables: list[Table],
    after: list[Census],
    *,
    now: datetime,
) -> dict[str, Any]:
    """Return the report of a run that is about to be completed; sizes in bytes, times in seconds.

    ``hot_fraction`` and ``wal_bytes`` are the server's own counts, so writes of others are in them.
    """
    done = ranges.totals(ledger, run.run_id, is_check=False)
    checked = ranges.totals(ledger, run.run_id, is_check=True)
    plan = run.plan or {"tables": []}
    began = run.started_at or run.requested_at
    seconds = max((now - began).total_seconds(), 0.001)
    costs = [_costs(connections, table, plan) for table in tables]
    # What a server has written is the same whichever of its tables it is read beside.
    wal_bytes = {
        table.connection_name: cost.get("wal_bytes", 0)
        for table, cost in zip(tables, costs, strict=True)
    }
    return {
        "purpose": run.purpose,
        "target_number": run.target_number,
        "census_before": [census for table in plan["tables"] for census in table["census"]],
        "census_after": [asdict(each) for each in after],
        "rewritten": done.rewritten,
        "conflicts": done.conflicts,
        "verified": checked.rewritten,
        "quarantined": quarantine.count_by_class(ledger, run.organization_id, run.field_ids),
        "passes": done.passes,
        "seconds": round(seconds, 3),
        "rows_per_second": round(done.rewritten / seconds),
        "predicted_seconds": round(sum(table["seconds"] for table in plan["tables"]), 1),
        "predicted_wal_bytes": sum(table["wal_bytes"] for table in plan["tables"]),
        "wal_bytes": sum(wal_bytes.values()),
        "tables": costs,
    }


def _costs(connections: Connections, table: Table, plan: dict[str, Any]) -> dict[str, Any]:
    before = next((each for each in plan["tables"] if each["table"] == table.qualified), None)
    with connections.connect(table.connection_name, "report") as connection:
        statistics = read_statistics(connection, table)
        wal = wal_position(connection)
    if before is None:
        return {"table": table.qualified}
    then = before["statistics"]
    updates = statistics.updates - then["updates"]
    hot = statistics.hot_updates - then["hot_updates"]
    return {
        "table": table.qualified,
        "order": before["order"],
        "heap_growth": round((statistics.blocks - then["blocks"]) / max(1, then["blocks"]), 4),
        "predicted_heap_growth": before["heap_growth"],
        "hot_fraction": round(hot / updates, 4) if updates > 0 else None,
        "wal_bytes": wal - before["wal_position"],
    }
