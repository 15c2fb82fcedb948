"""What is done stands in the record: by whom, through which door, before and after."""

import re
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from tests.integration.abuse.tenants import Tenants
from tests.integration.certificates.keystore_jobs.office import issue
from tests.servers.postgres import PostgresServer
from workers.audit.reading import list_entries
from workers.contract import (
    DeleteCertificate,
    ExportKeystore,
    GenerateCertificate,
    RegisterUsage,
    RotateMasterKey,
    StartReplacement,
)
from workers.database.pool import Acting, Connection, act_as
from workers.jobs.enqueue import enqueue
from workers.jobs.inspection import cancel_job, retry_job
from workers.requesters.store import add_requester, grant, revoke

ROOT = Path(__file__).parents[3]
ADA = Acting("operator:ada", "cli")

# Nobody decides anything in these: what leads to them is recorded, or they are the record.
NOT_RECORDED = {
    "installation": "made once, with the schema",
    "job_kind": "follows the contract of the release",
    "job": "comes and goes by the million; who cancels or retries one is recorded",
    "intake": "who asked stands with the job",
    "reply": "on its way out",
    "fire": "the clock",
    "tier_record": "follows from the policy and the clock",
    "expiry_mark": "follows from the clock",
    "digest": "follows from the policy and the clock; kept itself",
    "notice": "follows from the policy and the clock; kept itself",
    "delivery": "a record itself",
    "master_key_transition": "the rules, made with the schema",
    "master_key_history": "a record itself",
    "reencryption_range": "work in progress",
    "announcement": "follows from what is recorded",
    "announcement_mark": "bookkeeping",
    "webhook_delivery": "a record itself",
    "audit_entry": "the record",
    "audit_link": "the record",
    "audit_unlinked": "bookkeeping",
}

# What may not be copied, since the record stays for good: the values of these columns.
NEVER_COPIED = {
    *("private_key", "value", "content", "wrapped_key", "arguments", "data"),  # secrets, ciphertext
    *("certificate_der", "chain_der", "csr_der", "public_key"),
    *("email", "url"),  # whom it concerns, and what may hold a password
}


def entries(connection: Connection, action: str) -> list[tuple[Any, ...]]:
    """Return actor, door, object, before and after of what was done, oldest first."""
    return [
        (each.actor, each.door, each.object, each.before, each.after)
        for each in reversed(list_entries(connection, action=action))
    ]


def test_every_table_is_recorded_or_there_is_a_reason_why_not(connection: Connection) -> None:
    tables = dict(
        connection.execute(
            "SELECT relname, count(tgname) FILTER (WHERE tgname ~ '_are_recorded$') FROM pg_class"
            " LEFT JOIN pg_trigger ON tgrelid = pg_class.oid"
            " WHERE relnamespace = 'keywright'::regnamespace AND relkind = 'r' GROUP BY relname"
        ).fetchall()
    )
    assert tables.pop("job") == 2  # has two of its own
    assert {name for name, count in tables.items() if count != 4} == NOT_RECORDED.keys() - {"job"}


def test_no_secret_ciphertext_or_address_is_among_what_is_copied(connection: Connection) -> None:
    functions = connection.execute(
        "SELECT DISTINCT proname, prosrc FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid"
        " WHERE tgname = 'creations_are_recorded'"
    ).fetchall()
    assert len(functions) > 25
    for name, source in functions:
        # 'name', became.name: a copy. Whether a column has changed is said without it.
        copied = set(re.findall(r"'(\w+)', (?:became|was)\.\1", source))
        assert copied, name
        assert not copied & NEVER_COPIED, name


def test_an_operators_changes_are_the_operators(connection: Connection, tenants: Tenants) -> None:
    acme = tenants.acme.organization_id
    act_as(connection, ADA, for_session=True)
    connection.execute(
        "INSERT INTO keywright.certificate_policy (organization_id, rekey_days_before)"
        " VALUES (%(organization_id)s, 30)",
        {"organization_id": acme},
    )
    connection.execute("UPDATE keywright.certificate_policy SET rekey_days_before = 20")
    connection.execute("UPDATE keywright.certificate_policy SET rekey_days_before = 20")
    created, updated = entries(connection, "certificate_policy.*")
    assert created[:4] == ("operator:ada", "cli", f"certificate-policy/{acme}", None)
    assert updated[3]["rekey_days_before"] == 30
    assert updated[4]["rekey_days_before"] == 20


def test_grants_are_recorded_when_given_and_when_taken(connection: Connection) -> None:
    act_as(connection, ADA, for_session=True)
    connection.execute("INSERT INTO keywright.organization (name) VALUES ('Acme')")
    add_requester(connection, name="crm", broker_user="crm", database_role=None)
    grant(connection, name="crm", organization_id=1, kinds=["system.ping"])
    grant(connection, name="crm", organization_id=1, kinds=["system.ping"])
    revoke(connection, name="crm", organization_id=1, kinds=["system.ping"])
    grants = entries(connection, "grant.*")
    what = {"requester_id": 1, "kind": "system.ping"}
    assert grants == [
        ("operator:ada", "cli", "grant/1/1/system.ping", None, what),
        ("operator:ada", "cli", "grant/1/1/system.ping", what, None),
    ]


