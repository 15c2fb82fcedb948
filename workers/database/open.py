"""The database of this process: the one the settings name, or the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from workers.database.embedded import open_embedded
from workers.database.pool import connect
from workers.database.schema import create_schema


@dataclass(frozen=True)
class Database:
    """Where the database is; the connection string may hold a password and has no repr."""

    conninfo: str = field(repr=False)
    is_embedded: bool


@contextmanager
def open_database(database_url: SecretStr | None, data_dir: Path) -> Iterator[Database]:
    """Yield the database at ``database_url``; without one, the embedded server under ``data_dir``.

    The embedded server runs at least as long as the block, and its schema is created at first use.
    A server somebody else runs is left as it is: `keywright database create` is theirs to call.

    Raises:
        DatabaseUnavailableError: the embedded server does not start.
    """
    if database_url is not None:
        yield Database(database_url.get_secret_value(), is_embedded=False)
        return
    with open_embedded(data_dir) as server:
        with connect(server.conninfo, name="schema") as connection:
            create_schema(connection)
        yield Database(server.conninfo, is_embedded=True)
