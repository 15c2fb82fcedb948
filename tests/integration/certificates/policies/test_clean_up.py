"""The clean-up: what policies delete, what they never do, and what is gone in the end."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.integration.certificates.policies.shelf import Shelf, shelf
from tests.integration.jobs.workbench import Workbench, count
from tests.integration.notifications.household import DAY
from workers.certificates.clean_up import handlers
from workers.certificates.clean_up.handlers import clean_up_certificates
from workers.certificates.clean_up.store import delete_expired, find_expired, purge_deleted
from workers.certificates.listing import list_certificates
from workers.contract import CleanUpCertificates
from workers.database.pool import Connection
from workers.jobs.enqueue import enqueue
from workers.notifications.inspection import list_notices
from workers.notifications.planning import plan_due_notices


def clean_up(workbench: Workbench) -> dict[str, Any]:
    """Clean up, and return what came of it."""
    job = workbench.execute(clean_up_certificates, CleanUpCertificates())
    assert job.state == "succeeded", job.problem
    assert job.result is not None
    return job.result


def test_rule_62_what_has_expired_stays_listed_until_somebody_or_a_policy_deletes_it(
    acme: Shelf, workbench: Workbench
) -> None:
    acme.put("old", days_left=-1000)
    assert clean_up(workbench) == {"deleted": 0, "purged": 0}
    acme.policy(rekey_days_before=30)
    assert clean_up(workbench) == {"deleted": 0, "purged": 0}
    [row] = list_certificates(
        acme.connection, organization_id=acme.organization_id, now=acme.now, expired=True
    )
    assert (row.unique_name, row.status) == ("old", "expired")
    acme.policy(delete_expired_after_days=999)
    assert clean_up(workbench) == {"deleted": 1, "purged": 0}


def test_what_expired_long_enough_ago_is_deleted_and_others_are_told(
    acme: Shelf, workbench: Workbench
) -> None:
    acme.policy(delete_expired_after_days=30, grace_days=14)
    for name, days_left in [("old", -31), ("older", -300), ("recent", -29), ("valid", 5)]:
        acme.put(name, days_left=days_left)
    shelf(acme.connection, "Globex").put("old", days_left=-300)
    assert clean_up(workbench) == {"deleted": 2, "purged": 0}
    assert acme.names() == {"recent", "valid"}
    assert acme.names(deleted=True) == {"old", "older"}
    announced = acme.announced("certificate.deleted")
    assert [(data["unique_name"], data["by"]) for _, data in announced] == [
        ("old", "policy"),
        ("older", "policy"),
    ]
    row = acme.connection.execute(
        "SELECT DISTINCT purge_at - deleted_at FROM keywright.certificate"
        " WHERE deleted_at IS NOT NULL"
    ).fetchall()
    assert row == [(14 * DAY,)]
    assert clean_up(workbench) == {"deleted": 0, "purged": 0}


def test_what_ends_this_moment_has_not_expired(acme: Shelf) -> None:
    acme.policy(delete_expired_after_days=0)
    acme.put("now", days_left=0)
    assert find_expired(acme.connection, now=acme.now, limit=10) == []


def test_rule_60_what_a_place_uses_is_never_cleaned_up(acme: Shelf, workbench: Workbench) -> None:
    acme.policy(delete_expired_after_days=0)
    acme.use(acme.put("web", days_left=-100), "Billing")
    outdated = acme.put("mail", days_left=-500)
    acme.renew("mail", days_left=-100)
    acme.use(outdated, "Shop")
    assert clean_up(workbench) == {"deleted": 0, "purged": 0}
    acme.connection.execute("DELETE FROM keywright.usage")
    assert clean_up(workbench) == {"deleted": 2, "purged": 0}


def test_what_is_being_replaced_is_never_cleaned_up(acme: Shelf, workbench: Workbench) -> None:
    acme.policy(delete_expired_after_days=0)
    versions = [acme.put(name, days_left=-9) for name in ("old", "new", "before", "after")]
    acme.begin_replacement(*versions[:2])
    acme.begin_replacement(*versions[2:], state="completed")
    assert clean_up(workbench) == {"deleted": 2, "purged": 0}
    assert acme.names() == {"old", "new"}


def test_a_client_certificate_stays_until_it_is_withdrawn(
    acme: Shelf, workbench: Workbench
) -> None:
    acme.policy(delete_expired_after_days=0)
    acme.connection.execute(
        "INSERT INTO keywright.mutual_tls_client"
        " (organization_id, version_id, root_fingerprint, uploaded_by)"
        " VALUES (%s, %s, sha256('root'), 'test')",
        [acme.organization_id, acme.put("client", days_left=-9)],
    )
    assert clean_up(workbench) == {"deleted": 0, "purged": 0}
    acme.connection.execute("UPDATE keywright.mutual_tls_client SET withdrawn_at = now()")
    assert clean_up(workbench) == {"deleted": 1, "purged": 0}


def test_a_certificate_with_a_newer_version_or_one_to_be_signed_stays(
    acme: Shelf, workbench: Workbench
) -> None:
    acme.policy(delete_expired_after_days=0)
    for name in ("renewed", "requested"):
        acme.put(name, days_left=-500)
    acme.renew("renewed")
    acme.renew("requested", is_signed=False)
    assert clean_up(workbench) == {"deleted": 0, "purged": 0}


def test_rule_61_a_usage_that_comes_between_the_look_and_the_deletion_keeps_the_certificate(
    acme: Shelf,
) -> None:
    acme.policy(delete_expired_after_days=0)
    used = acme.put("used", days_left=-9)
    acme.put("unused", days_left=-9)
    found = find_expired(acme.connection, now=acme.now, limit=10)
    assert len(found) == 2
    acme.use(used, "Billing")
    with acme.connection.transaction():
        assert delete_expired(acme.connection, found, now=acme.now) == 1
    assert acme.names() == {"used"}


def test_what_somebody_has_locked_is_left_for_the_next_time(
    acme: Shelf, conninfo: str, workbench: Workbench
) -> None:
    acme.policy(delete_expired_after_days=0)
    acme.put("busy", days_left=-9)
    acme.put("free", days_left=-9)
    with psycopg.connect(conninfo) as other:
        other.execute(
            "SELECT FROM keywright.certificate WHERE unique_name = 'busy' FOR NO KEY UPDATE"
        )
        assert clean_up(workbench) == {"deleted": 1, "purged": 0}
    assert clean_up(workbench) == {"deleted": 1, "purged": 0}


def test_many_are_cleaned_up_batch_by_batch_by_two_at_once(
    acme: Shelf, workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "BATCH", 3)
    acme.policy(delete_expired_after_days=0, grace_days=0)
    for number in range(10):
        acme.put(f"old{number}", days_left=-9)
    jobs = [enqueue(acme.connection, CleanUpCertificates()).job_id for _ in range(2)]
    execution = workbench.execution({CleanUpCertificates: clean_up_certificates})
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(execution.execute, jobs))
    clean_up(workbench)  # for what one had locked while the other looked
    assert count(acme.connection, "keywright.certificate") == 0
    assert len(acme.announced("certificate.deleted")) == 10
    assert len(acme.announced("certificate.purged")) == 10


def test_what_was_deleted_is_purged_after_its_days_of_grace_with_all_that_belongs_to_it(
    acme: Shelf, workbench: Workbench
) -> None:
    old = acme.put_with_key("old", days_left=20)
    new = acme.renew("old")
    acme.begin_replacement(old, new, state="completed")
    with acme.connection.transaction():
        plan_due_notices(acme.connection, now=acme.now, limit=10)
    acme.connection.execute("UPDATE keywright.notice SET state = 'sent' WHERE state = 'planned'")
    kept = acme.put("kept", days_left=20)
    acme.delete("old", days_ago=29)
    assert clean_up(workbench) == {"deleted": 0, "purged": 0}
    acme.set_certificate("old", "purge_at", acme.now)
    assert clean_up(workbench) == {"deleted": 0, "purged": 1}
    assert acme.names() == {"kept"}
    assert acme.names(deleted=True) == set()
    rows = acme.connection.execute(
        "SELECT version_id, private_key FROM keywright.certificate_version"
    ).fetchall()
    assert rows == [(kept, None)]
    for table in ("notice", "replacement"):
        assert count(acme.connection, f"keywright.{table}") == 0
    [(_, data)] = acme.announced("certificate.purged")
    assert data["unique_name"] == "old"
    assert [each["number"] for each in data["versions"]] == [1, 2]
    assert [each["had_private_key"] for each in data["versions"]] == [True, False]
    assert data["versions"][0]["told"] == {"30": 1}
    # What people were mailed stays on record: the digest; and nothing that lists notices breaks.
    assert count(acme.connection, "keywright.digest") == 1
    assert list_notices(acme.connection) == []


def test_without_days_of_grace_what_is_deleted_is_gone_at_the_next_clean_up(
    acme: Shelf, workbench: Workbench
) -> None:
    acme.policy(grace_days=0, delete_expired_after_days=0)
    acme.put("valid", days_left=20)
    acme.put("old", days_left=-20)
    acme.delete("valid")
    assert clean_up(workbench) == {"deleted": 1, "purged": 2}


def test_everything_that_refers_to_a_certificate_goes_with_it_or_keeps_it(
    connection: Connection,
) -> None:
    # A new table that refers to versions belongs into the purge, or goes along by its reference.
    rows = connection.execute(
        "SELECT DISTINCT conrelid::regclass::text, confdeltype = 'c' FROM pg_constraint"
        " WHERE contype = 'f' AND confrelid IN ('keywright.certificate'::regclass,"
        "                                       'keywright.certificate_version'::regclass)"
    ).fetchall()
    seen_to = {"certificate_version", "notice", "tier_record"}
    in_the_way = {"usage"}  # which deletion refuses
    assert {
        table.removeprefix("keywright.") for table, goes_along in rows if not goes_along
    } == seen_to | in_the_way


def test_a_purge_that_is_rolled_back_has_changed_nothing(acme: Shelf) -> None:
    acme.put("old", days_left=20)
    acme.delete("old", days_ago=100)
    with acme.connection.transaction(force_rollback=True):
        assert purge_deleted(acme.connection, now=acme.now, limit=10) == 1
    assert acme.names(deleted=True) == {"old"}
    assert acme.announced("certificate.purged") == []
