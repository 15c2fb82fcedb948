"""``keywright database``."""

from typing import Annotated

import typer

from workers.cli.output import JsonOption, console, print_rows
from workers.cli.session import open_session, operator
from workers.database.open import open_database
from workers.database.pool import connect
from workers.database.roles import (
    CREATE_GROUP_ROLES,
    GROUP_ROLES,
    RolesMissingError,
    list_roles,
    set_up_roles,
)
from workers.database.schema import create_schema
from workers.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(no_args_is_help=True, help="Prepare the database.")
    group.command("create")(create)
    group.command("roles")(roles)
    app.add_typer(group, name="database")


def create() -> None:
    """Create the schema in the database of KEYWRIGHT_DATABASE_URL (PostgreSQL 15 or later).

    Where the schema is there already, only the kinds of job and the rights of the group roles are
    brought up to date. The embedded default needs no such step.

    Example: `KEYWRIGHT_DATABASE_URL=postgresql://owner@db/keywright keywright database create`
    """
    settings = load_settings()
    with (
        open_database(settings.database_url, settings.data_dir) as database,
        connect(database.conninfo, name="schema", acting=operator()) as connection,
    ):
        created = create_schema(connection)
        console.print("The schema was created." if created else "The schema is there already.")
        try:
            set_up_roles(connection)
        except RolesMissingError as error:
            console.print(f"No group roles: {error}", markup=False, soft_wrap=True)
        else:
            console.print(f"Group roles for logins: {', '.join(GROUP_ROLES)}.")


def roles(
    *,
    as_sql: Annotated[
        bool,
        typer.Option(
            "--sql", help="Print what an administrator runs to make them; needs no database."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the group roles that logins are made members of, and the logins that are.

    Example: `keywright database roles --sql | psql --username postgres`
    """
    if as_sql:
        typer.echo(CREATE_GROUP_ROLES)
        return
    with open_session() as connection:
        rows = list_roles(connection)
    print_rows(
        rows,
        {"name": "Role", "is_there": "There", "logins": "Logins"},
        as_json=as_json,
        empty="",
    )
