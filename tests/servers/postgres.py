"""A Postgres of one's own for tests: databases cloned from a template, a server to be killed."""

import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from tests.servers.folders import server_folder
from tests.servers.waiting import until
from workers.database.embedded import open_embedded
from workers.database.pool import Connection
from workers.database.roles import GROUP_ROLES, set_up_roles
from workers.database.schema import create_schema

_TEMPLATE = "keywright_template"


class PostgresServer:
    """The embedded server in a temporary folder, with a template that has the schema."""

    def __init__(self) -> None:
        self._folder = server_folder("kw-pg-")
        self._server = open_embedded(self._folder)
        with self._administer() as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(_TEMPLATE)))
        with self._administer(user="postgres") as connection:
            for role in GROUP_ROLES:
                connection.execute(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(role)))
        with psycopg.connect(self._conninfo(_TEMPLATE), autocommit=True) as connection:
            create_schema(connection)
            set_up_roles(connection)
            # A clone does not write its first numbers to the log where the template has drawn some
            # ahead, and after a crash it would draw them again; setval makes it begin afresh.
            connection.execute(
                "SELECT setval('keywright.audit_entry_entry_id_seq', max(entry_id))"
                " FROM keywright.audit_entry"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def database(self, *, schema: bool = True) -> Iterator[str]:
        """Yield the connection string of a fresh database; without ``schema`` it is empty."""
        name = f"test_{secrets.token_hex(4)}"
        template = _TEMPLATE if schema else "template0"
        with self._administer() as connection:
            connection.execute(
                SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log").format(
                    Identifier(name), Identifier(template)
                )
            )
        try:
            yield self._conninfo(name)
        finally:
            # Whoever owns a database may not end the autovacuum that happens to be in it.
            with self._administer(user="postgres") as connection:
                connection.execute(
                    SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name))
                )

    @contextmanager
    def login(self, conninfo: str, group: str, *, name: str | None = None) -> Iterator[str]:
        """Yield a connection string for a login that is a member of one group role, and no more."""
        name = name or f"login_{secrets.token_hex(4)}"
        with self._administer(user="postgres") as connection:
            connection.execute(
                SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(Identifier(name), Identifier(group))
            )
        try:
            yield make_conninfo(conninfo, user=name)
        finally:
            with self._administer(user="postgres") as connection:
                # Its temporary objects go with it, so wait until it is gone.
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                    " WHERE usename = %s",
                    [name],
                )
                connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))

    def kill(self) -> None:
        """End the server at once, as a loss of power would; its data stays."""
        pid = self._postmaster()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{pid}").exists(), "the postmaster to be gone")

    def start(self) -> None:
        """Start the server again on its data."""
        self._server.ensure_running()

    def _postmaster(self) -> int:
        with self._administer() as connection:
            # The server may see its process numbers in another namespace: count from ours.
            stat = Path(f"/proc/{connection.info.backend_pid}/stat")
            return int(stat.read_text().rpartition(")")[2].split()[1])

    def _conninfo(self, database: str) -> str:
        return make_conninfo(self._server.conninfo, dbname=database)

    @contextmanager
    def _administer(self, *, user: str | None = None) -> Iterator[Connection]:
        # DROP DATABASE waits for every other connection of the server to take note, even for one
        # whose client has stopped reading or is in the middle of a COPY: for ever, if need be.
        bound = "-c statement_timeout=60s"
        conninfo = make_conninfo(self._conninfo("template1"), user=user, options=bound)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            yield connection
