"""Ways around the SQL door that must lead nowhere."""

import psycopg
import pytest

from tests.integration.requesters.crm import ASK, Crm
from workers.requesters.store import add_requester, revoke

MUST_NOT = {
    "insert a job": "INSERT INTO keywright.job (kind, queue, max_attempts)"
    " VALUES ('job.purge', 'maintenance', 1)",
    "change a job": "UPDATE keywright.job SET organization_id = 2",
    "delete a job": "DELETE FROM keywright.job",
    "grant itself more": "INSERT INTO keywright.requester_grant VALUES (1, 2, 'system.ping')",
    "become another": "UPDATE keywright.requester SET database_role = session_user",
    "see requesters": "SELECT * FROM keywright.requester",
    "see organizations": "SELECT * FROM keywright.organization",
    "see members": "SELECT * FROM keywright.member",
    "see jobs": "SELECT job_id FROM keywright.job",
    "see kinds": "SELECT * FROM keywright.job_kind",
    "see what came in": "SELECT * FROM keywright.intake",
    "see answers": "SELECT * FROM keywright.reply",
    "see webhooks' secrets": "SELECT * FROM keywright.webhook_secret",
    "change through the view": "DELETE FROM keywright.sealing_key_to_use",
    "see certificates": "SELECT * FROM keywright.certificate",
    "see private keys": "SELECT private_key FROM keywright.certificate_version",
    "see wrapped keys": "SELECT * FROM keywright.master_key_wrap",
    "see secrets": "SELECT * FROM keywright.handed_secret",
    "see artifacts": "SELECT * FROM keywright.artifact",
    "see the audit record": "SELECT * FROM keywright.audit_entry",
    "write the audit record": "INSERT INTO keywright.audit_entry (action, object)"
    " VALUES ('a.b', 'c')",
    "announce": "INSERT INTO keywright.announcement (kind, subject, data)"
    " VALUES ('a.b', 'c', '{}')",
    "ask as another": "SELECT * FROM keywright.enqueue_for(1, 'sql', 'system.ping', '{}', 'Acme')",
    "become a worker": "SET ROLE keywright_worker",
    "become the owner": "SET SESSION AUTHORIZATION keywright",
    "create in the schema": "CREATE TABLE keywright.mine (a int)",
    "set up roles": "CALL keywright.set_up_roles()",
    "silence notices": "SELECT keywright.silence_versions('{1}', 'mine')",
    "lock jobs": "SELECT FROM keywright.job FOR UPDATE",
    "lock all": "BEGIN; LOCK TABLE keywright.job",
    "truncate": "TRUNCATE keywright.job",
}


@pytest.mark.parametrize("what", MUST_NOT)
def test_a_requester_must_not(crm: Crm, what: str) -> None:
    crm.ask()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        crm.own.execute(MUST_NOT[what])
    crm.own.rollback()
    assert crm.jobs() == 1


def test_functions_of_its_own_are_not_called_in_place_of_ours(crm: Crm) -> None:
    crm.own.execute("CREATE TEMP TABLE requester (requester_id int, name text, disabled_at int)")
    crm.own.execute("CREATE FUNCTION pg_temp.lower(text) RETURNS text LANGUAGE sql RETURN 'rival'")
    crm.own.execute(
        "CREATE FUNCTION pg_temp.current_requester() RETURNS bigint LANGUAGE sql RETURN 2"
    )
    crm.own.execute("SET search_path = pg_temp, keywright, pg_catalog")
    crm.ask()
    assert crm.refusal("system.ping", {}, "Rival")[0] == "42501"
    assert crm.one("SELECT organization_id FROM keywright.job") == 1


