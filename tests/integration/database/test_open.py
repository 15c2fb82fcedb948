"""The database of a process: the one that is named, or its own."""

from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from workers.database.open import Database, open_database
from workers.database.schema import check_schema
from workers.errors import ConflictError


def test_a_database_that_is_named_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    url = "postgresql://user:hunter2@127.0.0.1:1/db"
    with open_database(SecretStr(url), folder) as database:
        assert (database.conninfo, database.is_embedded) == (url, False)
        assert "hunter2" not in repr(database)
    assert not folder.exists()


def test_without_a_name_the_own_one_has_the_schema_from_its_first_use(tmp_path: Path) -> None:
    for _ in range(2):
        with open_database(None, tmp_path / "data") as database:
            assert database.is_embedded
            with psycopg.connect(database.conninfo, autocommit=True) as connection:
                check_schema(connection)


def test_the_own_one_of_another_version_is_refused(tmp_path: Path) -> None:
    with (
        open_database(None, tmp_path / "data") as database,
        psycopg.connect(database.conninfo, autocommit=True) as connection,
    ):
        connection.execute("COMMENT ON SCHEMA keywright IS 'keywright schema version 99'")
        with pytest.raises(ConflictError, match="“keywright schema version 99”"):
            open_database(None, tmp_path / "data").__enter__()


def test_a_database_is_a_value() -> None:
    assert Database("dbname=x", is_embedded=True) == Database("dbname=x", is_embedded=True)
