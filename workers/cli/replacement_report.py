"""What ``keywright replacement`` says."""

from dataclasses import asdict

from workers.certificates.replacement.moves import Moved
from workers.certificates.replacement.starting import StartedOrWaiting
from workers.certificates.replacements import ReplacementRow, StepRow
from workers.cli.output import cell, console, print_json, print_table


def print_started(done: StartedOrWaiting, *, as_json: bool) -> None:
    """Say what a start led to, and what comes next."""
    started, successor = done.started, done.successor
    if as_json:
        print_json(
            {
                "waits_for_signature": started is None,
                **({} if started is None else asdict(started)),
                "successor": successor,
            }
        )
    elif started is not None:
        number = started.replacement_id
        verb = "is started" if started.created else "was started before"
        console.print(
            f"Replacement {number} {verb}: {started.new} takes the place of {started.old}, used in"
            f" {started.places} {'place' if started.places == 1 else 'places'}.",
            markup=False,
            soft_wrap=True,
        )
        for remark in started.remarks:
            console.print(f"- {remark}", markup=False, soft_wrap=True)
        console.print(
            "Let every place accept both, then record that with `keywright replacement overlap"
            f" {number}`; `keywright replacement show {number}` lists places and deadlines.",
            soft_wrap=True,
        )
    elif successor is not None:
        console.print(
            f"Version {successor.version_number} of {successor.unique_name} waits for a CA:"
            " download the request (`keywright certificate csr`), upload what is signed"
            " (`keywright certificate upload`), then start again without --rekey.",
            soft_wrap=True,
            markup=False,
        )


def print_replacements(rows: list[ReplacementRow], *, as_json: bool) -> None:
    """List replacements."""
    if as_json:
        print_json(rows)
    elif not rows:
        console.print("No replacement is under way; `keywright replacement start` starts one.")
    else:
        print_table(
            ("Number", "Organization", "Old", "New", "State", "Places", "Next step by"),
            (
                (
                    str(row.replacement_id),
                    row.organization,
                    f"{row.old_name} v{row.old_version}",
                    f"{row.new_name} v{row.new_version}",
                    row.state.replace("_", " "),
                    _places(row),
                    cell(row.next_due_at),
                )
                for row in rows
            ),
        )


def _places(row: ReplacementRow) -> str:
    """Say how many places stand where, and how many are late."""
    counts = {
        "waiting": row.waiting,
        "overlapping": row.overlapping,
        "switched": row.switched,
        "retired": row.retired,
        "LATE": row.overdue,
    }
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none"


def print_replacement(row: ReplacementRow, steps: list[StepRow]) -> None:
    """Show one with its places."""
    over = "" if row.finished_at is None else f" on {cell(row.finished_at)} by {row.finished_by}"
    lines = {
        "Old": f"{row.old_name} version {row.old_version}, ends {cell(row.old_not_after)}",
        "New": f"{row.new_name} version {row.new_version}, ends {cell(row.new_not_after)}",
        "State": f"{row.state.replace('_', ' ')}{over}",
        "Started": f"{cell(row.started_at)} by {row.requested_by}: {row.reason}",
    }
    for name, value in lines.items():
        console.print(f"{name:10}{value}", markup=False, soft_wrap=True)
    if not steps:
        console.print("No place has the old one.")
        return
    print_table(
        ("Place", "State", "Next step by", "Since", "By"),
        (
            (
                f"{step.place_kind}: {step.place}",
                step.state,
                f"{cell(step.due_at)}{' LATE' if step.is_overdue else ''}",
                cell(step.changed_at),
                step.changed_by or "",
            )
            for step in steps
        ),
    )


def print_moved(moved: Moved, *, as_json: bool) -> None:
    """Say which places took a step."""
    if as_json:
        lists = ("moved", "there_already", "too_early")
        places = {
            name: [{"place_kind": kind, "place": place} for kind, place in getattr(moved, name)]
            for name in lists
        }
        print_json({"replacement_id": moved.replacement_id, "state": moved.state, **places})
        return
    for place in moved.moved:
        console.print(f"✓ {place}", markup=False)
    if not moved.moved:
        console.print("Nothing was left to do.")
    for place in moved.too_early:
        console.print(f"· {place} is not ready for it", markup=False)
    if moved.state != "staged":
        state = moved.state.replace("_", " ")
        console.print(f"Replacement {moved.replacement_id} is {state}.")
