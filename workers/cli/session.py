"""What most commands need: the settings, and one connection to a database with our schema."""

from collections.abc import Iterator
from contextlib import contextmanager

from workers.database.open import open_database
from workers.database.pool import Connection, connect
from workers.database.schema import check_schema
from workers.settings import load_settings


@contextmanager
def open_session() -> Iterator[Connection]:
    """Yield an autocommit connection; on the embedded default its server runs meanwhile.

    Raises:
        KeywrightError: a setting is wrong, or the database is not there or has no schema.
    """
    settings = load_settings()
    with (
        open_database(settings.database_url, settings.data_dir) as database,
        connect(database.conninfo, name="cli") as connection,
    ):
        check_schema(connection)
        yield connection
