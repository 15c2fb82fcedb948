"""``keywright reencryption``: bulk runs over encrypted fields."""

import sys
from typing import Annotated

import typer

from workers.cli import reencryption_verify
from workers.cli.key_options import OnlyOrganization, actor
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_json, print_rows
from workers.cli.reencryption_progress import say_how_far, say_where
from workers.cli.reencryption_report import print_dry_run, print_quarantine, print_report
from workers.cli.reencryption_runs import (
    as_json_value,
    print_run,
    print_run_json,
    say_begun,
    watch_to_the_end,
)
from workers.cli.reencryption_verify import open_tools
from workers.cli.session import open_session
from workers.errors import ConflictError, InvalidRequestError
from workers.organizations.store import organization_id
from workers.reencryption import control, store
from workers.reencryption.dry_run import try_run
from workers.reencryption.options import MOST_WORKERS, RunOptions
from workers.reencryption.pacing import Limits
from workers.reencryption.progress import Progress, read_progress
from workers.reencryption.quarantine import list_quarantined
from workers.reencryption.store import Purpose, Run

RunNumber = Annotated[int, typer.Argument(metavar="RUN", min=1, help="Number of the run.")]
WatchOption = Annotated[
    bool, typer.Option("--watch", help="Show how far it is until it is finished.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        no_args_is_help=True, help="Re-encryption: runs that move encrypted fields to another key."
    )
    group.command("start")(start)
    group.command("list")(list_all)
    group.command("show")(show)
    group.command("pause")(pause)
    group.command("resume")(resume)
    group.command("cancel")(cancel)
    group.command("report")(report)
    group.command("quarantine")(quarantine)
    reencryption_verify.register(group)
    app.add_typer(group, name="reencryption")


def start(
    *,
    organization: OrganizationOption,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", help="Only this field; once for each. Default: all encrypted."),
    ] = None,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Encrypt what is plaintext yet, too.")
    ] = False,
    decrypt: Annotated[
        bool, typer.Option("--decrypt", help="Turn every value back into plaintext.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would do, and write nothing.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=MOST_WORKERS, help="How many jobs work at a time.")
    ] = RunOptions().workers,
    wal_limit: Annotated[
        float | None,
        typer.Option(metavar="MIB", min=0.1, help="Wait above so many MiB/s of WAL, everybody's."),
    ] = None,
    watch_it: WatchOption = False,
    as_json: JsonOption = False,
) -> None:
    """Begin a run: workers bring every value under the organization's active master key.

    The application goes on reading and writing meanwhile. Fields that hold plaintext yet are
    encrypted with `--encrypt`; both `--encrypt` and `--decrypt` want the fields named.

    Examples:
    `keywright reencryption start -o Acme --dry-run`

    `keywright reencryption start -o Acme --encrypt --field customer.card --watch`

    `keywright reencryption start -o Acme --workers 4 --wal-limit 20`
    """
    if encrypt and decrypt:
        raise InvalidRequestError("--encrypt and --decrypt are opposites; give one.")
    purpose: Purpose = "encrypt" if encrypt else "decrypt" if decrypt else "reencrypt"
    if purpose != "reencrypt" and not field:
        raise InvalidRequestError(f"--field: name what is to be {purpose}ed, once for each field.")
    limits = Limits(
        wal_bytes_per_second=None if wal_limit is None else int(wal_limit * 2**20),
    )
    with open_tools(may_make_root_key=not dry_run) as (connection, tools):
        owner = organization_id(connection, organization)
        names = field or []
        if dry_run:
            found = try_run(
                connection, tools, organization_id=owner, purpose=purpose, field_names=names
            )
            if as_json:
                print_json(found)
            else:
                print_dry_run(found)
            return
        with connection.transaction():
            run_id = control.start_run(
                connection,
                tools.keyring,
                organization_id=owner,
                purpose=purpose,
                field_names=names,
                options=RunOptions(workers=workers, limits=limits),
                requested_by=actor(),
            )
        if not as_json:
            say_begun(connection, run_id, will_watch=watch_it)
        if watch_it:
            watch_to_the_end(connection, run_id, as_json=as_json)
        elif as_json:
            print_run_json(connection, run_id)


