"""Connections to the database, and what is said where there are none."""

from pathlib import Path

import psycopg
import pytest

from tests.servers.ports import free_port
from workers.database.pool import DATABASE_TROUBLE, DatabaseUnavailableError, connect, open_pool
from workers.errors import KeywrightError

SECRET = "hunter2"


def test_a_connection_commits_each_statement_and_bears_its_name(conninfo: str) -> None:
    with connect(conninfo, name="tester") as connection:
        assert connection.autocommit
        row = connection.execute("SELECT current_setting('application_name')").fetchone()
        assert row == ("keywright tester",)


def test_the_connections_of_a_pool_commit_each_statement_and_bear_its_name(conninfo: str) -> None:
    with (
        open_pool(conninfo, size=2, name="tester") as pool,
        pool.connection() as one,
        pool.connection() as two,
    ):
        for connection in (one, two):
            assert connection.autocommit
            row = connection.execute("SELECT current_setting('application_name')").fetchone()
            assert row == ("keywright tester",)


def test_a_pool_for_the_ledger_prefers_indexes(conninfo: str) -> None:
    with (
        open_pool(conninfo, size=1, name="ledger", index_only=True) as pool,
        pool.connection() as connection,
    ):
        plan = connection.execute("EXPLAIN SELECT FROM keywright.job WHERE job_id = 1").fetchall()
        assert "Index" in plan[0][0]


def test_a_pool_that_is_used_up_is_trouble_with_the_database(conninfo: str) -> None:
    with (
        open_pool(conninfo, size=1, name="tester") as pool,
        pool.connection(),
        pytest.raises(DATABASE_TROUBLE),
    ):
        pool.getconn(timeout=0.01)


def test_a_pool_survives_the_loss_of_its_connections(conninfo: str) -> None:
    with open_pool(conninfo, size=1, name="tester") as pool:
        with pytest.raises(DATABASE_TROUBLE), pool.connection() as connection:
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(f"postgresql://user:{SECRET}@127.0.0.1:{{port}}/db", id="nobody listens"),
        pytest.param(f"postgresql://user:{SECRET}@/db?host={{folder}}", id="no socket"),
        pytest.param(f"postgresql://user:a/{SECRET}@127.0.0.1/db", id="a slash in the password"),
        pytest.param(f"postgresql://user:a%{SECRET}@127.0.0.1:1/db", id="a percent sign"),
        pytest.param(f"postgresql://user:{SECRET}@127.0.0.1:{{port}}/db?x=1", id="unknown option"),
    ],
)
def test_where_no_database_is_found_is_said_without_the_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(KeywrightError) as refused:
        connect(url.format(port=free_port(), folder=tmp_path), name="tester")
    assert "check KEYWRIGHT_DATABASE_URL." in str(refused.value)
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_database_that_is_not_there_is_unavailable(conninfo: str) -> None:
    there = psycopg.conninfo.make_conninfo(conninfo, dbname="nowhere")
    with pytest.raises(DatabaseUnavailableError, match="nowhere"):
        connect(there, name="tester")


def test_a_process_that_is_frozen_in_a_transaction_keeps_nobody_waiting_for_ever(
    conninfo: str,
) -> None:
    lock = "SELECT FROM keywright.installation FOR UPDATE"
    with (
        open_pool(conninfo, size=1, name="frozen", longest_silence_seconds=0.5) as pool,
        psycopg.connect(conninfo, autocommit=True) as other,
    ):
        frozen = pool.getconn()
        frozen.execute("BEGIN")
        frozen.execute(lock)
        other.execute("SET lock_timeout = '20s'")
        other.execute(lock)  # once the server has ended the other's transaction
        with pytest.raises(DATABASE_TROUBLE):
            frozen.execute(lock)
        pool.putconn(frozen)
