"""Endpoints as operators keep them, each within its organization."""

from collections.abc import Callable
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.integration.announcements.town_crier import organization
from tests.integration.webhooks.telling import Telling
from tests.servers.receiver import Receiver
from workers.errors import ConflictError, InvalidRequestError, KeywrightError, NotFoundError
from workers.webhooks import endpoints, store

URL = "https://example.org/in"


def count(telling: Telling, table: str) -> int:
    """Return how many rows a table has."""
    row = telling.connection.execute(f"SELECT count(*) FROM keywright.{table}").fetchone()
    assert row is not None
    return int(row[0])


def test_a_secret_is_shown_once_and_kept_encrypted(telling: Telling) -> None:
    secret = telling.add(URL, allow_private=False)
    Webhook(secret)
    [(value,)] = telling.connection.execute("SELECT value FROM keywright.webhook_secret").fetchall()
    assert secret.encode() not in value
    assert secret.removeprefix("whsec_").encode() not in value
    assert telling.endpoint().url == URL
    assert URL not in repr(telling.endpoint())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "Billing"}, "name: a lower-case letter"),
        ({"name": ""}, "name: a lower-case letter"),
        ({"name": "b" * 64}, "name: a lower-case letter"),
        ({"name": "billing\n"}, "name: a lower-case letter"),
        ({"url": "http://example.org/"}, "url: it must begin with https://"),
        ({"url": "https://127.0.0.1/"}, "url: the host has an address"),
        ({"url": "https://user:password@example.org/"}, "url: leave user and password out"),
        ({"kinds": ["certificate.exploded"]}, "kind: there is no announcement"),
        ({"kinds": ["*"]}, "kind: there is no announcement"),
        ({"kinds": ["cert.*"]}, "kind: there is no announcement"),
    ],
    ids=["case", "empty", "long", "line break", "http", "private", "user", "kind", "all", "noun"],
)
def test_what_will_not_do_is_refused_and_nothing_is_kept(
    telling: Telling, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        telling.add(**{"url": URL, "allow_private": False, **changed})
    assert count(telling, "webhook_endpoint") == count(telling, "webhook_secret") == 0


def test_a_name_serves_once_in_an_organization_and_again_in_another(telling: Telling) -> None:
    telling.add(URL)
    with pytest.raises(ConflictError, match="has a webhook billing already"):
        telling.add(URL)
    telling.add(URL, of=organization(telling.connection, "Globex"))
    assert count(telling, "webhook_endpoint") == count(telling, "webhook_secret") == 2


WAYS: dict[str, Callable[..., Any]] = {
    "show": endpoints.find_endpoint,
    "disable": lambda *a, **k: endpoints.switch(*a, **k, enabled=False),
    "enable": lambda *a, **k: endpoints.switch(*a, **k, enabled=True),
    "remove": endpoints.remove,
    "test": endpoints.announce_test,
    "retry": endpoints.retry,
}


def said(act: Callable[..., Any], *given: Any, **named: Any) -> str:
    """Return with what an act is refused."""
    with pytest.raises(NotFoundError) as refused:
        act(*given, **named)
    return str(refused.value)


@pytest.mark.parametrize("way", WAYS)
def test_an_endpoint_of_another_organization_is_as_good_as_none(
    telling: Telling, billing: Receiver, way: str
) -> None:
    telling.add(billing.url)
    globex = organization(telling.connection, "Globex")
    foreign = said(WAYS[way], telling.connection, organization_id=globex, name="billing")
    telling.connection.execute("UPDATE keywright.webhook_endpoint SET name = 'other'")
    unknown = said(WAYS[way], telling.connection, organization_id=telling.acme, name="billing")
    assert foreign == unknown
    assert telling.endpoint("other").disabled_at is None
    assert store.list_endpoints(telling.connection, organization_id=globex) == []


def test_a_secret_of_another_organizations_endpoint_is_not_rotated(telling: Telling) -> None:
    telling.add(URL)
    globex = organization(telling.connection, "Globex")
    assert "has no webhook billing" in said(
        endpoints.rotate_secret,
        telling.connection,
        telling.tools.cipher,
        organization_id=globex,
        name="billing",
        overlap_hours=0,
    )
    assert count(telling, "webhook_secret") == 1


@pytest.mark.parametrize(("hours", "valid"), [(24, 2), (0, 1)], ids=["overlap", "at once"])
def test_the_former_secret_signs_for_as_long_as_is_said(
    telling: Telling, hours: int, valid: int
) -> None:
    telling.add(URL)
    endpoints.rotate_secret(
        telling.connection,
        telling.tools.cipher,
        organization_id=telling.acme,
        name="billing",
        overlap_hours=hours,
    )
    found = store.valid_secrets(telling.connection, telling.endpoint().endpoint_id)
    assert len(found) == valid
    assert found[0].expires_at is None


def test_a_second_rotation_does_not_prolong_the_first_secret(telling: Telling) -> None:
    telling.add(URL)
    for hours in (1, 100):
        endpoints.rotate_secret(
            telling.connection,
            telling.tools.cipher,
            organization_id=telling.acme,
            name="billing",
            overlap_hours=hours,
        )
    telling.let_time_pass(hours=2)
    assert len(store.valid_secrets(telling.connection, telling.endpoint().endpoint_id)) == 2


@pytest.mark.parametrize("way", ["test", "retry"])
def test_a_disabled_endpoint_is_enabled_first(telling: Telling, way: str) -> None:
    telling.add(URL)
    endpoints.switch(
        telling.connection, organization_id=telling.acme, name="billing", enabled=False
    )
    with pytest.raises(ConflictError, match="webhook enable billing"):
        WAYS[way](telling.connection, organization_id=telling.acme, name="billing")


def test_an_announcement_that_was_never_for_it_is_not_sent_anew(telling: Telling) -> None:
    telling.add(URL, kinds=["certificate.*"])
    telling.tell(1)
    with pytest.raises(KeywrightError, match="never for this webhook"):
        endpoints.retry(
            telling.connection, organization_id=telling.acme, name="billing", sequence=1
        )


def test_removing_leaves_nothing(telling: Telling) -> None:
    telling.add(URL)
    telling.tell(1)
    endpoints.remove(telling.connection, organization_id=telling.acme, name="billing")
    for table in ("webhook_endpoint", "webhook_secret", "webhook_delivery"):
        assert count(telling, table) == 0
