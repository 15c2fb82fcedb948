"""``keywright announcement``: reading what happened, following it, and having it repeated."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.keywright_command import Keywright, done, refused
from tests.integration.announcements.town_crier import Listener, listener, organization, tell
from tests.servers.ending import ended
from workers.database.pool import Connection


@pytest.fixture
def keywright(conninfo: str, tmp_path: Path) -> Keywright:
    """The command on a database of its own."""
    return Keywright.on(conninfo, tmp_path)


@pytest.fixture
def acme(connection: Connection) -> int:
    """An organization in which three things happened, and one in another."""
    acme = organization(connection, "Acme")
    globex = organization(connection, "Globex")
    for number in (1, 2, 3):
        tell(connection, acme, f"master-key/{acme}/{number}", number)
    tell(connection, globex, f"master-key/{globex}/1", 4)
    return acme


@pytest.fixture
def catching_up(broker_url: str) -> Listener:
    """A consumer's queue that hears only what is sent to it."""
    return listener(broker_url, key="nothing", queue="keywright.events.billing")


def numbers(events: list[dict[str, Any]]) -> list[int]:
    """Return what number each event has in its data."""
    return [event["data"]["number"] for event in events]


@contextmanager
def following(keywright: Keywright, *arguments: str) -> Iterator[Iterator[dict[str, Any]]]:
    """Follow; yield what comes, and see that Ctrl-C ends it well."""
    process = keywright.start("-m", "workers.cli", "announcement", "follow", *arguments)
    assert process.stdout is not None
    with ended(process):
        yield map(json.loads, process.stdout)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert (process.wait(timeout=30), rest) == (0, "")


@pytest.mark.usefixtures("acme")
def test_the_latest_are_listed_in_order(keywright: Keywright) -> None:
    assert numbers(keywright.json("announcement", "list")) == [1, 2, 3, 4]
    assert numbers(keywright.json("announcement", "list", "--limit", "2")) == [3, 4]


def test_they_are_cloud_events(keywright: Keywright, acme: int) -> None:
    [event] = keywright.json("announcement", "list", "--after", "0", "--limit", "1")
    assert event["specversion"] == "1.0"
    assert event["type"] == "keywright.master_key.created.v1"
    assert event["sequence"] == "00000000000000000001"
    assert (event["organization"], event["subject"]) == ("Acme", f"master-key/{acme}/1")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--after", "2"], [3, 4]),
        (["--organization", "acme"], [1, 2, 3]),
        (["--after", "1", "--organization", "Acme", "--limit", "1"], [2]),
        (["--kind", "certificate.issued"], []),
        (["--after", "99"], []),
    ],
    ids=["after", "organization", "all", "kind", "none"],
)
@pytest.mark.usefixtures("acme")
def test_what_is_listed_can_be_chosen(
    keywright: Keywright, options: list[str], expected: list[int]
) -> None:
    assert numbers(keywright.json("announcement", "list", *options)) == expected


@pytest.mark.usefixtures("acme")
def test_people_get_a_table(keywright: Keywright) -> None:
    said = done(keywright, "announcement", "list", "--after", "0", "--limit", "2")
    assert "master_key.created" in said
    assert "Acme" in said
    assert "Later ones: --after 2" in said
    assert "no such announcements" in done(keywright, "announcement", "list", "--after", "9")


@pytest.mark.usefixtures("acme")
def test_an_organization_that_is_none_is_said(keywright: Keywright) -> None:
    assert "organization list" in refused(
        keywright, "announcement", "list", "--organization", "Initech"
    )


def test_following_prints_what_was_and_what_comes(
    keywright: Keywright, connection: Connection, acme: int
) -> None:
    with following(keywright, "--after", "2") as events:
        assert [next(events)["data"]["number"] for _ in range(2)] == [3, 4]
        tell(connection, acme, "master-key/1/9", 9)
        assert next(events)["data"]["number"] == 9


@pytest.mark.usefixtures("acme")
def test_what_happened_is_repeated_to_one_queue_with_the_same_ids(
    keywright: Keywright, broker_url: str, catching_up: Listener
) -> None:
    keywright.settings["KEYWRIGHT_BROKER_URL"] = broker_url
    others = listener(broker_url)
    said = keywright.json(
        *("announcement", "replay", "--after", "1", "--organization", "Acme"),
        *("--queue", "keywright.events.billing"),
    )
    assert said == {"repeated": 2, "until": 4}
    catching_up.await_(2)
    assert catching_up.heard == keywright.json(
        "announcement", "list", "--after", "1", "--organization", "Acme"
    )
    others.listen()
    assert others.heard == []


@pytest.mark.parametrize(
    ("queue", "expected"),
    [("maintenance", "must begin with keywright.events."), ("keywright.events.no", "no queue")],
    ids=["a work queue", "none"],
)
def test_nothing_is_repeated_to_a_queue_that_is_not_for_it(
    keywright: Keywright, broker_url: str, queue: str, expected: str
) -> None:
    keywright.settings["KEYWRIGHT_BROKER_URL"] = broker_url
    said = refused(keywright, "announcement", "replay", "--after", "0", "--queue", queue)
    assert expected in said


def test_without_a_broker_nothing_is_repeated(keywright: Keywright) -> None:
    said = refused(
        keywright, "announcement", "replay", "--after", "0", "--queue", "keywright.events.billing"
    )
    assert "KEYWRIGHT_BROKER_URL is not set" in said
