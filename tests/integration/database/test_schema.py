"""The schema: created once, recognised, and keeping its rules whatever the code does."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.integration.database.plain_postgres import PlainPostgres
from tests.integration.notifications.household import DAY, NOON, Household, household, told
from tests.servers.postgres import PostgresServer
from workers.contract import Ping, Queue
from workers.database.pool import Connection
from workers.database.schema import check_schema, create_schema, schema_mark
from workers.errors import ConflictError, KeywrightError
from workers.jobs.claim import claim_job, finish_jobs
from workers.jobs.enqueue import enqueue
from workers.jobs.inspection import show_job
from workers.jobs.relay import offer_some
from workers.notifications.planning import plan_due_notices


@pytest.fixture
def empty(postgres: PostgresServer) -> Iterator[Connection]:
    """A connection to a database with nothing in it."""
    with (
        postgres.database(schema=False) as conninfo,
        psycopg.connect(conninfo, autocommit=True) as connection,
    ):
        yield connection


@pytest.fixture(scope="module")
def _plain_server() -> Iterator[PlainPostgres]:
    with PlainPostgres() as server:
        yield server


@pytest.fixture
def plain(_plain_server: PlainPostgres) -> Iterator[Connection]:
    """A connection to an empty database of a server that is set up as it comes."""
    with _plain_server.database() as conninfo, psycopg.connect(conninfo, autocommit=True) as plain:
        yield plain


@pytest.fixture
def acme(connection: Connection) -> Household:
    """An organization with a member and a version that has been told of."""
    acme = household(connection)
    acme.member("Holly", holder=True)
    acme.version("web", not_after=NOON + 10 * DAY, known_since=NOON - DAY)
    enqueue(connection, Ping(), organization_id=acme.organization_id, unique_key="key")
    with connection.transaction():
        plan_due_notices(connection, now=NOON, limit=10)
    return acme


def test_an_empty_database_gets_the_schema_once(empty: Connection) -> None:
    assert schema_mark(empty) is None
    assert create_schema(empty)
    assert schema_mark(empty) == "keywright schema version 4"
    check_schema(empty)
    enqueue(empty, Ping())
    assert not create_schema(empty)
    assert show_job(empty, 1).kind == "system.ping"


def test_many_who_create_it_at_once_make_one(empty: Connection) -> None:
    together = threading.Barrier(6)

    def create(_: int) -> bool:
        with psycopg.connect(empty.info.dsn, autocommit=True) as own:
            together.wait(timeout=30)
            return create_schema(own)

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(create, range(6))) == [False] * 5 + [True]
    check_schema(empty)


def test_a_creation_that_is_rolled_back_leaves_nothing(empty: Connection) -> None:
    with empty.transaction(force_rollback=True):
        assert create_schema(empty)
        check_schema(empty)
    assert schema_mark(empty) is None
    assert create_schema(empty)


def test_a_database_without_it_is_refused_with_what_to_do(empty: Connection) -> None:
    with pytest.raises(ConflictError, match="run `keywright database create` first"):
        check_schema(empty)


@pytest.mark.parametrize(
    ("mark", "shown"),
    [
        ("keywright schema version 1", "“keywright schema version 1”"),
        ("keywright schema version 33", "“keywright schema version 33”"),
        (None, "“an unmarked schema”"),
    ],
)
def test_another_version_is_refused_and_left_as_it_is(
    empty: Connection, mark: str | None, shown: str
) -> None:
    empty.execute("CREATE SCHEMA keywright")
    if mark is not None:
        empty.execute(f"COMMENT ON SCHEMA keywright IS '{mark}'")
    for refuse in (check_schema, create_schema):
        with pytest.raises(ConflictError, match=shown):
            refuse(empty)
    assert schema_mark(empty) == (mark or "")
    tables = empty.execute("SELECT FROM pg_tables WHERE schemaname = 'keywright'")
    assert tables.rowcount == 0


def test_it_works_on_the_oldest_plain_postgresql_at_hand(plain: Connection) -> None:
    assert plain.info.server_version >= 15_00_00
    assert create_schema(plain)
    job_id = enqueue(plain, Ping(), unique_key="once").job_id
    assert not enqueue(plain, Ping(), unique_key="once").created
    assert [hint.job_id for hint in offer_some(plain, tuple(Queue), 5)] == [job_id]
    claimed = claim_job(plain, job_id, worker="w", lease_seconds=30)
    assert claimed is not None
    assert finish_jobs(plain, [(claimed, {"fine": True})]) == [True]
    acme = household(plain)
    acme.member("Holly", holder=True)
    acme.version("web", not_after=NOON + 10 * DAY, known_since=NOON - DAY)
    with plain.transaction():
        plan_due_notices(plain, now=NOON, limit=10)
    assert told(plain) == {("Holly", "web", 10)}


def test_who_may_not_create_it_is_told_so(plain: Connection) -> None:
    plain.execute("CREATE ROLE powerless LOGIN")
    plain.execute("SET ROLE powerless")
    with pytest.raises(KeywrightError):
        create_schema(plain)
    assert schema_mark(plain) is None


REFUSED = [
    ("running_jobs_are_claimed_and_leased", "UPDATE job SET state = 'running'"),
    (
        "running_jobs_are_claimed_and_leased",
        ("UPDATE job SET claim = gen_random_uuid(), lease_until = now()"),
    ),
    ("finished_jobs_have_an_end", "UPDATE job SET state = 'succeeded'"),
    ("finished_jobs_have_an_end", "UPDATE job SET finished_at = now()"),
    ("failed_jobs_say_why", "UPDATE job SET state = 'failed', finished_at = now()"),
    ("attempts_stay_within_their_limit", "UPDATE job SET attempt = max_attempts + 1"),
    ("attempts_stay_within_their_limit", "UPDATE job SET attempt = -1"),
    (
        "job_is_unique_while_unfinished",
        (
            "INSERT INTO job (kind, queue, organization_id, unique_key, max_attempts)"
            " SELECT kind, queue, organization_id, unique_key, 1 FROM job"
        ),
    ),
    ("job_kind_check", "UPDATE job SET kind = 'Ping'"),
    ("job_kind_check", "UPDATE job SET kind = 'system.ping.now'"),
    ("job_arguments_check", "UPDATE job SET arguments = '[]'"),
    ("job_max_attempts_check", "UPDATE job SET max_attempts = 0"),
    ("organization_names_are_unique", "INSERT INTO organization (name) VALUES ('ACME')"),
    ("organization_sending_hour_check", "UPDATE organization SET sending_hour = 24"),
    (
        "member_emails_are_unique_in_an_organization",
        (
            "INSERT INTO member (organization_id, name, email)"
            " SELECT organization_id, 'x', upper(email) FROM member"
        ),
    ),
    ("permissions_are_known", "UPDATE member SET permissions = '{fly}'"),
    ("unique_names_follow_rule_2", "UPDATE certificate SET unique_name = '1web'"),
    ("unique_names_follow_rule_2", "UPDATE certificate SET unique_name = 'web_'"),
    ("unique_names_follow_rule_2", "UPDATE certificate SET unique_name = 'we__b'"),
    ("unique_names_follow_rule_2", "UPDATE certificate SET unique_name = repeat('x', 65)"),
    ("labels_follow_rule_1", "UPDATE certificate SET label = ''"),
    (
        "certificate_names_are_unique",
        (
            "INSERT INTO certificate (organization_id, unique_name, label, kind)"
            " SELECT organization_id, 'WEB', 'x', 'imported' FROM organization"
        ),
    ),
    ("dates_come_together", "UPDATE certificate_version SET not_before = NULL"),
    (
        "unusable_versions_are_silent",
        (
            "UPDATE certificate_version"
            " SET not_before = NULL, not_after = NULL, next_notice_at = now()"
        ),
    ),
    (
        "a_place_uses_one_version",
        (
            "INSERT INTO usage (organization_id, version_id, place_kind, place)"
            " SELECT organization_id, version_id, 'saml', 'here'"
            " FROM certificate_version, generate_series(1, 2)"
        ),
    ),
    (
        "one_digest_per_member_and_day",
        (
            "INSERT INTO digest (organization_id, member_id, local_day, send_at)"
            " SELECT organization_id, member_id, local_day, send_at FROM digest"
        ),
    ),
    (
        "one_notice_per_version_tier_and_member",
        (
            "INSERT INTO notice (version_id, tier_days, member_id, local_day, state, planned_at)"
            " SELECT version_id, tier_days, member_id, local_day, state, planned_at FROM notice"
        ),
    ),
    ("cancelled_notices_say_why", "UPDATE notice SET state = 'cancelled'"),
]


@pytest.mark.usefixtures("acme")
def test_the_database_itself_keeps_every_rule(connection: Connection) -> None:
    connection.execute("SET search_path = keywright")
    for rule, breach in REFUSED:
        with pytest.raises(psycopg.errors.IntegrityError) as refused:
            connection.execute(breach)
        assert refused.value.diag.constraint_name == rule, breach


@pytest.mark.parametrize(
    "breach",
    [
        "UPDATE certificate_version SET organization_id = %s",
        "UPDATE digest SET organization_id = %s",
        (
            "INSERT INTO usage (organization_id, version_id, place_kind, place)"
            " SELECT %s, version_id, 'saml', 'here' FROM certificate_version"
        ),
    ],
)
@pytest.mark.usefixtures("acme")
def test_nothing_is_shared_between_organizations(connection: Connection, breach: str) -> None:
    other = household(connection, "Other")
    connection.execute("SET search_path = keywright")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        connection.execute(breach, [other.organization_id])


def test_a_name_is_free_again_after_its_certificate_was_deleted(
    connection: Connection, acme: Household
) -> None:
    connection.execute("UPDATE keywright.certificate SET deleted_at = now()")
    acme.version("web", not_after=NOON + 90 * DAY)
    names = connection.execute("SELECT unique_name FROM keywright.certificate").fetchall()
    assert names == [("web",), ("web",)]
