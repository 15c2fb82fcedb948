"""``keywright database``."""

import typer

from workers.cli.output import console
from workers.database.open import open_database
from workers.database.pool import connect
from workers.database.schema import create_schema
from workers.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(no_args_is_help=True, help="Prepare the database.")
    group.command("create")(create)
    app.add_typer(group, name="database")


def create() -> None:
    """Create the schema in the database of KEYWRIGHT_DATABASE_URL (PostgreSQL 15 or later).

    Does nothing where it is there already. The embedded default needs no such step.

    Example: `KEYWRIGHT_DATABASE_URL=postgresql://owner@db/keywright keywright database create`
    """
    settings = load_settings()
    with (
        open_database(settings.database_url, settings.data_dir) as database,
        connect(database.conninfo, name="schema") as connection,
    ):
        created = create_schema(connection)
    console.print("The schema was created." if created else "The schema is there already.")
