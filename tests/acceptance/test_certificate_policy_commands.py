"""Expired, deleted and restored certificates, and policies, on the command line."""

from pathlib import Path

import pytest

from tests.acceptance import keywright_command
from tests.acceptance.keywright_command import Keywright
from tests.integration.certificates.policies.shelf import Shelf, shelf
from tests.integration.notifications.household import DAY
from workers.database.pool import Connection

ACME = ("-o", "Acme")
CERTIFICATE = "certificate"


@pytest.fixture
def acme(connection: Connection) -> Shelf:
    """An organization with certificates, some of which have ended."""
    acme = shelf(connection)
    acme.put("forgotten", days_left=-300)
    acme.use(acme.put("in_use", days_left=-2), "Billing")
    acme.put_with_key("signing", days_left=20)
    acme.put("valid", days_left=200)
    return acme


@pytest.fixture
def keywright(acme: Shelf, tmp_path: Path) -> Keywright:
    """The command, on that organization's database."""
    return Keywright.on(acme.connection.info.dsn, tmp_path)


def listed(keywright: Keywright, *options: str) -> list[str]:
    rows = keywright.json(CERTIFICATE, "list", *ACME, *options)
    return [row["unique_name"] for row in rows]


def refused(keywright: Keywright, *arguments: str) -> str:
    said = keywright_command.refused(keywright, CERTIFICATE, *arguments, *ACME)
    return said.removeprefix("keywright: ")


def test_rule_62_what_has_expired_is_found_by_when_and_by_use(
    keywright: Keywright, acme: Shelf
) -> None:
    assert listed(keywright, "--expired") == ["forgotten", "in_use"]
    since = (acme.now - 310 * DAY).date().isoformat()
    assert listed(keywright, "--expired-since", since, "--unused") == ["forgotten"]
    assert listed(keywright, "--used", "--kind", "imported") == ["in_use"]
    assert listed(keywright, "--being-replaced") == []
    assert "leave the rest out" in refused(keywright, "list", "--deleted", "--expired")


def test_what_is_deleted_can_be_restored(keywright: Keywright, acme: Shelf) -> None:
    deleted = keywright.run(CERTIFICATE, "delete", "valid", *ACME)
    assert deleted.returncode == 0, deleted.stderr
    assert "`keywright certificate restore valid -o Acme` brings it back" in deleted.stdout
    [row] = keywright.json(CERTIFICATE, "list", *ACME, "--deleted")
    assert row["unique_name"] == "valid"
    acme.put("valid", days_left=300)
    assert "restore valid --as NEW_NAME" in refused(keywright, "restore", "valid")
    restored = keywright.json(
        CERTIFICATE, "restore", "valid", *ACME, "--as", "valid2", "--id", str(row["certificate_id"])
    )
    assert restored["unique_name"] == "valid2"
    assert "list --deleted` shows those that can" in refused(keywright, "restore", "valid")


def test_a_policy_is_set_bit_by_bit_and_shown_with_what_is_due(keywright: Keywright) -> None:
    nothing = keywright.run(CERTIFICATE, "policy", "show", *ACME)
    assert "rekeyed on request only" in nothing.stdout
    assert "Due now: 0 to rekey, 0 to delete." in nothing.stdout
    keywright.run(CERTIFICATE, "policy", "set", *ACME, "--rekey-days-before", "30")
    done = keywright.run(
        CERTIFICATE,
        "policy",
        "set",
        *ACME,
        "--delete-expired-after-days",
        "90",
        "--grace-days",
        "7",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "deleted after 90 days" in done.stdout
    shown = keywright.json(CERTIFICATE, "policy", "show", *ACME)
    del shown["organization_id"]
    assert shown == {
        "organization": "Acme",
        "rekey_days_before": 30,
        "delete_expired_after_days": 90,
        "grace_days": 7,
        "to_rekey": 1,
        "to_delete": 1,
    }
    keywright.run(CERTIFICATE, "policy", "set", *ACME, "--no-rekey", "--keep-expired")
    shown = keywright.json(CERTIFICATE, "policy", "show", *ACME)
    assert (shown["rekey_days_before"], shown["delete_expired_after_days"]) == (None, None)
    assert shown["grace_days"] == 7
    assert "one of the two" in refused(
        keywright, "policy", "set", "--no-rekey", "--rekey-days-before", "3"
    )
    assert "rekey_days_before: 1 to 365" in refused(
        keywright, "policy", "set", "--rekey-days-before", "366"
    )


def test_the_status_says_what_has_ended_and_what_is_late(keywright: Keywright, acme: Shelf) -> None:
    status = keywright.run("status")
    assert status.returncode == 1
    assert "Certificates: 2 have ended, 0 are being replaced" in status.stdout
    assert "Places with a certificate that has ended: 1" in status.stdout
    old = acme.put("old", days_left=5)
    acme.use(old, "Shop")
    acme.begin_replacement(old, acme.put("new", days_left=300))
    found = keywright.run("status", "--json")
    assert '"being_replaced": 1' in found.stdout
    assert "Replacements that are overdue: 1" in found.stdout