def list_all(
    *,
    organization: OnlyOrganization = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the runs, newest first.

    Example: `keywright reencryption list -o Acme`
    """
    with open_session() as connection:
        owner = None if organization is None else organization_id(connection, organization)
        runs = store.list_runs(connection, organization_id=owner, limit=limit)
        if as_json:
            print_json([as_json_value(connection, run) for run in runs])
            return
    columns = {
        "run_id": "Run",
        "organization": "Organization",
        "purpose": "Purpose",
        "target_number": "Key",
        "state": "State",
        "requested_at": "Asked for",
        "finished_at": "Finished",
    }
    if any(run.waiting_for for run in runs):
        columns["waiting_for"] = "Waits for"
    print_rows(
        runs,
        columns,
        as_json=False,
        empty="There are no runs yet; `keywright reencryption start` begins one.",
    )


def show(run: RunNumber, *, watch_it: WatchOption = False, as_json: JsonOption = False) -> None:
    """Show how far a run is, and what it waits for.

    Example: `keywright reencryption show 3 --watch`
    """
    with open_session() as connection:
        if watch_it:
            watch_to_the_end(connection, run, as_json=as_json)
        elif as_json:
            print_run_json(connection, run)
        else:
            found, progress = read_progress(connection, run)
            print_run(connection, found, progress)


def pause(
    run: RunNumber,
    *,
    reason: Annotated[str | None, typer.Option(help="Why; shown to whoever looks.")] = None,
) -> None:
    """Let a run rest: its workers stop within a second, and every value stays readable.

    Example: `keywright reencryption pause 3 --reason "until the backup is through"`
    """
    with open_session() as connection:
        if not control.pause_run(connection, run, reason=reason or f"paused by {actor()}"):
            state = store.load_run(connection, run).state
            raise ConflictError(f"Run {run} is {state} already; there is nothing to pause.")
    console.print(f"Run {run} is paused; `keywright reencryption resume {run}` lets it go on.")


def resume(run: RunNumber) -> None:
    """Let a paused run go on where it was; one that lost its jobs gets new ones.

    Example: `keywright reencryption resume 3`
    """
    with open_session() as connection:
        if not control.resume_run(connection, run):
            state = store.load_run(connection, run).state
            raise ConflictError(f"Run {run} is {state}; `keywright reencryption start` begins one.")
    console.print(f"Run {run} goes on; `keywright reencryption show {run} --watch` shows it.")


def cancel(
    run: RunNumber,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for a confirmation.")] = False,
) -> None:
    """End a run where it is. What it has rewritten stays so, and every value stays readable.

    Example: `keywright reencryption cancel 3 --yes`
    """
    with open_session() as connection:
        found, progress = read_progress(connection, run)
        if not yes and found.finished_at is None:
            _confirm(found, progress)
        if not control.cancel_run(connection, run):
            state = store.load_run(connection, run).state
            raise ConflictError(f"Run {run} is {state} already; there is nothing to cancel.")
    console.print(
        f"Run {run} is cancelled. Another run begins with what is left of its values.",
        soft_wrap=True,
    )


def report(run: RunNumber, *, as_json: JsonOption = False) -> None:
    """Print the report of a completed run: counts before and after, what it cost, what is left.

    Example: `keywright reencryption report 3 --json`
    """
    with open_session() as connection:
        found = store.load_run(connection, run)
    if found.report is None:
        raise ConflictError(
            f"Run {run} is {found.state}; only a completed run has a report. `keywright"
            f" reencryption show {run}` shows how far it came."
        )
    if as_json:
        print_json(found.report)
    else:
        print_report(found)


def quarantine(
    *,
    organization: OrganizationOption,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    as_json: JsonOption = False,
) -> None:
    """List the values that runs could not open, with the reason; they are left as they are.

    The keys they name are not destroyed. The next run tries them again.

    Example: `keywright reencryption quarantine -o Acme`
    """
    with open_session() as connection:
        rows = list_quarantined(connection, organization_id(connection, organization), limit=limit)
    if as_json:
        print_json(rows)
    elif rows:
        print_quarantine(rows, limit)
    else:
        console.print("No value is in quarantine.")


def _confirm(run: Run, progress: Progress) -> None:
    """Have a person say that the run is to end.

    Raises:
        InvalidRequestError: they say no, or nobody is there.
    """
    if not sys.stdin.isatty():
        raise InvalidRequestError(
            "Nobody can be asked for a confirmation here; add --yes. Nothing was changed."
        )
    where = f"{say_where(run, progress)}: {say_how_far(progress)}"
    if not typer.confirm(f"Run {run.run_id} of {run.organization}, {where}. End it?", err=True):
        raise InvalidRequestError("Nothing was changed.")
