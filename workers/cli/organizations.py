"""``keywright organization`` and ``keywright member``."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from workers.cli.output import JsonOption, console, print_json, print_rows
from workers.cli.session import open_session
from workers.errors import InvalidRequestError
from workers.organizations import store
from workers.organizations.members import NewMember, check_time_zone, read_members

OrganizationOption = Annotated[
    str, typer.Option("--organization", "-o", help="Name of the organization.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    organization = typer.Typer(no_args_is_help=True, help="Organizations: the tenants.")
    organization.command("add")(add_organization)
    organization.command("list")(list_organizations)
    organization.command("limit")(limit)
    app.add_typer(organization, name="organization")
    member = typer.Typer(no_args_is_help=True, help="Members: who is told what.")
    member.command("add")(add_member)
    member.command("list")(list_members)
    member.command("import")(import_members)
    app.add_typer(member, name="member")


def add_organization(
    name: str,
    *,
    time_zone: Annotated[
        str, typer.Option(help="IANA name; decides on which day notices go out.")
    ] = "UTC",
    sending_hour: Annotated[
        int, typer.Option(min=0, max=23, help="Local hour at which notices go out.")
    ] = 8,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Say so in every subject.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Add an organization.

    Example: `keywright organization add "Acme GmbH" --time-zone Europe/Berlin --sending-hour 9`
    """
    try:
        check_time_zone(time_zone)
    except ValueError as error:
        raise InvalidRequestError(f"--time-zone: {error}.") from None
    with open_session() as connection:
        organization_id = store.add_organization(
            connection,
            name=name,
            time_zone=time_zone,
            sending_hour=sending_hour,
            is_sandbox=sandbox,
        )
    if as_json:
        print_json({"organization_id": organization_id, "name": name})
    else:
        console.print(f"Added {name}.", markup=False)


def list_organizations(*, as_json: JsonOption = False) -> None:
    """List the organizations."""
    with open_session() as connection:
        rows = store.list_organizations(connection)
    print_rows(
        rows,
        {
            "name": "Organization",
            "time_zone": "Time zone",
            "sending_hour": "Sending hour",
            "most_open_jobs": "Open jobs at most",
            "is_sandbox": "Sandbox",
            "members": "Active members",
            "certificates": "Certificates",
        },
        as_json=as_json,
        empty="There are no organizations yet; `keywright organization add NAME` makes one.",
    )


def limit(
    name: Annotated[str, typer.Argument(help="Name of the organization.")],
    *,
    open_jobs: Annotated[
        int,
        typer.Option(
            min=0, max=1_000_000, help="Unfinished jobs that other systems may have at a time."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Say how much other systems may ask for in an organization; what they asked for goes on.

    Example: `keywright organization limit Acme --open-jobs 2000`
    """
    with open_session() as connection:
        store.limit_open_jobs(
            connection,
            organization_id=store.organization_id(connection, name),
            most=open_jobs,
        )
    if as_json:
        print_json({"organization": name, "most_open_jobs": open_jobs})
    else:
        console.print(f"{name}: at most {open_jobs} unfinished jobs at a time.", markup=False)


def add_member(
    email: str,
    *,
    organization: OrganizationOption,
    name: Annotated[str, typer.Option(help="How to address them.")],
    administrator: Annotated[
        bool, typer.Option("--administrator", help="Profile System Administrator.")
    ] = False,
    permission: Annotated[
        list[str] | None,
        typer.Option(
            help="receive_expiration_notices, modify_all_data, view_encrypted_data,"
            " manage_certificates or enforce_mutual_tls; may be repeated."
        ),
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="For the dates in their mail; default: the organization's.")
    ] = None,
    inactive: Annotated[bool, typer.Option("--inactive", help="Never told anything.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Add a member to an organization.

    Example: `keywright member add ada@example.org -o Acme --name Ada
    --permission receive_expiration_notices`
    """
    try:
        member = NewMember.model_validate(
            {
                "name": name,
                "email": email,
                "profile": "system_administrator" if administrator else "standard",
                "permissions": tuple(permission or ()),
                "active": not inactive,
                "time_zone": time_zone,
            }
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidRequestError(f"{first['loc'][0]}: {reason}. Nobody was added.") from None
    with open_session() as connection:
        organization_id = store.organization_id(connection, organization)
        [member_id] = store.add_members(
            connection, organization_id=organization_id, members=[member]
        )
    if as_json:
        print_json({"member_id": member_id, "organization": organization})
    else:
        console.print(f"Added {name} to {organization}.", markup=False)


def import_members(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    *,
    organization: OrganizationOption,
    as_json: JsonOption = False,
) -> None:
    """Add members from a CSV file, all of them or none.

    Columns, named in the first line: name, email and, if wanted, profile (system_administrator or
    standard), permissions (separated by blanks), active (true or false), time_zone.

    Example: `keywright member import members.csv -o Acme`
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidRequestError(f"{file} is not UTF-8 text; save it as CSV in UTF-8.") from None
    members = read_members(text)
    with open_session() as connection:
        organization_id = store.organization_id(connection, organization)
        ids = store.add_members(connection, organization_id=organization_id, members=members)
    if as_json:
        print_json({"added": len(ids), "member_ids": ids})
    else:
        console.print(f"Added {len(ids)} members to {organization}.", markup=False)


def list_members(
    *,
    organization: Annotated[
        str | None, typer.Option("--organization", "-o", help="Only of this organization.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List members."""
    with open_session() as connection:
        if organization is not None:
            store.organization_id(connection, organization)
        rows = store.list_members(connection, organization)
    print_rows(
        rows,
        {
            "organization": "Organization",
            "name": "Name",
            "email": "E-mail",
            "profile": "Profile",
            "permissions": "Permissions",
            "active": "Active",
            "time_zone": "Time zone",
        },
        as_json=as_json,
        empty="There are no members yet; `keywright member add` makes one.",
    )
