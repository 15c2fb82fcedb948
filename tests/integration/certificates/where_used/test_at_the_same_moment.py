"""Rule 61: a usage and a deletion in the same moment, in either order, whichever way they come."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.integration.certificates.inventory import inventory, uncommitted
from tests.integration.certificates.where_used.ways import RefusedError, Way, Ways
from tests.integration.jobs.workbench import Workbench, count
from tests.servers.waiting import until
from workers.database.pool import Connection

USING = [Ways.use_by_job, Ways.use_by_command, Ways.use_by_sql]
DELETING = [Ways.delete_by_job, Ways.delete_by_command, Ways.delete_by_sql]
# Each way of one side against one of the other; all pairs would show no more.
PAIRS = [
    *((use, Ways.delete_by_function) for use in USING),
    *((Ways.use_by_function, delete) for delete in DELETING),
    (Ways.use_by_sql, Ways.delete_by_sql),
]
pairs = pytest.mark.parametrize(
    ("use", "delete"), PAIRS, ids=[f"{use.__name__}-{delete.__name__}" for use, delete in PAIRS]
)


@pytest.fixture
def ways(conninfo: str, connection: Connection, workbench: Workbench, tmp_path: Path) -> Ways:
    """An organization with a certificate that nothing uses yet."""
    return Ways(conninfo, inventory(connection), workbench, tmp_path)


def waiting(connection: Connection) -> int:
    """Return how many connections wait for somebody's lock."""
    found = connection.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchone()
    assert found is not None
    return int(found[0])


@contextmanager
def held_up_at_its_last_step(conninfo: str) -> Iterator[Callable[[], None]]:
    """Let nobody write to versions until told to, so that who changes something stands still.

    Both a usage and a deletion end with the notices of a version. By then each has the lock of the
    certificate, and has looked and written: that is the moment in which the other one comes.
    """
    with uncommitted(conninfo) as holding:
        holding.execute("SELECT FROM keywright.certificate_version FOR NO KEY UPDATE")
        yield holding.rollback


def race(conninfo: str, connection: Connection, first: Way, second: Way) -> None:
    """Begin ``second`` before ``first`` has committed; raise why the second was refused."""
    with ThreadPoolExecutor(2) as threads, held_up_at_its_last_step(conninfo) as let_go:
        earlier = threads.submit(first)
        until(lambda: waiting(connection) == 1, "the first to stand still")
        later = threads.submit(second)
        until(lambda: waiting(connection) == 2, "the second to wait for the first")
        assert not earlier.done()
        assert not later.done()
        let_go()
        earlier.result()
        with pytest.raises(RefusedError) as refusal:
            later.result()
    raise refusal.value


@pairs
def test_rule_61_a_deletion_in_the_moment_a_usage_is_added_is_refused(
    conninfo: str,
    connection: Connection,
    ways: Ways,
    use: Callable[[Ways], None],
    delete: Callable[[Ways], None],
) -> None:
    with pytest.raises(RefusedError, match=r"still in use[\s\S]*api_client: Billing \(version 1\)"):
        race(conninfo, connection, lambda: use(ways), lambda: delete(ways))
    assert count(connection, "keywright.usage") == 1
    assert count(connection, "keywright.certificate WHERE deleted_at IS NULL") == 1


@pairs
def test_rule_61_a_usage_in_the_moment_of_deletion_is_refused(
    conninfo: str,
    connection: Connection,
    ways: Ways,
    use: Callable[[Ways], None],
    delete: Callable[[Ways], None],
) -> None:
    with pytest.raises(RefusedError, match=r"no certificate named “web”|\"web\" was deleted"):
        race(conninfo, connection, lambda: delete(ways), lambda: use(ways))
    assert count(connection, "keywright.usage") == 0
    assert count(connection, "keywright.certificate WHERE deleted_at IS NULL") == 0


def test_a_usage_that_is_not_committed_after_all_lets_the_deletion_through(
    conninfo: str, connection: Connection, ways: Ways
) -> None:
    with uncommitted(conninfo) as using, ThreadPoolExecutor(1) as threads:
        using.execute(
            "INSERT INTO keywright.usage (organization_id, version_id, place_kind, place)"
            " SELECT organization_id, version_id, 'api_client', 'Billing'"
            "   FROM keywright.certificate_version"
        )
        deletion = threads.submit(ways.delete_by_sql)
        until(lambda: waiting(connection) == 1, "the deletion to wait")
        using.rollback()
        deletion.result()
    assert count(connection, "keywright.certificate WHERE deleted_at IS NULL") == 0


@pytest.mark.parametrize("isolation", [None, psycopg.IsolationLevel.REPEATABLE_READ])
def test_rule_61_a_transaction_that_has_read_before_the_deletion_adds_no_usage_after_it(
    conninfo: str,
    ways: Ways,
    isolation: psycopg.IsolationLevel | None,
) -> None:
    with psycopg.connect(conninfo) as reading:
        reading.isolation_level = isolation
        row = reading.execute(
            "SELECT organization_id, version_id FROM keywright.certificate_version"
        ).fetchone()
        ways.delete_by_function()
        with pytest.raises((psycopg.errors.RestrictViolation, psycopg.errors.SerializationFailure)):
            reading.execute(
                "INSERT INTO keywright.usage (organization_id, version_id, place_kind, place)"
                " VALUES (%s, %s, 'api_client', 'Billing')",
                row,
            )
