"""Group roles on a server that has none yet, also with several databases at once."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.servers.folders import server_folder
from workers.database.embedded import open_embedded
from workers.database.roles import (
    CREATE_GROUP_ROLES,
    GROUP_ROLES,
    RolesMissingError,
    list_roles,
    set_up_roles,
)
from workers.database.schema import create_schema

DATABASES = [f"several_{number}" for number in range(4)]


@pytest.fixture
def fresh_server() -> Iterator[str]:
    """A server of its own without group roles, with some databases of the owner's."""
    folder = server_folder("kw-pg-")
    server = open_embedded(folder)
    with psycopg.connect(
        make_conninfo(server.conninfo, dbname="template1"), autocommit=True
    ) as owner:
        for name in DATABASES:
            owner.execute(f"CREATE DATABASE {name} STRATEGY wal_log")
    yield server.conninfo
    server.close()
    shutil.rmtree(folder, ignore_errors=True)


def owner(server: str, database: str) -> psycopg.Connection:
    """Return a connection of who owns the databases and may make no roles."""
    return psycopg.connect(make_conninfo(server, dbname=database), autocommit=True)


def administrator(server: str, database: str) -> psycopg.Connection:
    """Return a connection of who may do everything."""
    return psycopg.connect(make_conninfo(server, dbname=database, user="postgres"), autocommit=True)


def test_many_databases_at_once_get_their_roles(fresh_server: str) -> None:
    def make(database: str) -> None:
        with administrator(fresh_server, database) as connection:
            create_schema(connection)
            set_up_roles(connection)

    with ThreadPoolExecutor(len(DATABASES)) as threads:
        list(threads.map(make, DATABASES))
    with administrator(fresh_server, DATABASES[0]) as connection:
        assert [role.is_there for role in list_roles(connection)] == [True] * len(GROUP_ROLES)
        logins = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)"
            " AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls)",
            [list(GROUP_ROLES)],
        ).fetchall()
    assert logins == []


def test_one_database_is_set_up_by_many_at_once(fresh_server: str) -> None:
    with administrator(fresh_server, DATABASES[0]) as connection:
        create_schema(connection)

    def make(_: int) -> None:
        with administrator(fresh_server, DATABASES[0]) as connection:
            set_up_roles(connection)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(make, range(8)))


def test_who_may_make_no_roles_is_told_what_to_have_run(fresh_server: str) -> None:
    with owner(fresh_server, DATABASES[0]) as connection:
        create_schema(connection)
        with pytest.raises(RolesMissingError, match=r"`keywright database roles --sql`"):
            set_up_roles(connection)
        with administrator(fresh_server, "template1") as other:
            for _ in range(2):
                other.execute(CREATE_GROUP_ROLES)
        set_up_roles(connection)
        assert all(role.is_there for role in list_roles(connection))
        assert connection.execute(
            "SELECT pg_has_role('keywright_worker', 'pg_read_all_stats', 'USAGE')"
        ).fetchone() == (True,)
        assert connection.execute(
            "SELECT has_table_privilege('keywright_worker', 'keywright.job', 'UPDATE')"
        ).fetchone() == (True,)
