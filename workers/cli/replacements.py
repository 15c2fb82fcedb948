"""``keywright replacement``: one certificate takes the place of another, place by place."""

from dataclasses import asdict
from typing import Annotated

import typer

from workers.certificates.replacement.starting import (
    StartedOrWaiting,
    check_request,
    draft_successor,
    order_successor,
    start_named,
    start_with,
)
from workers.certificates.replacements import list_replacements, show_replacement
from workers.cli import replacement_steps
from workers.cli.certificate_session import checked, open_certificate_session
from workers.cli.key_options import OnlyOrganization, actor
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, print_json
from workers.cli.replacement_report import print_replacement, print_replacements, print_started
from workers.cli.replacement_steps import (
    OverlapBy,
    ReplacementId,
    RetireBy,
    SwitchBy,
    aware,
)
from workers.cli.session import open_session
from workers.contract import StartReplacement
from workers.database.pool import database_clock
from workers.organizations.store import organization_id


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Replacements: places move from one certificate to another, one by one.",
    )
    group.command("start")(start)
    group.command("list")(list_all)
    group.command("show")(show)
    replacement_steps.register(group)
    app.add_typer(group, name="replacement")


def start(
    old: Annotated[str, typer.Argument(help="Unique name of the certificate that gives way.")],
    new: Annotated[
        str | None, typer.Argument(help="That of its successor; default: itself, newest version.")
    ] = None,
    *,
    organization: OrganizationOption,
    old_version: Annotated[
        int | None, typer.Option(min=1, help="Default: the one that places have.")
    ] = None,
    new_version: Annotated[
        int | None, typer.Option(min=1, help="Default: the newest signed one.")
    ] = None,
    rekey: Annotated[
        bool, typer.Option("--rekey", help="Make the new version first, with a new key pair.")
    ] = False,
    overlap_by: OverlapBy = None,
    switch_by: SwitchBy = None,
    retire_by: RetireBy = None,
    reason: Annotated[str, typer.Option(help="Why; kept with it.")] = "asked for",
    as_json: JsonOption = False,
) -> None:
    """Start to replace a certificate: its places are to move to another, or to a new version.

    Nothing changes for any place yet. Deadlines that are not given lie well before its end.

    Examples:
    `keywright replacement start saml_2026 saml_2027 -o Acme --switch-by 2026-12-01`

    `keywright replacement start saml_signing --rekey -o Acme`
    """
    request = checked(
        StartReplacement,
        certificate=old,
        version_number=old_version,
        successor=new,
        successor_version=new_version,
        rekey=rekey,
        overlap_by=aware(overlap_by),
        switch_by=aware(switch_by),
        retire_by=aware(retire_by),
        reason=reason,
    )
    check_request(request)
    if not rekey:
        with open_session() as connection:
            started = start_named(
                connection,
                request,
                organization_id=organization_id(connection, organization),
                requested_by=actor(),
                now=database_clock(connection),
            )
        print_started(StartedOrWaiting(started=started, successor=None), as_json=as_json)
        return
    with open_certificate_session() as (connection, tools):
        owner, now = organization_id(connection, organization), database_clock(connection)
        order = order_successor(connection, request, organization_id=owner)
        done = start_with(
            connection,
            tools,
            request,
            draft_successor(order, tools, now=now),
            organization_id=owner,
            requested_by=actor(),
            now=now,
        )
    print_started(done, as_json=as_json)


def list_all(
    *,
    organization: OnlyOrganization = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only with late places.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List the replacements under way, the most urgent first.

    Example: `keywright replacement list --overdue`
    """
    with open_session() as connection:
        owner = None if organization is None else organization_id(connection, organization)
        rows = list_replacements(
            connection,
            now=database_clock(connection),
            organization_id=owner,
            only_staged=not everything,
            only_overdue=overdue,
            limit=limit,
        )
    print_replacements(rows, as_json=as_json)


def show(
    number: ReplacementId, *, organization: OrganizationOption, as_json: JsonOption = False
) -> None:
    """Show a replacement and how far each place is.

    Example: `keywright replacement show 1 -o Acme`
    """
    with open_session() as connection:
        row, steps = show_replacement(
            connection,
            organization_id=organization_id(connection, organization),
            replacement_id=number,
            now=database_clock(connection),
        )
    if as_json:
        print_json({**asdict(row), "steps": steps})
    else:
        print_replacement(row, steps)
