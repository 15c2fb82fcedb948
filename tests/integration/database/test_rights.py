"""Exactly which rights each group role has: whoever adds a table decides who sees it."""

import pytest

from workers.database.pool import Connection
from workers.database.roles import GROUP_ROLES, set_up_roles

ANYBODY_MAY_CALL = {
    "audible_organizations",  # only the caller's own
    "current_requester",
    "settled_announcement",
}
READERS_SEE_BYTES = {
    # Nothing here is secret or ciphertext: what is public of certificates and keys, and hashes.
    *("artifact.sha256", "audit_link.hash", "certificate_version.certificate_der"),
    *("certificate_version.csr_der", "certificate_version.fingerprint"),
    *("certificate_version.public_key_hash", "master_key.check_value", "master_key.fingerprint"),
    *("mutual_tls_client.root_fingerprint", "quarantine.value_hash", "retired_default.fingerprint"),
    *("sealing_key.public_key", "sealing_key_to_use.public_key", "trusted_root.certificate_der"),
    *("trusted_root.fingerprint", "certificate_version.chain_der"),
}
SCHEDULERS_SEE = {
    *("announcement", "announcement_mark", "audit_entry", "audit_link", "audit_unlinked", "fire"),
    *("installation", "intake", "job", "job_kind", "organization", "reply", "requester"),
    *("requester_grant", "webhook_due", "webhook_endpoint"),
}
REQUESTERS_SEE = {"announcement", "event", "requested_job", "sealing_key_to_use"}


def test_who_borrows_rights_looks_for_temporary_things_last(connection: Connection) -> None:
    # Else a temporary type of the caller's would be taken for Postgres's own (CVE-2007-2138).
    loose = connection.execute(
        """
        SELECT proname FROM pg_proc
         WHERE pronamespace = 'keywright'::regnamespace AND prosecdef
           AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(proconfig, '{}'))
        """
    ).fetchall()
    assert loose == []


def test_who_borrows_rights_is_not_for_everybody(connection: Connection) -> None:
    open_to_all = connection.execute(
        """
        SELECT proname FROM pg_proc
         WHERE pronamespace = 'keywright'::regnamespace AND prosecdef
           AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner)))
                        WHERE grantee = 0)
        """
    ).fetchall()
    assert {name for (name,) in open_to_all} == ANYBODY_MAY_CALL


def test_only_tables_whose_queries_compare_numbers_have_policies(connection: Connection) -> None:
    # Under a policy, be it true, comparisons of enums are no index conditions (decision 0021).
    rows = connection.execute("SELECT relname FROM pg_class WHERE relrowsecurity").fetchall()
    assert rows == [("announcement",)]


def columns(connection: Connection, role: str, right: str = "SELECT") -> set[tuple[str, str, str]]:
    """Return table, column and type of all that a role has a right on."""
    return set(
        connection.execute(
            """
            SELECT relname::text, attname::text, atttypid::regtype::text
              FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
             WHERE relnamespace = 'keywright'::regnamespace AND relkind IN ('r', 'v')
               AND attnum > 0 AND NOT attisdropped
               AND has_column_privilege(%s, pg_class.oid, attnum, %s)
            """,
            [role, right],
        ).fetchall()
    )


def tables(connection: Connection, role: str, right: str) -> set[str]:
    """Return the tables and views on which a role has a right, if only on some columns."""
    if right != "DELETE":
        return {table for table, _, _ in columns(connection, role, right)}
    return {
        name
        for (name,) in connection.execute(
            """
            SELECT relname::text FROM pg_class
             WHERE relnamespace = 'keywright'::regnamespace AND relkind IN ('r', 'v')
               AND has_table_privilege(%s, oid, 'DELETE')
            """,
            [role],
        )
    }


def test_readers_see_no_bytes_but_those_of_public_things(connection: Connection) -> None:
    seen = {
        f"{table}.{column}"
        for table, column, kind in columns(connection, "keywright_reader")
        if kind in ("bytea", "bytea[]")
    }
    assert seen == READERS_SEE_BYTES


def test_readers_write_nothing(connection: Connection) -> None:
    for right in ("INSERT", "UPDATE", "DELETE"):
        assert tables(connection, "keywright_reader", right) == set()


def test_schedulers_see_what_goes_in_and_out_and_no_bytes_but_hashes(
    connection: Connection,
) -> None:
    seen = columns(connection, "keywright_scheduler")
    assert {table for table, _, _ in seen} == SCHEDULERS_SEE
    assert {(table, column) for table, column, kind in seen if "bytea" in kind} == {
        ("audit_link", "hash"),
        ("intake", "content_hash"),
    }


def test_schedulers_delete_what_has_gone_out_and_nothing_else(connection: Connection) -> None:
    assert tables(connection, "keywright_scheduler", "DELETE") == {"audit_unlinked", "reply"}


def test_requesters_see_their_views_and_write_nothing(connection: Connection) -> None:
    assert tables(connection, "keywright_requester", "SELECT") == REQUESTERS_SEE
    for right in ("INSERT", "UPDATE", "DELETE"):
        assert tables(connection, "keywright_requester", right) == set()


def test_requesters_call_the_doors_and_nothing_else_with_borrowed_rights(
    connection: Connection,
) -> None:
    callable_ = connection.execute(
        """
        SELECT proname FROM pg_proc
         WHERE pronamespace = 'keywright'::regnamespace AND prosecdef
           AND has_function_privilege('keywright_requester', oid, 'EXECUTE')
        """
    ).fetchall()
    assert {name for (name,) in callable_} == {"enqueue", "cancel", "retry", *ANYBODY_MAY_CALL}


def test_workers_delete_what_jobs_clean_up_and_nothing_else(connection: Connection) -> None:
    assert tables(connection, "keywright_worker", "DELETE") == {
        *("announcement", "certificate", "certificate_version", "intake", "job"),
        *("master_key_wrap", "notice", "reencryption_range", "replacement_step"),
        *("sealing_key_wrap", "tier_record", "usage", "webhook_delivery", "webhook_secret"),
    }


@pytest.mark.parametrize("role", GROUP_ROLES)
@pytest.mark.parametrize("table", ["audit_entry", "audit_link", "master_key_history"])
def test_nobody_changes_the_past(connection: Connection, role: str, table: str) -> None:
    for right in ("UPDATE", "DELETE"):
        assert table not in tables(connection, role, right)


def test_setting_up_again_takes_back_what_was_given_by_hand(connection: Connection) -> None:
    before = columns(connection, "keywright_reader"), columns(connection, "keywright_requester")
    connection.execute("GRANT ALL ON keywright.handed_secret TO keywright_reader")
    connection.execute("GRANT SELECT (arguments) ON keywright.job TO keywright_requester")
    set_up_roles(connection)
    after = columns(connection, "keywright_reader"), columns(connection, "keywright_requester")
    assert after == before
