"""``python -m benchmarks.reencryption``: a table moved to a new key, undisturbed and disturbed.

Undisturbed: two worker processes against the ceiling, one statement on the server that rewrites the
same column of an identical table without any cryptography, and against a loop over single rows.
Disturbed: with writers at full speed, a bystander, and a worker that is killed in the middle.
"""

import argparse
import json
import signal
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import reencryption_table as table
from benchmarks.reencryption_stage import (
    Stage,
    await_end,
    await_share,
    drop_table,
    open_stage,
    peak_rss_mb,
    prepare_table,
    rotate_key,
    start,
    start_process,
    start_worker,
    workers,
)
from benchmarks.servers import run_postgres
from scheduler.service import SchedulerService
from workers.encryption import FieldCipher
from workers.telemetry import configure_logging

_ROW_LOOP_ROWS = 3000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7, help="of the undisturbed measurement")
    parser.add_argument("--skip-disturbed", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    configure_logging("error", "text")
    figures: dict[str, Any] = {"rows": options.rows, "processes": options.processes}
    with (
        run_postgres() as postgres,
        tempfile.TemporaryDirectory() as folder,
        open_stage(postgres.create_database(), Path(folder)) as stage,
    ):
        figures |= measure_undisturbed(stage, options)
        if not options.skip_disturbed:
            figures |= measure_disturbed(stage, options, Path(folder))
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for key, value in figures.items():
            print(f"{key:34} {value}")


# --------------------------------------------------------------------------------- undisturbed


def measure_undisturbed(stage: Stage, options: argparse.Namespace) -> dict[str, Any]:
    """Compare whole rewrites: the ceiling and ours, in turns."""
    ceilings, ours, totals, reports, peaks = [], [], [], [], []
    loop = 0.0
    for number in range(options.rounds):
        name = f"ceiling_{number}"
        field_id = prepare_table(stage, name, options.rows)
        seconds = table.rewrite_without_cryptography(stage.connection, name)
        ceilings.append(options.rows / seconds)
        if number == 0:
            rows = min(_ROW_LOOP_ROWS, options.rows)
            loop = rows / table.rewrite_row_by_row(stage.connection, name, rows)
        drop_table(stage, name, field_id)

        name = f"customer_{number}"
        field_id = prepare_table(stage, name, options.rows)
        rotate_key(stage)
        with workers(stage, options.processes) as processes:
            run = await_end(stage, start(stage, name))
            peaks.append(peak_rss_mb(processes))
        reports.append(run.report or {})
        ours.append(options.rows / rewriting_seconds(stage, run.run_id))
        totals.append(reports[-1]["seconds"])
        drop_table(stage, name, field_id)
    costs = [next(t for t in r["tables"] if "customer" in t["table"]) for r in reports]
    ceiling, rate = statistics.median(ceilings), statistics.median(ours)
    return {
        "rows_per_second": round(rate),
        "ceiling_rows_per_second": round(ceiling),
        "ratio_to_ceiling": round(
            statistics.median(o / c for o, c in zip(ours, ceilings, strict=True)), 2
        ),
        "row_loop_rows_per_second": round(loop),
        "speedup_over_row_loop": round(rate / loop, 1),
        "whole_run_seconds": round(statistics.median(totals), 2),
        "hot_fraction": min(each["hot_fraction"] for each in costs),
        "heap_growth_fraction": max(each["heap_growth"] for each in costs),
        "wal_bytes_per_row": round(
            statistics.median(each["wal_bytes"] for each in costs) / options.rows
        ),
        "peak_rss_mb": max(peaks),
    }


def rewriting_seconds(stage: Stage, run_id: int) -> float:
    """Return how long the first pass took: from the plan to the last range."""
    row: Any = stage.connection.execute(
        """
        SELECT extract(epoch FROM max(piece.finished_at) - min(job.started_at))::float8
          FROM keywright.reencryption_range AS piece, keywright.job
         WHERE piece.run_id = %(run_id)s AND piece.pass = 1
           AND kind = 'reencryption.work' AND (arguments ->> 'run_id')::bigint = %(run_id)s
        """,
        {"run_id": run_id},
    ).fetchone()
    return float(row[0])


# ----------------------------------------------------------------------------------- disturbed


def measure_disturbed(stage: Stage, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Rotate and re-encrypt while others write, and kill a worker in the middle."""
    name = "customer"
    prepare_table(stage, name, options.rows)
    told = {
        "url": stage.url,
        "root_key": stage.root_key,
        "organization_id": stage.organization_id,
        "table": f"public.{name}",
        "field": f"{name}.card",
        "rows": options.rows,
    }
    (folder / "told.json").write_text(json.dumps(told))
    others: list[tuple[str, ...]] = [
        ("write", str(i), str(options.writers)) for i in range(options.writers)
    ]
    others.append(("stand-by",))
    with (
        # Its reaper finds the job of the worker that is killed.
        SchedulerService(stage.url, None, timetable=()),
        workers(stage, options.processes) as processes,
    ):
        applications = [
            start_process("benchmarks.reencryption_writers", what, str(folder), *rest)
            for what, *rest in others
        ]
        try:
            rotate_key(stage)
            run_id = start(stage, name)
            await_share(stage, run_id, options.rows // 2)
            processes[0].kill()
            processes.append(start_worker(stage))
            run = await_end(stage, run_id)
        finally:
            for application in applications:
                application.send_signal(signal.SIGTERM)
                application.wait()
    report = run.report or {}
    lost, written = count_lost(stage, name, folder, options.writers)
    bystander = json.loads((folder / "bystander.json").read_text())
    left = sum(
        count
        for census in report["census_after"]
        for key, count in census["by_key"].items()
        if int(key) != run.target_number
    )
    costs = next(each for each in report["tables"] if each["table"] == f"public.{name}")
    return {
        "lost_updates": lost,
        "acknowledged_writes": written,
        "conflicts": report["conflicts"],
        "values_left_under_other_keys": left,
        "quarantined": sum(report["quarantined"].values()),
        "passes": report["passes"],
        "disturbed_hot_fraction": costs["hot_fraction"],
        "disturbed_heap_growth_fraction": costs["heap_growth"],
        "bystander_p99_ms": round(1000 * statistics.quantiles(bystander, n=100)[98], 1),
        "bystander_longest_ms": round(1000 * max(bystander), 1),
    }


def count_lost(stage: Stage, name: str, folder: Path, writers: int) -> tuple[int, int]:
    """Return how many acknowledged writes are not there, and how many there were."""
    expected: dict[int, str] = {}
    written = 0
    for number in range(writers):
        turns, acknowledged = json.loads((folder / f"writer-{number}.json").read_text())
        written += turns
        expected |= {int(row): value for row, value in acknowledged.items()}
    lost = 0
    with FieldCipher.connect(database_url=stage.url, root_key=stage.root_key) as cipher:
        stored = dict(stage.connection.execute(f"SELECT id, card FROM public.{name}").fetchall())
        opened = cipher.decrypt_many(
            f"{name}.card",
            organization_id=stage.organization_id,
            values=[((row,), value) for row, value in stored.items()],
        )
    for row, value in zip(stored, opened, strict=True):
        should = expected[row].encode() if row in expected else table.first_plaintext(row)
        lost += value != should
    return lost, written


if __name__ == "__main__":
    main()
