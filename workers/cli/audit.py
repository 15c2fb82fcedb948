"""``keywright audit``."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from workers.audit import exporting, reading
from workers.audit.chain import Head
from workers.audit.linking import link_some, read_head
from workers.audit.verifying import Fault, Link, Verification
from workers.cli.key_options import OnlyOrganization
from workers.cli.output import JsonOption, console, print_json, print_rows
from workers.cli.session import open_session
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError
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
    if file is None:
        with open_session() as connection:
            faults, head, checked = _verify(connection, first, anchor, quiet=as_json)
    else:
        faults, head, checked = exporting.verify_file(file, anchor)
    if as_json:
        print_json({"checked": checked, "head": str(head), "faults": faults})
        if faults:
            raise typer.Exit(1)
        return
    if faults:
        shown = "; ".join(str(each) for each in faults[:_SHOWN_FAULTS])
        more = len(faults) - _SHOWN_FAULTS
        raise AuditFaultsError(
            f"{len(faults)} faults in {checked:,} links: {shown}"
            + (f"; and {more} more." if more > 0 else ".")
        )
    console.print(f"{checked:,} links fit. The last one: {head}", markup=False)


def export(
    file: Annotated[Path, typer.Argument(help="A new file; only you can read it.")],
    *,
    first: FromOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Write the record to a file of JSON lines, which can be verified by anybody.

    Example: `keywright audit export audit.jsonl`
    """
    with open_session() as connection, _new_file(file) as write:
        link_all(connection)
        count, head = exporting.export(connection, write, first=first)
    if as_json:
        print_json({"file": str(file), "links": count, "head": str(head)})
    else:
        console.print(f"Wrote {count:,} entries to {file}. The last link: {head}", markup=False)


def link_all(connection: Connection) -> None:
    """Link what waits, so that it is part of what follows."""
    while link_some(connection):
        pass


def _verify(
    connection: Connection, first: int, anchor: Head | None, *, quiet: bool
) -> tuple[list[Fault], Head, int]:
    link_all(connection)
    start = Head(position=0, hash=exporting.start_hash(connection))
    if first > 1:
        found = reading.hash_at(connection, first - 1)
        if found is None:
            raise InvalidRequestError(f"--from: the chain has no position {first - 1}.")
        start = Head(position=first - 1, hash=found)
    verification = Verification(start)
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(console=console, transient=True, disable=quiet))
        task = progress.add_task("links", total=reading.count_links(connection) - first + 1)
        links = stack.enter_context(reading.stream_links(connection, after=first - 1))

        def counted() -> Iterator[Link]:
            for link in links:
                progress.advance(task)
                yield link

        faults = list(verification.walk(counted()))
    if anchor is not None:
        faults += verification.expect(anchor, reading.hash_at(connection, anchor.position))
    faults += reading.unlinked_faults(connection)
    assert verification.head.position <= read_head(connection).position
    return faults, verification.head, verification.checked


def _anchor(text: str) -> Head:
    position, _, digest = text.partition(":")
    try:
        return Head(position=int(position), hash=bytes.fromhex(digest))
    except ValueError:
        raise InvalidRequestError(
            "--expect: POSITION:HASH, as `keywright audit verify` prints it."
        ) from None


@contextmanager
def _new_file(path: Path) -> Iterator[exporting.Write]:
    """Yield what writes a line; the file appears whole, or not at all."""
    if path.exists():
        raise ConflictError(f"{path} is there already; name a new file.")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield lambda line: file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError as error:
        raise InvalidRequestError(f"{path}: cannot be written ({error.strerror}).") from error
    finally:
        unfinished.unlink(missing_ok=True)
