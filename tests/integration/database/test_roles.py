"""Workers, schedulers and readers with no more rights than their group roles give."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from scheduler.service import SchedulerService
from tests.integration.certificates.issuance.workshop import certificate_tools
from tests.integration.certificates.keystore_jobs.office import Office, issue, office
from tests.integration.jobs.workbench import Workbench
from tests.servers.postgres import PostgresServer
from tests.servers.smtp import SmtpSink
from tests.servers.waiting import until
from workers.certificates.keystores.writing import write_keystore
from workers.composition import usual_handlers
from workers.contract import (
    AdvanceReplacement,
    CleanUpCertificates,
    CopyCertificate,
    DeleteCertificate,
    ExportKeystore,
    GenerateCertificate,
    ImportKeystore,
    JobRequest,
    MoveUsage,
    Ping,
    PurgeAnnouncements,
    PurgeHandover,
    PurgeJobs,
    RegisterUsage,
    RekeyCertificate,
    RemoveUsage,
    RestoreCertificate,
    ReviewCertificates,
    ReviewMasterKeys,
    RewrapMasterKeys,
    RollBackReplacement,
    RotateMasterKey,
    ScanExpiries,
    StartReencryption,
    StartReplacement,
)
from workers.database.pool import Connection, open_pool
from workers.jobs.enqueue import enqueue
from workers.organizations.members import NewMember
from workers.organizations.store import add_members
from workers.settings import load_settings

PASSWORD = "a password of the keystore"


@pytest.fixture
def acme(connection: Connection, conninfo: str, tmp_path: Path) -> Iterator[Office]:
    """An organization with certificates, one of which ends soon, and somebody to tell."""
    with open_pool(conninfo, size=2, name="owner") as pool:
        acme = office(connection, certificate_tools(pool, tmp_path))
        for name in ("one", "two", "three"):
            acme.keep(name, issue(name))
        add_members(
            connection,
            organization_id=acme.organization_id,
            members=[
                NewMember(name="Ada", email="ada@example.org", profile="system_administrator")
            ],
        )
        connection.execute(
            "UPDATE keywright.certificate_version SET not_before = now() - interval '300 days',"
            " not_after = now() + interval '20 days', known_since = now() - interval '100 days'"
            " WHERE version_id = 3"
        )
        connection.execute("SELECT keywright.schedule_notices('{3}')")
        connection.execute("UPDATE keywright.organization SET sending_hour = 0")
        yield acme


def test_every_job_can_be_done_by_a_worker_with_the_rights_of_one(
    postgres: PostgresServer, conninfo: str, acme: Office, tmp_path: Path, smtp_sink: SmtpSink
) -> None:
    settings = load_settings(
        {
            "KEYWRIGHT_SMTP_URL": smtp_sink.url,
            "KEYWRIGHT_ROOT_KEY": f"file:{tmp_path / 'root.key'}",
        }
    )
    keystore = write_keystore("pkcs12", keys=[issue("new").entry("new")], password=PASSWORD)
    with (
        postgres.login(conninfo, "keywright_worker") as login,
        open_pool(login, size=4, name="ledger") as ledger,
        open_pool(login, size=3, name="worker") as pool,
    ):
        workbench = Workbench(ledger, pool)
        execution = workbench.execution(usual_handlers(settings, login, ledger))

        def work(*requests: JobRequest) -> None:
            for request in requests:
                enqueue(acme.connection, request, organization_id=acme.organization_id)
                work_off()

        def work_off() -> None:
            while waiting := acme.connection.execute(
                "SELECT job_id FROM keywright.job WHERE state = 'scheduled' AND run_at <= now()"
                " ORDER BY job_id"
            ).fetchall():
                for (job_id,) in waiting:
                    execution.execute(job_id)

        work(
            *(Ping(), ScanExpiries(), ReviewMasterKeys(), ReviewCertificates()),
            GenerateCertificate(label="Made", profile="signing", key_type="P-256"),
            RekeyCertificate(unique_name="Made"),
            CopyCertificate(source="Made", label="Copy"),
            RegisterUsage(certificate="one", place_kind="listener", place="edge"),
            StartReplacement(certificate="one", successor="two"),
            AdvanceReplacement(replacement_id=1, to="overlapping"),
            AdvanceReplacement(replacement_id=1, to="switched"),
            AdvanceReplacement(replacement_id=1, to="completed"),
            RemoveUsage(place_kind="listener", place="edge"),
            RegisterUsage(certificate="two", place_kind="listener", place="inner"),
            MoveUsage(certificate="three", place_kind="listener", place="inner"),
            StartReplacement(certificate="three", successor="two"),
            AdvanceReplacement(replacement_id=2, to="overlapping"),
            RollBackReplacement(replacement_id=2),
            DeleteCertificate(unique_name="one"),
            RestoreCertificate(unique_name="one"),
            ExportKeystore(password=acme.secret(PASSWORD)),
            ImportKeystore(artifact=acme.bring(keystore), password=acme.secret(PASSWORD)),
            RotateMasterKey(expected_number=1, reencrypt=True),
            *(CleanUpCertificates(), PurgeHandover(), PurgeJobs(), PurgeAnnouncements()),
            RewrapMasterKeys(),
        )
        acme.connection.execute("UPDATE keywright.digest SET send_at = now() WHERE state = 'open'")
        work(ScanExpiries(), StartReencryption())
        workbench.keeper.stop()
    troubled = acme.connection.execute(
        "SELECT kind, problem ->> 'detail' FROM keywright.job WHERE problem IS NOT NULL"
        " OR state NOT IN ('succeeded', 'scheduled')"
    ).fetchall()
    assert troubled == []
    assert acme.one("SELECT bool_and(state = 'completed') FROM keywright.reencryption_run")
    assert len(smtp_sink.messages) == 1


WORKERS_MUST_NOT = {
    "change the audit record": "UPDATE keywright.audit_entry SET actor = 'x'",
    "delete from the audit record": "DELETE FROM keywright.audit_entry",
    "rewrite a key's past": "UPDATE keywright.master_key_history SET actor = 'x'",
    "grant": "INSERT INTO keywright.requester_grant VALUES (1, 1, 'system.ping')",
    "add a requester": "INSERT INTO keywright.requester (name) VALUES ('x')",
    "retire a default": "INSERT INTO keywright.retired_default (fingerprint) VALUES ('')",
    "allow several SAML configurations": "INSERT INTO keywright.saml_multiple VALUES (1, 'x')",
    "add an organization": "INSERT INTO keywright.organization (name) VALUES ('x')",
    "add a member": "INSERT INTO keywright.member (organization_id, name, email)"
    " VALUES (1, 'x', 'x@x')",
    "register a field": "INSERT INTO keywright.encrypted_field (field_name) VALUES ('x')",
    "change kinds": "UPDATE keywright.job_kind SET for_requesters = true",
    "change the schema": "ALTER TABLE keywright.job ADD x int",
    "drop a table": "DROP TABLE keywright.job",
    "truncate": "TRUNCATE keywright.audit_entry",
    "disable a trigger": "ALTER TABLE keywright.audit_entry DISABLE TRIGGER ALL",
}
SCHEDULERS_MUST_NOT = {
    "see private keys": "SELECT private_key FROM keywright.certificate_version",
    "see certificates": "SELECT * FROM keywright.certificate",
    "see wrapped keys": "SELECT * FROM keywright.master_key_wrap",
    "see wrapped sealing keys": "SELECT * FROM keywright.sealing_key_wrap",
    "see secrets": "SELECT * FROM keywright.handed_secret",
    "see webhooks' secrets": "SELECT * FROM keywright.webhook_secret",
    "see artifacts": "SELECT * FROM keywright.artifact",
    "see members": "SELECT * FROM keywright.member",
    "delete jobs": "DELETE FROM keywright.job",
    "change announcements": "UPDATE keywright.announcement SET data = '{}'",
    "change the audit record": "UPDATE keywright.audit_entry SET actor = 'x'",
    "unlink the audit record": "DELETE FROM keywright.audit_link",
    "grant": "INSERT INTO keywright.requester_grant VALUES (1, 1, 'system.ping')",
}
READERS_MUST_NOT = {
    "see private keys": "SELECT private_key FROM keywright.certificate_version",
    "see wrapped keys": "SELECT wrapped_key FROM keywright.master_key_wrap",
    "see secrets": "SELECT value FROM keywright.handed_secret",
    "see webhooks' secrets": "SELECT value FROM keywright.webhook_secret",
    "see artifacts": "SELECT content FROM keywright.artifact",
    "see arguments": "SELECT arguments FROM keywright.job",
    "see what a job's worker proves itself by": "SELECT claim FROM keywright.job",
    "change a job": "UPDATE keywright.job SET state = 'ready'",
    "ask for a job": "SELECT keywright.enqueue('system.ping')",
    "write": "INSERT INTO keywright.audit_entry (action, object) VALUES ('a.b', 'c')",
}


@pytest.mark.parametrize(
    ("group", "what", "statement"),
    [
        pytest.param(group, what, statement, id=f"{group} must not {what}")
        for group, statements in (
            ("keywright_worker", WORKERS_MUST_NOT),
            ("keywright_scheduler", SCHEDULERS_MUST_NOT),
            ("keywright_reader", READERS_MUST_NOT),
        )
        for what, statement in statements.items()
    ],
)
def test_nobody_has_more_rights_than_needed(
    postgres: PostgresServer, conninfo: str, group: str, what: str, statement: str
) -> None:
    assert what
    with (
        postgres.login(conninfo, group) as login,
        psycopg.connect(login, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


def test_a_reader_sees_jobs_and_certificates(
    postgres: PostgresServer, conninfo: str, acme: Office
) -> None:
    enqueue(acme.connection, Ping())
    with (
        postgres.login(conninfo, "keywright_reader") as login,
        psycopg.connect(login, autocommit=True) as reader,
    ):
        for query, count in (
            ("SELECT kind, state FROM keywright.job", 1),
            ("SELECT unique_name FROM keywright.certificate", 3),
            ("SELECT not_after FROM keywright.certificate_version", 3),
        ):
            assert len(reader.execute(query).fetchall()) == count


def test_a_scheduler_does_its_work_with_the_rights_of_one(
    postgres: PostgresServer, conninfo: str, connection: Connection, broker_url: str
) -> None:
    connection.execute("SELECT keywright.audit('test.done', 'test/1')")
    connection.execute(
        "INSERT INTO keywright.announcement (kind, subject, data) VALUES ('a.b', 'test/1', '{}')"
    )
    with (
        postgres.login(conninfo, "keywright_scheduler") as login,
        SchedulerService(login, broker_url, fire_now=True),
    ):
        until(
            lambda: (
                connection.execute(
                    "SELECT bool_and(state = 'ready') AND count(*) > 5 FROM keywright.job"
                ).fetchone()
                == (True,)
            ),
            "all that the timetable asks for to be offered",
        )
        until(
            lambda: (
                connection.execute(
                    "SELECT (SELECT bool_and(relayed_at IS NOT NULL) FROM keywright.announcement),"
                    " (SELECT count(*) FROM keywright.audit_unlinked)"
                ).fetchone()
                == (True, 0)
            ),
            "announcements to be relayed, and entries of the audit record to be linked",
        )
