"""``keywright webhook``: adding, seeing and steering, without anybody who sends."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.keywright_command import Keywright, done, keywright_of_acme, refused
from tests.integration.announcements.town_crier import organization, settle, tell
from tests.servers.postgres import PostgresServer
from workers.database.pool import Connection

URL = "https://hooks.example.org/in?token=of-the-receiver"
ACME = ("-o", "Acme")


@pytest.fixture
def keywright(postgres: PostgresServer, tmp_path: Path) -> Iterator[Keywright]:
    """The command on a database with two organizations."""
    with keywright_of_acme(postgres, tmp_path) as keywright, connected(keywright) as connection:
        organization(connection, "Globex")
        yield keywright


def connected(keywright: Keywright) -> Connection:
    """Connect to the command's database."""
    return psycopg.connect(keywright.settings["KEYWRIGHT_DATABASE_URL"], autocommit=True)


def test_what_is_added_is_listed_without_path_and_shown_with_it(keywright: Keywright) -> None:
    added = keywright.json("webhook", "add", "billing", URL, *ACME, "-k", "certificate.*")
    assert added["secret"].startswith("whsec_")
    for said in (
        done(keywright, "webhook", "list", *ACME),
        str(keywright.json("webhook", "list", *ACME)),
    ):
        assert "https://hooks.example.org" in said
        assert "certificate.*" in said
        assert "token" not in said
    shown = keywright.json("webhook", "show", "billing", *ACME)
    assert shown["url"] == URL
    assert (shown["waiting"], shown["failures"], len(shown["secrets"])) == (0, 0, 1)
    said = done(keywright, "webhook", "show", "billing", *ACME)
    assert URL in said
    assert added["secret"] not in said + str(shown)


def test_the_secret_is_printed_on_a_line_of_its_own(keywright: Keywright) -> None:
    first, rest = done(keywright, "webhook", "add", "billing", URL, *ACME).split("\n", 1)
    assert first.startswith("whsec_")
    assert "not shown again" in rest
    second = keywright.json("webhook", "rotate-secret", "billing", *ACME)["secret"]
    assert second != first
    [newest, former] = keywright.json("webhook", "show", "billing", *ACME)["secrets"]
    assert newest["expires_at"] is None
    assert former["expires_at"] is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Billing", URL], "name: a lower-case letter"),
        (["billing", "http://hooks.example.org/"], "url: it must begin with https://"),
        (["billing", "https://10.0.0.1/"], "--allow-private"),
        (["billing", "https://2130706433/"], "url: the host must be a name"),
        (["billing", URL, "-k", "nothing.happened"], "kind: there is no announcement"),
    ],
    ids=["name", "http", "private", "decimal", "kind"],
)
def test_what_will_not_do_gets_one_line(
    keywright: Keywright, arguments: list[str], said: str
) -> None:
    assert said in refused(keywright, "webhook", "add", *arguments, *ACME)
    assert keywright.json("webhook", "list", *ACME) == []


def test_the_own_network_is_allowed_on_purpose(keywright: Keywright) -> None:
    url = "http://10.0.0.1:9000/in"
    keywright.json("webhook", "add", "inner", url, *ACME, "--allow-private")
    assert keywright.json("webhook", "show", "inner", *ACME)["allow_private"] is True
    assert "allowed" in done(keywright, "webhook", "show", "inner", *ACME)


@pytest.mark.parametrize(
    "command",
    ["show", "test", "rotate-secret", "disable", "enable", "remove", "deliveries", "retry"],
)
def test_a_webhook_of_another_organization_is_as_good_as_none(
    keywright: Keywright, command: str
) -> None:
    keywright.json("webhook", "add", "billing", URL, *ACME)
    foreign = refused(keywright, "webhook", command, "billing", "-o", "Globex")
    assert foreign == refused(keywright, "webhook", command, "nobody", *ACME).replace(
        "nobody", "billing"
    )


def test_what_waits_is_listed_retried_and_disabled_and_removed(keywright: Keywright) -> None:
    keywright.json("webhook", "add", "billing", URL, *ACME)
    with connected(keywright) as connection:
        for number in (1, 2):
            tell(connection, 1, "master-key/1/1", number)
        settle(connection)
        rows = keywright.json("webhook", "deliveries", "billing", *ACME, "--state", "waiting")
        assert [each["state"] for each in rows] == ["waiting", "waiting"]
        connection.execute(
            "UPDATE keywright.webhook_delivery SET state = 'given_up', finished_at = now(),"
            " attempt = 12, last_error = 'The endpoint answered 500.'"
        )
    said = done(keywright, "webhook", "deliveries", "billing", *ACME)
    assert "master_key.created" in said
    assert "answered 500" in said
    assert keywright.json("webhook", "retry", "billing", *ACME) == {"again": 2}
    done(keywright, "webhook", "disable", "billing", *ACME)
    assert "disabled since" in done(keywright, "webhook", "list", *ACME)
    assert "webhook enable billing" in refused(keywright, "webhook", "retry", "billing", *ACME)
    done(keywright, "webhook", "enable", "billing", *ACME)
    done(keywright, "webhook", "remove", "billing", *ACME)
    assert "There are no webhooks" in done(keywright, "webhook", "list", *ACME)


def test_a_test_that_nobody_sends_is_said(keywright: Keywright) -> None:
    keywright.json("webhook", "add", "billing", URL, *ACME)
    assert "is announcement" in done(keywright, "webhook", "test", "billing", *ACME, "--wait", "0")
    said = refused(keywright, "webhook", "test", "billing", *ACME, "--wait", "0.2")
    assert "was not tried in time" in said
