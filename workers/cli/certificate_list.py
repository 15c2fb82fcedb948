"""``keywright certificate list``."""

from datetime import datetime
from typing import Annotated, Literal

import typer

from workers.certificates.listing import PageEnd, list_certificates
from workers.certificates.restoring import list_deleted
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_rows
from workers.cli.session import open_session
from workers.database.pool import database_clock
from workers.errors import InvalidRequestError
from workers.organizations.store import organization_id

Kind = Literal["self_signed", "ca_signed", "imported"]


def register(group: typer.Typer) -> None:
    """Add the command to ``keywright certificate``."""
    group.command("list")(list_all)


def list_all(
    *,
    organization: OrganizationOption,
    expiring_within: Annotated[
        int | None, typer.Option(help="Only those that end within so many days.")
    ] = None,
    expired: Annotated[bool, typer.Option("--expired", help="Only those that have ended.")] = False,
    expired_since: Annotated[
        datetime | None, typer.Option(help="Only those that ended at this time or later.")
    ] = None,
    used: Annotated[
        bool | None, typer.Option("--used/--unused", help="Only those that places use, or none.")
    ] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only those of this kind.")] = None,
    being_replaced: Annotated[
        bool | None,
        typer.Option(
            "--being-replaced/--not-being-replaced",
            help="Only those that places are moving from or to, or the others.",
        ),
    ] = None,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="What was deleted and can be restored, instead.")
    ] = False,
    after: Annotated[str | None, typer.Option(help="Go on where the last page ended.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: JsonOption = False,
) -> None:
    """List certificates, those that end first before the others.

    Examples:
    `keywright certificate list -o Acme --expiring-within 60`

    `keywright certificate list -o Acme --expired --unused --kind imported`

    `keywright certificate list -o Acme --deleted`
    """
    if deleted:
        narrowing = (expiring_within, expired_since, used, kind, being_replaced, after)
        if expired or any(option is not None for option in narrowing):
            raise InvalidRequestError("--deleted: lists all that was deleted; leave the rest out.")
        _list_deleted(organization, limit=limit, as_json=as_json)
        return
    with open_session() as connection:
        rows = list_certificates(
            connection,
            organization_id=organization_id(connection, organization),
            now=database_clock(connection),
            expiring_within_days=expiring_within,
            expired=expired,
            expired_since=expired_since.astimezone() if expired_since else None,
            used=used,
            kind=kind,
            being_replaced=being_replaced,
            after=PageEnd.parse(after) if after else None,
            limit=limit,
        )
    print_rows(
        rows,
        {
            "unique_name": "Name",
            "status": "Status",
            "not_after": "Expires",
            "ends_first": "Chain ends first",
            "next_notice_at": "Next notice",
            "usages": "Used in",
            "issuer": "Issuer",
        },
        as_json=as_json,
        empty="There are no such certificates; `keywright certificate import` brings some in.",
    )
    if len(rows) == limit and not as_json:
        console.print(f"Next page: --after {rows[-1].page_end}")


def _list_deleted(organization: str, *, limit: int, as_json: bool) -> None:
    with open_session() as connection:
        rows = list_deleted(
            connection, organization_id=organization_id(connection, organization), limit=limit
        )
    print_rows(
        rows,
        {
            "certificate_id": "Id",
            "unique_name": "Name",
            "not_after": "Expires",
            "deleted_at": "Deleted",
            "purge_at": "Gone for good",
        },
        as_json=as_json,
        empty="Nothing that was deleted can be restored.",
    )
