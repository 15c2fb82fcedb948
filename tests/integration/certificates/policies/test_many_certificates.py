"""With many certificates, looking for what is due costs what is due."""

from collections.abc import Callable

import pytest

from tests.integration.certificates.policies.shelf import Shelf
from workers.certificates.clean_up.store import delete_expired, find_expired, purge_deleted
from workers.certificates.review.store import rekeys_due, replacements_due
from workers.database.pool import Connection

MANY = 100_000
_CERTIFICATES = """
INSERT INTO keywright.certificate (organization_id, unique_name, label, kind)
SELECT %(organization_id)s, 'web' || number, 'web', 'self_signed'
  FROM generate_series(1, %(many)s) AS number
"""
# Every thousandth ended, the next of each thousand ends soon, and all others in a year; every tenth
# has a past version.
_VERSIONS = """
INSERT INTO keywright.certificate_version
       (certificate_id, organization_id, version_number, not_before, not_after, key_algorithm,
        private_key)
SELECT certificate_id, organization_id, version_number, not_after - interval '365 days', not_after,
       'RSA', 'sealed'
  FROM (SELECT certificate_id, organization_id, version_number,
               %(now)s::timestamptz
               + CASE WHEN version_number = 1 AND certificate_id %% 10 = 0 THEN -400
                      WHEN certificate_id %% 1000 = 1 THEN -200
                      WHEN certificate_id %% 1000 = 2 THEN 10
                      ELSE 360 END * interval '1 day' AS not_after
          FROM keywright.certificate
         CROSS JOIN generate_series(1, CASE WHEN certificate_id %% 10 = 0 THEN 2 ELSE 1 END)
               AS version_number) AS version
"""


@pytest.fixture
def acme(acme: Shelf) -> Shelf:
    """An organization with many certificates."""
    values = {"organization_id": acme.organization_id, "now": acme.now, "many": MANY}
    acme.connection.execute(_CERTIFICATES, values)
    acme.connection.execute(_VERSIONS, values)
    acme.connection.execute("ANALYZE")
    acme.policy(rekey_days_before=30, delete_expired_after_days=90, grace_days=0)
    return acme


def rows_read(connection: Connection, action: Callable[[], int]) -> tuple[int, int]:
    """Return what ``action`` returned, and how many rows of our tables were read for that."""
    with connection.transaction():
        before = _rows_read_so_far(connection)
        done = action()
        return done, _rows_read_so_far(connection) - before


def _rows_read_so_far(connection: Connection) -> int:
    row = connection.execute(
        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))"
        "  FROM pg_stat_xact_user_tables WHERE schemaname = 'keywright'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_what_is_due_is_found_through_an_index(acme: Shelf) -> None:
    connection, now = acme.connection, acme.now
    found, rows = rows_read(connection, lambda: len(rekeys_due(connection, now=now, limit=1000)))
    assert found == MANY // 1000
    assert rows < 20 * found
    found, rows = rows_read(
        connection, lambda: len(replacements_due(connection, now=now, limit=1000))
    )
    assert found == 0
    assert rows < MANY // 20
    expired: list[int] = []

    def find() -> int:
        expired.extend(find_expired(connection, now=now, limit=1000))
        return len(expired)

    found, rows = rows_read(connection, find)
    assert found == MANY // 1000
    assert rows < 20 * found
    found, rows = rows_read(connection, lambda: delete_expired(connection, expired, now=now))
    assert found == MANY // 1000
    assert rows < 50 * found
    found, rows = rows_read(connection, lambda: purge_deleted(connection, now=now, limit=1000))
    assert found == MANY // 1000
    assert rows < 50 * found
