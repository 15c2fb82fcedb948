"""``keywright requester``, ``keywright organization limit`` and what they say."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.keywright_command import Keywright, done, keywright_of_acme, refused
from tests.servers.postgres import PostgresServer
from workers.requesters.store import GRANTABLE


@pytest.fixture
def keywright(postgres: PostgresServer, tmp_path: Path) -> Iterator[Keywright]:
    """The command, with one organization."""
    with keywright_of_acme(postgres, tmp_path) as keywright:
        yield keywright


def test_a_system_is_added_granted_and_shown(keywright: Keywright) -> None:
    assert done(keywright, "requester", "list").startswith("No other system may ask")
    done(keywright, "requester", "add", "crm", "--broker-user", "crm", "--database-role", "crm_app")
    assert "crm may ask for nothing" in done(keywright, "requester", "show", "crm")
    granted = done(keywright, "requester", "grant", "crm", "-o", "acme", "-k", "usage.*")
    assert granted == "3 kinds of job were granted.\n"
    # What was granted before is not granted twice.
    assert keywright.json(
        "requester", "grant", "crm", "-o", "Acme", "-k", "usage.*", "-k", "system.ping"
    ) == {"kinds": 1}
    assert keywright.json("requester", "show", "crm") == {
        "requester": {
            "name": "crm",
            "broker_user": "crm",
            "database_role": "crm_app",
            "disabled_at": None,
            "grants": 4,
            "open_jobs": 0,
        },
        "grants": [
            {
                "organization": "Acme",
                "kinds": ["system.ping", "usage.move", "usage.register", "usage.remove"],
            }
        ],
    }
    taken = done(keywright, "requester", "revoke", "crm", "-o", "Acme", "-k", "usage.*")
    assert taken == "3 kinds of job were revoked.\n"
    [row] = keywright.json("requester", "list")
    assert (row["name"], row["grants"]) == ("crm", 1)


def test_a_system_is_disabled_and_enabled(keywright: Keywright) -> None:
    done(keywright, "requester", "add", "crm", "--broker-user", "crm")
    done(keywright, "requester", "disable", "crm")
    assert "It is disabled" in done(keywright, "requester", "show", "crm")
    done(keywright, "requester", "enable", "crm")
    assert keywright.json("requester", "show", "crm")["requester"]["disabled_at"] is None


def test_what_makes_no_sense_is_refused_in_one_line(keywright: Keywright) -> None:
    done(keywright, "requester", "add", "crm", "--broker-user", "crm")
    for arguments, reason in (
        (("add", "Crm!", "--broker-user", "x"), "name: a lower-case letter"),
        (("add", "shop"), "broker_user or database_role: name at least one"),
        (("add", "shop", "--broker-user", "keywright_worker"), "this one is keywright's own"),
        (("add", "shop", "--broker-user", "crm"), "broker_user: another requester has it"),
        (("add", "shop", "--database-role", "x" * 64), "database_role: at most 63 characters"),
        (("add", "crm", "--broker-user", "x"), "name: another requester has it"),
        (("show", "shop"), "There is no requester shop"),
        (("enable", "shop"), "There is no requester shop"),
        (("grant", "crm", "-o", "Globex", "-k", "system.ping"), "There is no organization named"),
        (("grant", "crm", "-o", "Acme", "-k", "expiry.scan"), "kind expiry.scan: none that may"),
        (("grant", "crm", "-o", "Acme", "-k", "*"), "kind *: none that may"),
        (("grant", "shop", "-o", "Acme", "-k", "system.ping"), "There is no requester shop"),
    ):
        assert reason in refused(keywright, "requester", *arguments), arguments


def test_everything_that_may_be_granted_can_be(keywright: Keywright) -> None:
    done(keywright, "requester", "add", "crm", "--broker-user", "crm")
    nouns = sorted({kind.partition(".")[0] for kind in GRANTABLE})
    words = [word for noun in nouns for word in ("-k", f"{noun}.*")]
    assert keywright.json("requester", "grant", "crm", "-o", "Acme", *words) == {
        "kinds": len(GRANTABLE)
    }


def test_how_much_may_be_asked_for_is_said_per_organization(keywright: Keywright) -> None:
    said = done(keywright, "organization", "limit", "acme", "--open-jobs", "20")
    assert said == "acme: at most 20 unfinished jobs at a time.\n"
    [acme] = keywright.json("organization", "list")
    assert acme["most_open_jobs"] == 20
    assert "There is no organization" in refused(
        keywright, "organization", "limit", "Globex", "--open-jobs", "20"
    )


def test_who_changed_it_is_recorded(keywright: Keywright) -> None:
    done(keywright, "requester", "add", "crm", "--broker-user", "crm")
    done(keywright, "requester", "grant", "crm", "-o", "Acme", "-k", "system.ping")
    done(keywright, "organization", "limit", "Acme", "--open-jobs", "20")
    entries = keywright.json("audit", "list")
    actions = {entry["action"]: entry for entry in entries}
    for action in ("requester.create", "grant.create", "organization.update"):
        assert actions[action]["actor"].startswith("operator:")
        assert actions[action]["door"] == "cli"
