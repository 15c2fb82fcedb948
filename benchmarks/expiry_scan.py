"""``python -m benchmarks.expiry_scan``: planning notices in a small and in a large table.

As many are due in both; beside it, the bare ``INSERT … SELECT`` that writes the same rows.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg

from benchmarks.servers import run_postgres
from workers.database.pool import Connection
from workers.database.schema import create_schema
from workers.notifications.handlers import VERSIONS_PER_STEP
from workers.notifications.planning import plan_due_notices
from workers.telemetry import configure_logging

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
_ORGANIZATIONS = 100
_VERSIONS_PER_CERTIFICATE = 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=5_000_000)
    parser.add_argument("--due", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    configure_logging("warning", "text")  # to standard error: standard output is for the figures
    seconds: dict[int, tuple[float, float, float]] = {}
    with run_postgres() as postgres:
        for versions in (options.small, options.large):
            with psycopg.connect(postgres.create_database(), autocommit=True) as connection:
                fill(connection, versions=versions, due=options.due)
                seconds[versions] = measure(connection, options.rounds)
    small, large = seconds[options.small], seconds[options.large]
    figures = {
        "versions": [options.small, options.large],
        "due": options.due,
        "plan_seconds": [round(small[0], 4), round(large[0], 4)],
        "insert_select_seconds": [round(small[1], 4), round(large[1], 4)],
        "insert_select_and_update_seconds": [round(small[2], 4), round(large[2], 4)],
        "time_ratio": round(large[0] / small[0], 2),
        "ratio_to_insert_select": round(large[0] / large[1], 2),
        "ratio_to_all_writes": round(large[0] / large[2], 2),
    }
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for key, value in figures.items():
            print(f"{key:34} {value}")


def fill(connection: Connection, *, versions: int, due: int) -> None:
    """Make so many versions of one-year certificates, ``due`` of them with a tier due at NOW."""
    create_schema(connection)
    connection.execute(
        """
        INSERT INTO keywright.organization (name)
        SELECT 'Organization ' || n FROM generate_series(1, %(organizations)s) AS n
        """,
        {"organizations": _ORGANIZATIONS},
    )
    connection.execute(
        """
        INSERT INTO keywright.member (organization_id, name, email, profile, permissions)
        SELECT organization_id, 'Member ' || n, n || '@example.org',
               CASE WHEN n = 3 THEN 'system_administrator' ELSE 'standard' END
                   ::keywright.member_profile,
               CASE WHEN n = 3 THEN '{}' ELSE '{receive_expiration_notices}' END::text[]
          FROM keywright.organization CROSS JOIN generate_series(1, 4) AS n
        """
    )
    connection.execute(
        """
        INSERT INTO keywright.certificate (organization_id, unique_name, label, kind)
        SELECT 1 + n %% %(organizations)s, 'c' || n, 'c' || n, 'imported'
          FROM generate_series(0, %(certificates)s) AS n
        """,
        {
            "organizations": _ORGANIZATIONS,
            "certificates": versions // _VERSIONS_PER_CERTIFICATE,
        },
    )
    # The due ones lie scattered over the whole table, as they would in life. That they were made is
    # not recorded here: the record of millions takes longer than all that is measured.
    connection.execute(
        "ALTER TABLE keywright.certificate_version DISABLE TRIGGER creations_are_recorded"
    )
    connection.execute(
        """
        INSERT INTO keywright.certificate_version
               (certificate_id, organization_id, version_number, not_before, not_after, serial,
                fingerprint, subject, issuer, key_algorithm, key_size, known_since, is_newest,
                next_notice_at)
        SELECT certificate_id, organization_id, 1 + n / certificates, ends - interval '365 days',
               ends, to_hex(n), sha256(int4send(n)), 'CN=host-' || n, 'CN=Some CA', 'RSA', 2048,
               %(now)s - interval '1 day', n + certificates >= %(versions)s,
               CASE WHEN is_due THEN %(now)s - interval '4 hours'
                    ELSE ends - interval '60 days' END
          FROM (SELECT n, n %% %(every)s = 0 AS is_due,
                       CASE WHEN n %% %(every)s = 0 THEN %(now)s + interval '30 days'
                            ELSE %(now)s + interval '70 days' + n %% 250 * interval '1 day'
                       END AS ends,
                       %(versions)s / %(per)s + 1 AS certificates
                  FROM generate_series(0, %(versions)s - 1) AS n) AS made
          JOIN keywright.certificate ON certificate_id = 1 + n %% certificates
        """,
        {
            "now": NOW,
            "versions": versions,
            "every": versions // due,
            "per": _VERSIONS_PER_CERTIFICATE,
        },
    )
    connection.execute(
        "ALTER TABLE keywright.certificate_version ENABLE TRIGGER creations_are_recorded"
    )
    connection.execute(
        "INSERT INTO keywright.tier_record (version_id, tier_days, outcome, decided_at)"
        " SELECT version_id, 60, 'already_past', %(now)s FROM keywright.certificate_version"
        " WHERE next_notice_at <= %(now)s",
        {"now": NOW},
    )
    connection.execute("VACUUM (ANALYZE)")


def measure(connection: Connection, rounds: int) -> tuple[float, float, float]:
    """Return the median seconds of planning, of the bare inserts, and of inserts and update."""
    results = []
    for number in range(rounds + 1):
        plan_seconds = _timed(lambda: _plan(connection))
        if number == 0:
            _keep(connection)
        _undo(connection)
        insert_seconds = _timed(lambda: _insert(connection))
        update_seconds = _timed(lambda: _update(connection))
        _undo(connection)
        if number:  # the first round warms caches up
            results.append((plan_seconds, insert_seconds, insert_seconds + update_seconds))
    plan, insert, everything = zip(*results, strict=True)
    return statistics.median(plan), statistics.median(insert), statistics.median(everything)


def _timed(act: Callable[[], None]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _plan(connection: Connection) -> None:
    while True:
        with connection.transaction():
            planned = plan_due_notices(connection, now=NOW, limit=VERSIONS_PER_STEP)
        if planned.versions < VERSIONS_PER_STEP:
            return


def _keep(connection: Connection) -> None:
    """Remember what was planned, to write the same rows without any thinking."""
    for table in ("notice", "digest", "tier_record", "announcement"):
        connection.execute(f"CREATE TEMP TABLE kept_{table} AS SELECT * FROM keywright.{table}")
    connection.execute(
        "CREATE TEMP TABLE kept_version AS SELECT version_id, next_notice_at"
        " FROM keywright.certificate_version JOIN kept_tier_record USING (version_id)"
        " WHERE tier_days = 30"
    )
    connection.execute("DELETE FROM kept_tier_record WHERE tier_days = 60")
    connection.execute("ANALYZE")


def _insert(connection: Connection) -> None:
    with connection.transaction():
        connection.execute(
            "INSERT INTO keywright.digest (organization_id, member_id, local_day, send_at)"
            " SELECT organization_id, member_id, local_day, send_at FROM kept_digest"
        )
        connection.execute("INSERT INTO keywright.notice SELECT * FROM kept_notice")
        connection.execute("INSERT INTO keywright.tier_record SELECT * FROM kept_tier_record")
        connection.execute(
            "INSERT INTO keywright.announcement (kind, organization_id, subject, data)"
            " SELECT kind, organization_id, subject, data FROM kept_announcement"
        )


def _update(connection: Connection) -> None:
    connection.execute(
        "UPDATE keywright.certificate_version AS version"
        " SET next_notice_at = kept_version.next_notice_at"
        " FROM kept_version WHERE version.version_id = kept_version.version_id"
    )


def _undo(connection: Connection) -> None:
    connection.execute(
        "TRUNCATE keywright.notice, keywright.delivery, keywright.digest, keywright.announcement,"
        " keywright.webhook_delivery"
    )
    connection.execute("DELETE FROM keywright.tier_record WHERE tier_days <> 60")
    connection.execute(
        "UPDATE keywright.certificate_version AS version"
        " SET next_notice_at = %(now)s - interval '4 hours'"
        " FROM kept_version WHERE version.version_id = kept_version.version_id",
        {"now": NOW},
    )
    connection.execute("VACUUM keywright.tier_record, keywright.certificate_version")


if __name__ == "__main__":
    main()
