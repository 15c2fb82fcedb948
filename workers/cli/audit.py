"""``keywright audit``."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.progress import Progress

from workers.audit import exporting, reading
from workers.audit.chain import HASH_BYTES, Head
from workers.audit.export_file import verify_file
from workers.audit.linking import link_what_waits
from workers.audit.recording import record
from workers.audit.verifying import Fault, Findings, Link, Verification
from workers.cli.key_options import OnlyOrganization
from workers.cli.output import JsonOption, console, print_json, print_rows
from workers.cli.session import open_session
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotAllowedError
from workers.keys.new_file import new_private_file
from workers.organizations.store import organization_id

_SHOWN_FAULTS = 20

FromOption = Annotated[int, typer.Option("--from", min=1, help="The first position to look at.")]
ExpectOption = Annotated[
    str | None,
    typer.Option(help="POSITION:HASH of a link that was noted before, to notice a cut-off end."),
]


class AuditFaultsError(ConflictError):
    """The record is not what it was."""


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        no_args_is_help=True, help="The record of who did what: read, verify and export it."
    )
    group.command("list")(list_all)
    group.command("verify")(verify)
    group.command("export")(export)
    app.add_typer(group, name="audit")


def list_all(
    *,
    organization: OnlyOrganization = None,
    actor: Annotated[
        str | None, typer.Option(help="Such as operator:ada or requester:crm.")
    ] = None,
    object_name: Annotated[
        str | None, typer.Option("--object", help="Such as certificate/12.")
    ] = None,
    action: Annotated[
        str | None, typer.Option(help="Such as certificate.delete, or certificate.*.")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="Not before this time, local.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this time, local.")] = None,
    before: Annotated[int | None, typer.Option(help="Only entries older than this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List what was done, newest first.

    Example: `keywright audit list --action 'master_key.*' --since 2026-11-01`
    """
    with open_session() as connection:
        rows = reading.list_entries(
            connection,
            organization_id=None
            if organization is None
            else organization_id(connection, organization),
            actor=actor,
            object_name=object_name,
            action=action,
            since=None if since is None else since.astimezone(),
            until=None if until is None else until.astimezone(),
            before=before,
            limit=limit,
        )
    print_rows(
        rows,
        {
            "entry_id": "Entry",
            "occurred_at": "When",
            "actor": "Who",
            "door": "Door",
            "action": "What",
            "object": "To what",
            "job_id": "Job",
            "reason": "Why",
        },
        as_json=as_json,
        empty="There are no such entries.",
    )
    if len(rows) == limit and not as_json:
        console.print(f"Older ones: --before {rows[-1].entry_id}")


def verify(
    *,
    first: FromOption = 1,
    expect: ExpectOption = None,
    file: Annotated[
        Path | None, typer.Option(help="Verify an export instead; needs no database.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Work out every link anew, and say where something was altered or removed.

    Note the last line elsewhere: `--expect` tells later whether the end was cut off.

    Examples:
    `keywright audit verify`

    `keywright audit verify --file audit.jsonl`
    """
    anchor = None if expect is None else _anchor(expect)
    if file is not None and first != 1:
        raise InvalidRequestError("--from: leave it out, a file is verified from its first line.")
    if file is None:
        with open_session() as connection:
            found = _verify(connection, first, anchor, quiet=as_json)
    else:
        found = verify_file(file, anchor)
    if as_json:
        print_json(
            {
                "checked": found.checked,
                "head": str(found.head),
                "count": found.count,
                "faults": found.faults,
            }
        )
        if found.count:
            raise typer.Exit(1)
        return
    if found.count:
        shown = "; ".join(str(each) for each in found.faults[:_SHOWN_FAULTS])
        more = found.count - _SHOWN_FAULTS
        raise AuditFaultsError(
            f"{in_number(found.count, 'fault')} in {in_number(found.checked, 'link')}: {shown}"
            + (f"; and {more:,} more." if more > 0 else ".")
        )
    console.print(
        f"{in_number(found.checked, 'link')} looked at, and all fit. The last one:", markup=False
    )
    typer.echo(str(found.head))


def export(
    file: Annotated[Path, typer.Argument(help="A new file; only you can read it.")],
    *,
    first: FromOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Write the record to a file of JSON lines, which can be verified by anybody.

    Example: `keywright audit export audit.jsonl`
    """
    with open_session() as connection, new_private_file(file) as write:
        link_what_waits(connection)
        count, head = exporting.export(connection, write, first=first)
        # Who took the record along stands in it, too: in the next export.
        try:
            record(
                connection,
                action="audit.export",
                object_name="audit",
                organization_id=None,
                after={"first": first, "head": str(head)},
            )
        except psycopg.errors.InsufficientPrivilege as error:
            raise NotAllowedError(
                "This database role may not record that it exports, so nothing was exported; use"
                " that of an operator. To look on, `keywright audit list` and `verify` are enough."
            ) from error
    if as_json:
        print_json({"file": str(file), "links": count, "head": str(head)})
        return
    console.print(
        f"Wrote {in_number(count, 'link')} to {file}. The last one:", markup=False, soft_wrap=True
    )
    typer.echo(str(head))


def in_number(count: int, noun: str) -> str:
    """Say how many."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _verify(connection: Connection, first: int, anchor: Head | None, *, quiet: bool) -> Findings:
    link_what_waits(connection)
    verification = Verification(exporting.start_of(connection, first))
    with ExitStack() as stack:
        progress = stack.enter_context(
            Progress(console=console, transient=True, disable=quiet or not console.is_terminal)
        )
        task = progress.add_task("links", total=reading.count_links(connection) - first + 1)
        links = stack.enter_context(reading.stream_links(connection, after=first - 1))

        def counted() -> Iterator[Link]:
            for link in links:
                progress.advance(task)
                yield link

        def elsewhere() -> Iterator[Fault]:
            if anchor is not None:
                seen = reading.hash_at(connection, anchor.position)
                yield from verification.expect(anchor, seen)
            yield from reading.unlinked_faults(connection)

        return verification.find(verification.walk(counted()), elsewhere())


def _anchor(text: str) -> Head:
    position, _, digest = text.partition(":")
    try:
        anchor = Head(position=int(position), hash=bytes.fromhex(digest))
    except ValueError:
        anchor = None
    if anchor is None or anchor.position < 1 or len(anchor.hash) != HASH_BYTES:
        raise InvalidRequestError(
            "--expect: POSITION:HASH, as `keywright audit verify` prints it."
        ) from None
    return anchor
