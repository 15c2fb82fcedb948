"""What most commands need: the settings, and one connection to a database with our schema."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

from workers.database.open import open_database
from workers.database.pool import Acting, Connection, connect
from workers.database.schema import check_schema
from workers.settings import load_settings


def operator() -> Acting:
    """Return who acts at the command line: the user of the operating system."""
    try:
        return Acting(f"operator:{getpass.getuser()}", "cli")
    except (KeyError, OSError):
        # A container may run as a number without a name.
        return Acting("operator:unknown", "cli")


@contextmanager
def open_session() -> Iterator[Connection]:
    """Yield an autocommit connection; on the embedded default its server runs meanwhile.

    Raises:
        KeywrightError: a setting is wrong, or the database is not there or has no schema.
    """
    settings = load_settings()
    with (
        open_database(settings.database_url, settings.data_dir) as database,
        connect(database.conninfo, name="cli", acting=operator()) as connection,
    ):
        check_schema(connection)
        yield connection
