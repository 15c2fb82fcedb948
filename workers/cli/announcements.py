"""``keywright announcement``."""

import json
import time
from contextlib import suppress
from typing import Annotated

import typer

from workers.announcements import reading
from workers.announcements.cloud_events import cloud_event
from workers.announcements.reading import Announced
from workers.announcements.settling import Settler
from workers.cli.output import JsonOption, console, print_json, print_table
from workers.cli.session import open_session
from workers.errors import InvalidRequestError
from workers.settings import load_settings

_AT_A_TIME = 500
_PAUSE_SECONDS = 0.2

_After = Annotated[int | None, typer.Option(min=0, help="Only what has a higher number.")]
_Kind = Annotated[str | None, typer.Option(help="Only this kind, such as certificate.issued.")]
_Organization = Annotated[str | None, typer.Option(help="Only what happened in this one.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        no_args_is_help=True, help="Announcements: what happened, to read and to repeat."
    )
    group.command("list")(list_announcements)
    group.command("follow")(follow)
    group.command("replay")(replay)
    app.add_typer(group, name="announcement")


def list_announcements(
    *,
    after: _After = None,
    kind: _Kind = None,
    organization: _Organization = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List announcements in the order of their numbers: the latest, or those after a number.

    With `--json` they are CloudEvents, as on RabbitMQ; `sequence` is the number.

    Example: `keywright announcement list --kind certificate.expiring --organization Acme`
    """
    with open_session() as connection:
        Settler().settle_patiently(connection)
        if after is None:
            rows = reading.latest(connection, limit=limit, kind=kind, organization=organization)
        else:
            rows = reading.announced_after(
                connection, after, limit=limit, kind=kind, organization=organization
            )
        source = reading.installation_id(connection)
    if as_json:
        print_json([cloud_event(row, source) for row in rows])
        return
    if not rows:
        console.print("There are no such announcements.")
        return
    print_table(("Number", "When", "Kind", "Organization", "Subject", "Says"), map(_cells, rows))
    if after is not None and len(rows) == limit:
        console.print(f"Later ones: --after {rows[-1].sequence}")


def follow(
    *,
    after: Annotated[
        int | None, typer.Option(min=0, help="Begin after this number; without it, from now on.")
    ] = None,
    kind: _Kind = None,
    organization: _Organization = None,
) -> None:
    """Print announcements as they come, each a CloudEvent on a line of its own, until Ctrl-C.

    Nothing is left out and nothing comes twice: `--after` with the last `sequence` goes on there.

    Example: `keywright announcement follow --after 0`
    """
    with open_session() as connection:
        settler = Settler()
        settler.settle_patiently(connection)
        source = reading.installation_id(connection)
        place = reading.settled_until(connection) if after is None else after
        with suppress(KeyboardInterrupt):
            while True:
                rows = reading.announced_after(
                    connection, place, limit=_AT_A_TIME, kind=kind, organization=organization
                )
                for row in rows:
                    typer.echo(json.dumps(cloud_event(row, source), ensure_ascii=False))
                    place = row.sequence
                if len(rows) < _AT_A_TIME:
                    time.sleep(_PAUSE_SECONDS)
                    settler.settle(connection)


def replay(
    *,
    after: Annotated[int, typer.Option(min=0, help="Repeat what has a higher number.")],
    queue: Annotated[
        str, typer.Option(help="The queue that gets it; it must be there: keywright.events.….")
    ],
    kind: _Kind = None,
    organization: _Organization = None,
    as_json: JsonOption = False,
) -> None:
    """Repeat announcements to one queue alone: for a consumer that was away and lost its own.

    They are the same messages with the same ids, in the same order for each subject.

    Example: `keywright announcement replay --after 1200 --queue keywright.events.billing`
    """
    # Only here: it takes a while, and the other commands do without.
    from workers.announcements.replaying import replay as repeat  # noqa: PLC0415

    broker_url = load_settings().broker_url
    if broker_url is None:
        raise InvalidRequestError(
            "KEYWRIGHT_BROKER_URL is not set; `keywright announcement list` reads without a broker."
        )
    with open_session() as connection:
        Settler().settle_patiently(connection)
        count, until = repeat(
            connection,
            broker_url.get_secret_value(),
            queue=queue,
            after=after,
            kind=kind,
            organization=organization,
        )
    if as_json:
        print_json({"repeated": count, "until": until})
    else:
        console.print(f"{count:,} announcements were repeated, up to number {until}.", markup=False)


def _cells(row: Announced) -> tuple[str, ...]:
    return (
        str(row.sequence),
        row.occurred_at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        row.kind,
        row.organization or "",
        row.subject,
        ", ".join(f"{name}: {value}" for name, value in row.data.items() if value is not None),
    )
