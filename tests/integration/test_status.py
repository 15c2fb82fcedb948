"""What ``keywright status`` finds, part by part."""

import pika
import pytest
from pydantic import SecretStr

from tests.acceptance.keywright_command import url_of
from tests.integration.announcements.town_crier import organization
from tests.integration.audit.record import unguarded
from workers.cli.status import look
from workers.database.pool import Connection
from workers.jobs.intake.topology import declare_intake
from workers.settings import Settings


@pytest.fixture
def settings(conninfo: str) -> Settings:
    return Settings(database_url=SecretStr(url_of(conninfo)))


def troubles(settings: Settings, about: str) -> list[str]:
    """Return what is wrong with something."""
    return [trouble for trouble in look(settings).troubles if about in trouble]


def test_a_webhook_that_rests_is_a_trouble_and_a_disabled_one_is_none(
    settings: Settings, connection: Connection
) -> None:
    acme = organization(connection, "Acme & Sons")
    connection.execute(
        """
        INSERT INTO keywright.webhook_endpoint (organization_id, name, url, failures, disabled_at)
        VALUES (%(acme)s, 'resting', 'https://a.example', 5, NULL),
               (%(acme)s, 'stumbled', 'https://b.example', 4, NULL),
               (%(acme)s, 'disabled', 'https://c.example', 9, now())
        """,
        {"acme": acme},
    )
    [trouble] = troubles(settings, "Webhook")
    assert trouble == (
        "Webhook resting of Acme & Sons has failed 5 times in a row; `keywright webhook deliveries"
        " resting -o 'Acme & Sons'` shows why."
    )


@pytest.mark.parametrize(("minutes", "is_late"), [(14, False), (16, True)])
def test_an_audit_entry_that_waits_for_its_link_is_a_trouble(
    settings: Settings, conninfo: str, minutes: int, is_late: bool
) -> None:
    with unguarded(conninfo) as connection:
        connection.execute(
            "UPDATE keywright.audit_entry SET occurred_at = now() - make_interval(mins => %s)",
            [minutes],
        )
    sentence = (
        "An entry of the audit record has waited 16 min for its link in the chain; is a scheduler"
        " running (`keywright scheduler`)?"
    )
    assert troubles(settings, "audit record") == is_late * [sentence]


def test_a_request_that_was_put_aside_is_a_trouble(settings: Settings, broker_url: str) -> None:
    settings = settings.model_copy(update={"broker_url": SecretStr(broker_url)})
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as broker:
        channel = broker.channel()
        declare_intake(channel)
        channel.confirm_delivery()
        channel.basic_publish("", "keywright.intake.XQ", b"{}")
    [trouble] = troubles(settings, "keywright.intake")
    assert trouble == (
        "1 requests that keywright stumbled over lie in keywright.intake.XQ; the log of the"
        " scheduler says why."
    )
