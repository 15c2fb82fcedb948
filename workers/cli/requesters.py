"""``keywright requester``."""

from typing import Annotated

import typer

from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_json, print_rows
from workers.cli.session import open_session
from workers.organizations.store import organization_id
from workers.requesters import store

Name = Annotated[str, typer.Argument(help="Of the other system, such as crm.")]
KindOption = Annotated[
    list[str],
    typer.Option(
        "--kind", "-k", help="A kind of job, or all of a noun: certificate.*. Repeatable."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        no_args_is_help=True, help="Other systems that may ask for jobs: who, and for what."
    )
    for name, command in (
        ("add", add),
        ("list", list_all),
        ("show", show),
        ("grant", grant),
        ("revoke", revoke),
        ("disable", disable),
        ("enable", enable),
    ):
        group.command(name)(command)
    app.add_typer(group, name="requester")


def add(
    name: Name,
    *,
    broker_user: Annotated[
        str | None, typer.Option(help="Its user of RabbitMQ, which must set user_id.")
    ] = None,
    database_role: Annotated[
        str | None, typer.Option(help="Its login role, a member of keywright_requester.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add a system; it may ask for nothing until it is granted something.

    Example: `keywright requester add crm --broker-user crm --database-role crm`
    """
    with open_session() as connection:
        requester_id = store.add_requester(
            connection, name=name, broker_user=broker_user, database_role=database_role
        )
    if as_json:
        print_json({"requester_id": requester_id, "name": name})
    else:
        console.print(
            f"Added {name}. Grant it something: keywright requester grant {name} -o ORGANIZATION"
            " -k 'certificate.*'",
            markup=False,
            soft_wrap=True,
        )


def list_all(*, as_json: JsonOption = False) -> None:
    """List the systems that may ask for jobs."""
    with open_session() as connection:
        rows = store.list_requesters(connection)
    print_rows(
        rows,
        {
            "name": "Name",
            "broker_user": "RabbitMQ user",
            "database_role": "Database role",
            "grants": "Grants",
            "open_jobs": "Open jobs",
            "disabled_at": "Disabled",
        },
        as_json=as_json,
        empty="No other system may ask for jobs; `keywright requester add` adds one.",
    )


def show(name: Name, *, as_json: JsonOption = False) -> None:
    """Show what a system may ask for."""
    with open_session() as connection:
        requester = store.find_requester(connection, name)
        grants = store.grants_of(connection, name)
    if as_json:
        print_json({"requester": requester, "grants": grants})
        return
    print_rows(
        grants,
        {"organization": "Organization", "kinds": "May ask for"},
        as_json=False,
        empty=f"{name} may ask for nothing; `keywright requester grant` grants something.",
    )
    if requester.disabled_at is not None:
        console.print(f"It is disabled: `keywright requester enable {name}` lets it ask again.")


def grant(
    name: Name, *, organization: OrganizationOption, kind: KindOption, as_json: JsonOption = False
) -> None:
    """Let a system ask for kinds of job in an organization.

    Example: `keywright requester grant crm -o Acme -k 'certificate.*' -k keystore.export`
    """
    with open_session() as connection:
        added = store.grant(
            connection,
            name=name,
            organization_id=organization_id(connection, organization),
            kinds=store.kinds_meant(kind),
        )
    _say(added, "granted", as_json=as_json)


def revoke(
    name: Name, *, organization: OrganizationOption, kind: KindOption, as_json: JsonOption = False
) -> None:
    """Take grants back; jobs that were asked for go on.

    Example: `keywright requester revoke crm -o Acme -k keystore.export`
    """
    with open_session() as connection:
        taken = store.revoke(
            connection,
            name=name,
            organization_id=organization_id(connection, organization),
            kinds=store.kinds_meant(kind),
        )
    _say(taken, "revoked", as_json=as_json)


def disable(name: Name) -> None:
    """Refuse a system everything from now on."""
    with open_session() as connection:
        store.set_enabled(connection, name=name, enabled=False)
    console.print(f"{name} is refused from now on.", markup=False)


def enable(name: Name) -> None:
    """Let a system ask again, for what it was granted."""
    with open_session() as connection:
        store.set_enabled(connection, name=name, enabled=True)
    console.print(f"{name} may ask again.", markup=False)


def _say(count: int, done: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"kinds": count})
    else:
        console.print(f"{count} kinds of job were {done}.")
