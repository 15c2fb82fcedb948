"""``keywright broker``: what to tell RabbitMQ, for the shell and as data."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.keywright_command import Keywright, done, keywright_of_acme, refused
from tests.servers.postgres import PostgresServer
from workers.jobs.broker_users import KEYWRIGHT, definitions


@pytest.fixture
def keywright(postgres: PostgresServer, tmp_path: Path) -> Iterator[Keywright]:
    """The command, with one organization, Acme."""
    with keywright_of_acme(postgres, tmp_path) as keywright:
        yield keywright


def test_users_are_told_with_all_that_they_may_do(tmp_path: Path) -> None:
    keywright = Keywright(tmp_path / "data")
    lines = [shlex.split(line) for line in done(keywright, "broker", "users").splitlines()]
    assert {line[0] for line in lines} == {"rabbitmqctl"}
    assert [line[2] for line in lines if line[1] == "add_user"] == [e.user for e in KEYWRIGHT]
    assert keywright.json("broker", "users", "--vhost", "v") == definitions(KEYWRIGHT, "v")
    assert not keywright.data_dir.exists()


def test_a_requester_hears_of_the_organizations_that_are_named(keywright: Keywright) -> None:
    [acme] = keywright.json("organization", "list")
    said = keywright.json("broker", "requester", "shop", "--announcements-of", "acme")
    assert said["topic_permissions"][0]["read"] == rf"^({acme['organization_id']})\."
    assert "keywright\\.intake" in said["permissions"][0]["write"]


def test_an_organization_that_is_not_there_is_refused(keywright: Keywright) -> None:
    assert "Nobody" in refused(
        keywright, "broker", "requester", "shop", "--announcements-of", "Nobody"
    )


def test_a_name_that_could_mean_the_queues_of_another_is_refused(tmp_path: Path) -> None:
    text = refused(Keywright(tmp_path / "data"), "broker", "requester", "shop.other")
    assert text.startswith("keywright: USER: the name of a user must be")
