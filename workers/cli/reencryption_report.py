"""A run's plan, report and quarantine as people read them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from workers.cli.output import cell, console, in_words, print_table
from workers.reencryption.dry_run import DryRun
from workers.reencryption.quarantine import Quarantined
from workers.reencryption.store import Purpose, Run
from workers.reencryption.verification import Findings

WHAT_TO_DO = {
    "malformed": "it is damaged; restore the value from a backup, or write it anew",
    "unknown_key": "it came from another installation; put it right at its source",
    "destroyed_key": "import the key's export with `keywright key import`, then start a run",
    "suspended_key": "let the key be used again with `keywright key reinstate`, then start a run",
    "tag_mismatch": "it is damaged or forged; restore the value from a backup, or write it anew",
    "moved_row": "it was copied from elsewhere; decrypt it there and encrypt it here",
    "plaintext_found": "encrypt it with `keywright reencryption start --encrypt --field NAME`",
}
"""What to do about a value in quarantine, by class."""

_DOES: dict[Purpose, str] = {
    "reencrypt": "re-encrypt under master key {key}",
    "encrypt": "encrypt under master key {key}",
    "decrypt": "decrypt",
}


def say_purpose(purpose: Purpose, target_number: int | None) -> str:
    """Say what a run is for: ``re-encrypt under master key 4``."""
    return _DOES[purpose].format(key=target_number)


def say_end(run: Run) -> str:
    """Say how a finished run ended: the last line of its report."""
    if run.state == "cancelled" or run.report is None:
        return run.state
    quarantined = sum(run.report["quarantined"].values())
    return f"completed with {quarantined:,} quarantined" if quarantined else "completed"


def print_report(run: Run) -> None:
    """Print what a completed run has to say."""
    report = run.report
    assert report is not None
    after = {each["field_name"]: each for each in report["census_after"]}
    print_table(
        ("Field", "Key", "Values before", "Values after"),
        [
            (name if number == 0 else "", key, f"{was:,}", f"{is_now:,}")
            for census in report["census_before"]
            for name in [census["field_name"]]
            for number, (key, was, is_now) in enumerate(_by_key(census, after.get(name), run))
        ],
        title=f"\nRun {run.run_id}, {run.organization}:"
        f" {say_purpose(run.purpose, run.target_number)}",
    )
    print_table(
        ("Table", "Order", "HOT updates", "Heap growth", "Predicted"),
        [
            (
                table["table"],
                table.get("order", ""),
                _share(table.get("hot_fraction")),
                _share(table.get("heap_growth")),
                _share(table.get("predicted_heap_growth")),
            )
            for table in report["tables"]
        ],
    )
    lines = {
        "Rewritten": f"{report['rewritten']:,} rows in {_passes(report)},"
        f" {report['rows_per_second']:,} rows/s over all",
        "Verified": f"{report['verified']:,} rows opened under the new key",
        "Conflicts": f"{report['conflicts']:,} rows that others wrote or locked meanwhile",
        "WAL": f"{_size(report['wal_bytes'])} (predicted {_size(report['predicted_wal_bytes'])})",
        "Duration": f"{report['seconds']:,.1f} s (predicted {report['predicted_seconds']:,.1f} s of"
        " rewriting)",
        "Quarantined": _by_class(report["quarantined"]) or "none",
    }
    if run.target_number is None:
        del lines["Verified"]
    for name, value in lines.items():
        console.print(f"{name:12}{value}", markup=False, soft_wrap=True)
    _print_what_to_do(report["quarantined"])
    console.print(say_end(run))


def print_dry_run(found: DryRun) -> None:
    """Print what a run would do."""
    tables = found.plan["tables"]
    print_table(
        ("Field", "Key", "Values", "Opened", "Would be quarantined"),
        [
            (
                name if number == 0 else "",
                key,
                f"{values:,}",
                f"{found.sampled.get(name, 0):,}" if number == 0 else "",
                (_by_class(found.quarantined.get(name, {})) or "none") if number == 0 else "",
            )
            for table in tables
            for census in table["census"]
            for name in [census["field_name"]]
            for number, (key, values) in enumerate(_counts(census).items() or [("no values", 0)])
        ],
        title=f"\nA run would {say_purpose(found.purpose, found.target_number)}:",
    )
    print_table(
        ("Table", "Order", "Rows due", "Time", "WAL", "Heap growth"),
        [
            (
                table["table"],
                table["order"],
                f"{table['due_rows']:,}",
                in_words(timedelta(seconds=table["seconds"])),
                _size(table["wal_bytes"]),
                _share(table["heap_growth"]),
            )
            for table in tables
        ],
    )
    counted: dict[str, int] = {}
    for by_class in found.quarantined.values():
        counted |= by_class
    _print_what_to_do(counted)
    console.print("Nothing was written; without --dry-run it begins.")


def print_quarantine(rows: Sequence[Quarantined], limit: int) -> None:
    """Print values in quarantine, and what to do about them."""
    print_table(
        ("Field", "Row", "Class", "Key", "First seen", "Last seen", "Run"),
        (
            (
                row.field_name,
                ", ".join(row.row_key),
                _words(row.fault_class),
                cell(row.key_number),
                cell(row.first_seen_at),
                cell(row.last_seen_at),
                str(row.last_run_id),
            )
            for row in rows
        ),
    )
    _print_what_to_do(dict.fromkeys((row.fault_class for row in rows), 1))
    if len(rows) == limit:
        console.print(f"There may be more: --limit {limit * 10}")


def print_findings(found: Findings) -> None:
    """Print what opening every value found."""
    print_table(
        ("Field", "Values", "Do not open"),
        (
            (name, f"{values:,}", _by_class(found.unopened.get(name, {})) or "none")
            for name, values in found.values.items()
        ),
    )
    if found.examples:
        print_table(
            ("Field", "Row", "Class", "Key"),
            (
                (
                    each.field_name,
                    ", ".join(each.row_key),
                    _words(each.fault_class),
                    cell(each.key_number),
                )
                for each in found.examples
            ),
            title="The first that do not open",
        )
        _print_what_to_do(dict.fromkeys((each.fault_class for each in found.examples), 1))


def _by_key(
    before: dict[str, Any], after: dict[str, Any] | None, run: Run
) -> list[tuple[str, int, int]]:
    was, is_now = _counts(before), _counts(after or {})
    target = "plaintext" if run.target_number is None else str(run.target_number)
    rows = [
        (f"{key} (target)" if key == target else key, was.get(key, 0), is_now.get(key, 0))
        for key in dict.fromkeys([*was, *is_now])
    ]
    return rows or [("no values", 0, 0)]


def _counts(census: dict[str, Any]) -> dict[str, int]:
    """Return how many values a field has by key number, as text, and how many in plaintext."""
    if not census:
        return {}
    by_key = {str(number): count for number, count in census["by_key"].items()}
    ordered = {number: by_key[number] for number in sorted(by_key, key=int)}
    return ordered | ({"plaintext": census["plaintext"]} if census["plaintext"] else {})


def _print_what_to_do(quarantined: Mapping[str, int]) -> None:
    for fault_class, count in quarantined.items():
        if count:
            console.print(
                f"  {_words(fault_class)}: {WHAT_TO_DO[fault_class]}", markup=False, soft_wrap=True
            )


def _by_class(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {_words(name)}" for name, count in sorted(counted.items()))


def _passes(report: Mapping[str, Any]) -> str:
    passes = report["passes"]
    return f"{passes} passes" if passes > 1 else "1 pass"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _size(count: float) -> str:
    return f"{count / 2**20:,.1f} MiB"