def test_what_a_job_does_is_done_by_who_asked_for_it(
    connection: Connection, tenants: Tenants
) -> None:
    act_as(connection, Acting("requester:crm", "amqp"), for_session=True)
    for request in (
        GenerateCertificate(label="Web", profile="signing", key_type="P-256"),
        RegisterUsage(certificate="Web", place_kind="listener", place="edge"),
        StartReplacement(certificate="Web", successor="own"),
        DeleteCertificate(unique_name="spare"),
        ExportKeystore(password=tenants.acme.secret()),
        RotateMasterKey(expected_number=1),
    ):
        assert tenants.run(request).problem is None
    for action in (
        *("certificate.create", "certificate_version.create", "usage.create"),
        *("replacement.create", "certificate.delete", "artifact.create", "handed_secret.open"),
        *("handed_secret.use_up", "keystore.export", "master_key.generate", "master_key.rotate"),
    ):
        actor, door, *_ = entries(connection, action)[-1]
        assert (action, actor, door) == (action, "requester:crm", "amqp")
    by_job = connection.execute(
        "SELECT DISTINCT kind FROM keywright.audit_entry JOIN keywright.job USING (job_id)"
    ).fetchall()
    assert {row[0] for row in by_job} >= {"certificate.generate", "keystore.export"}


def test_plain_sql_is_recorded_with_its_database_role(connection: Connection) -> None:
    connection.execute("INSERT INTO keywright.organization (name) VALUES ('Acme')")
    entry = list_entries(connection, action="organization.create")[0]
    assert (entry.actor, entry.door) == (f"database:{connection.info.user}", "sql")
    connection.execute("SELECT set_config('keywright.actor', 'operator:root', false)")
    connection.execute("UPDATE keywright.organization SET sending_hour = 9")
    [entry] = list_entries(connection, action="organization.update")
    # Whatever it says of itself, the role stands beside it.
    assert (entry.actor, entry.database_role) == ("operator:root", connection.info.user)
    assert entry.before is not None
    assert (entry.before["sending_hour"], (entry.after or {})["sending_hour"]) == (8, 9)


def test_what_is_rolled_back_was_never_done(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("INSERT INTO keywright.organization (name) VALUES ('Acme')")
    assert list_entries(connection, action="organization.*") == []


def test_who_cancels_and_retries_a_job_is_recorded(connection: Connection) -> None:
    act_as(connection, ADA, for_session=True)
    job_id = enqueue(connection, DeleteCertificate(unique_name="x")).job_id
    cancel_job(connection, job_id)
    retry_job(connection, job_id)
    assert [
        (each.action, each.actor, each.object)
        for each in reversed(list_entries(connection, action="job.*"))
    ] == [
        ("job.cancel", "operator:ada", f"job/{job_id}"),
        ("job.retry", "operator:ada", f"job/{job_id}"),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE keywright.audit_entry SET actor = 'x'",
        "DELETE FROM keywright.audit_entry",
        "TRUNCATE keywright.audit_entry CASCADE",
        "UPDATE keywright.audit_link SET position = 7",
        "DELETE FROM keywright.audit_link",
        "TRUNCATE keywright.audit_link",
    ],
)
def test_the_record_is_never_changed(connection: Connection, statement: LiteralString) -> None:
    connection.execute("INSERT INTO keywright.organization (name) VALUES ('Acme')")
    with pytest.raises(psycopg.errors.CheckViolation, match="is not allowed"):
        connection.execute(statement)


@pytest.mark.parametrize("role", ["keywright_worker", "keywright_scheduler"])
@pytest.mark.parametrize("column", ["entry_id", "occurred_at", "actor", "database_role", "job_id"])
def test_time_role_and_number_are_the_databases_to_say(
    connection: Connection, conninfo: str, postgres: PostgresServer, role: str, column: str
) -> None:
    with (
        postgres.login(conninfo, role) as login,
        psycopg.connect(login, autocommit=True) as own,
    ):
        own.execute("SELECT keywright.audit('a.b', 'c')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            own.execute(
                f"INSERT INTO keywright.audit_entry (action, object, {column})"
                " OVERRIDING SYSTEM VALUE VALUES ('a.b', 'c', NULL)".encode()
            )
        assert connection.execute(
            "SELECT database_role FROM keywright.audit_entry WHERE action = 'a.b'"
        ).fetchall() == [(own.info.user,)]


def test_an_entry_is_the_same_whatever_the_session_has_set(
    connection: Connection, tenants: Tenants
) -> None:
    connection.execute("SET timezone = 'Asia/Kathmandu'; SET bytea_output = 'escape'")
    tenants.acme.keep("another", issue("another"))
    after = list_entries(connection, action="certificate_version.create", limit=1)[0].after
    assert after is not None
    assert after["not_after"] == "2036-01-01T00:00:00+00:00"
    assert re.fullmatch(r"\\x[0-9a-f]{64}", after["fingerprint"])
    connection.execute(
        "INSERT INTO keywright.retired_default (fingerprint, subject, retired_by)"
        " VALUES (decode(repeat('0a', 32), 'hex'), 'CN=x', 'ada')"
    )
    [entry] = list_entries(connection, action="retired_default.*")
    assert entry.object == "retired-default/" + "0a" * 32