def test_types_of_its_own_are_not_used_in_place_of_ours(crm: Crm) -> None:
    for name in ("text", "timestamptz", "jsonb", "int4", "int8"):
        crm.own.execute(
            f"CREATE FUNCTION pg_temp.seize(pg_catalog.{name}) RETURNS pg_catalog.bool"
            " LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'seized as %', current_user; END $$"
        )
    for name in ("text", "timestamptz", "jsonb", "int4", "int8"):
        crm.own.execute(
            f"CREATE DOMAIN pg_temp.{name} AS pg_catalog.{name} CHECK (pg_temp.seize(VALUE))"
        )
    crm.own.execute(
        """
        SELECT keywright.enqueue(
                   'replacement.start'::pg_catalog.varchar,
                   '{"certificate": "Web", "overlap_by": "2030-01-01T00:00:00Z"}'::pg_catalog.jsonb,
                   'Acme'::pg_catalog.varchar, 'key'::pg_catalog.varchar, pg_catalog.now())
        """
    )
    [(job_id,)] = crm.own.execute("SELECT job_id FROM keywright.requested_job").fetchall()
    for call in ("cancel", "retry"):
        crm.own.execute(f"SELECT keywright.{call}({job_id})")
    assert crm.jobs() == 1


def test_who_cancels_and_retries_is_recorded_whatever_it_says_of_itself(crm: Crm) -> None:
    job_id = crm.ask()
    for name, value in (("actor", "operator:root"), ("door", "cli"), ("job_id", "7")):
        crm.own.execute("SELECT set_config(%s, %s, false)", [f"keywright.{name}", value])
    with crm.own.transaction():
        crm.own.execute("SELECT keywright.cancel(%s)", [job_id])
        crm.own.execute("SELECT keywright.retry(%s)", [job_id])
        said = crm.own.execute(
            "SELECT current_setting('keywright.actor'), current_setting('keywright.door')"
        ).fetchone()
    assert said == ("operator:root", "cli")
    recorded = crm.owner.execute(
        "SELECT action, actor, door, job_id, database_role FROM keywright.audit_entry"
        " WHERE object = %s ORDER BY entry_id",
        [f"job/{job_id}"],
    ).fetchall()
    assert recorded == [
        ("job.cancel", "requester:crm", "sql", None, crm.role),
        ("job.retry", "requester:crm", "sql", None, crm.role),
    ]


def test_what_it_says_of_itself_changes_nothing_about_who_it_is(crm: Crm) -> None:
    for name in ("actor", "door", "job_id"):
        crm.own.execute("SELECT set_config(%s, %s, false)", [f"keywright.{name}", "operator:root"])
    job_id = crm.ask()
    assert crm.owner.execute(
        "SELECT requested_by, door FROM keywright.job WHERE job_id = %s", [job_id]
    ).fetchone() == ("requester:crm", "sql")


def test_a_role_that_it_is_made_a_member_of_is_not_what_it_is(crm: Crm) -> None:
    add_requester(crm.owner, name="other", broker_user=None, database_role="keywright_requester")
    revoke(crm.owner, name="crm", organization_id=1, kinds=["system.ping"])
    crm.owner.execute("INSERT INTO keywright.requester_grant VALUES (2, 1, 'system.ping')")
    crm.own.execute("SET ROLE keywright_requester")
    assert crm.refusal()[0] == "42501"


@pytest.mark.parametrize(
    "arguments", ["[]", '"x"', "null", "1", '{"a": "\\u0000"}', "{", ""], ids=repr
)
def test_what_is_no_object_is_refused(crm: Crm, arguments: str) -> None:
    with pytest.raises(psycopg.DatabaseError):
        crm.own.execute(ASK, ["system.ping", arguments, "Acme", None, None])
    with pytest.raises(psycopg.DatabaseError):
        crm.own.execute("SELECT keywright.enqueue('system.ping', NULL, 'Acme')")
    assert crm.jobs() == 0


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", "a\tb", "\x07"], ids=repr)
def test_a_unique_key_that_will_not_do_is_refused(crm: Crm, key: str) -> None:
    assert crm.refusal(unique_key=key) == (
        "22023",
        "unique_key: 1 to 200 printable characters",
    )
