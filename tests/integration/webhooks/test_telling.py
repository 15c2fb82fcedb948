"""From the announcement to the endpoint: what is told, when, in which order, and how often."""

from collections.abc import Callable
from functools import partial

import pytest
from standardwebhooks import Webhook

from tests.integration.announcements.town_crier import organization, tell
from tests.integration.webhooks.telling import Telling, refusing
from tests.servers.receiver import Received, Receiver, Reply, receiver
from workers.announcements.store import announce
from workers.contract import DeliverWebhooks, Ping
from workers.contract.announcements import CertificateEdited
from workers.jobs.enqueue import enqueue
from workers.webhooks.endpoints import announce_test, remove, rotate_secret, switch


def test_what_is_announced_is_told_as_a_signed_cloud_event(
    telling: Telling, billing: Receiver
) -> None:
    secret = telling.add(billing.url)
    telling.tell(7)
    assert telling.result() == {"delivered": 1, "failed": 0, "given_up": 0}
    [received] = billing.received
    event = Webhook(secret).verify(received.body, dict(received.headers))
    assert received.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert received.headers["webhook-id"] == event["id"]
    assert event["specversion"] == "1.0"
    assert event["type"] == "keywright.master_key.created.v1"
    assert (event["organization"], event["subject"]) == ("Acme", "master-key/1/1")
    assert event["data"] == {"number": 7}
    assert telling.states() == [("delivered", 1)]


def test_nothing_is_asked_for_where_nothing_is_due(telling: Telling, billing: Receiver) -> None:
    telling.tell(1)
    assert telling.ask() == 0
    telling.add(billing.url)
    assert telling.ask() == 0
    telling.tell(2)
    assert [telling.ask(), telling.ask()] == [1, 0]
    telling.work()
    assert telling.ask() == 0
    assert billing.numbers() == [2]


def test_what_is_rolled_back_is_never_told(telling: Telling, billing: Receiver) -> None:
    telling.add(billing.url)
    with telling.connection.transaction(force_rollback=True):
        tell(telling.connection, telling.acme, "a")
    telling.tell(2)
    telling.work()
    assert billing.numbers() == [2]


def test_what_is_not_settled_is_not_told_yet(telling: Telling, billing: Receiver) -> None:
    telling.add(billing.url)
    tell(telling.connection, telling.acme, "a")
    assert telling.ask() == 0


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ([], ["master_key.created", "certificate.edited"]),
        (["certificate.edited"], ["certificate.edited"]),
        (["certificate.*"], ["certificate.edited"]),
        (["certificate.issued", "master_key.*"], ["master_key.created"]),
        (["reencryption.*"], []),
    ],
    ids=["all", "one", "of a noun", "several", "none of them"],
)
def test_an_endpoint_is_told_the_kinds_that_it_wants(
    telling: Telling, billing: Receiver, kinds: list[str], told: list[str]
) -> None:
    telling.add(billing.url, kinds=kinds)
    announce(
        telling.connection,
        CertificateEdited.model_construct(),
        organization_id=telling.acme,
        subject="certificate/1",
    )
    telling.tell(1)
    telling.work()
    assert {each.event["type"] for each in billing.received} == {
        f"keywright.{kind}.v1" for kind in told
    }


def test_each_endpoint_of_the_organization_is_told_and_no_other(
    telling: Telling, billing: Receiver
) -> None:
    globex = organization(telling.connection, "Globex")
    with receiver() as second, receiver() as foreign:
        telling.add(billing.url)
        telling.add(second.url, name="second")
        telling.add(foreign.url, of=globex)
        telling.tell(1, 2)
        assert telling.ask() == 2
        telling.work()
        assert billing.numbers() == second.numbers() == [1, 2]
        assert billing.ids() == second.ids()
        assert foreign.received == []


def test_a_job_for_an_endpoint_of_another_organization_does_nothing(
    telling: Telling, billing: Receiver
) -> None:
    telling.add(billing.url)
    telling.tell(1)
    globex = organization(telling.connection, "Globex")
    for endpoint_id in (telling.endpoint().endpoint_id, 999):
        enqueue(
            telling.connection, DeliverWebhooks(endpoint_id=endpoint_id), organization_id=globex
        )
    telling.connection.execute("UPDATE keywright.webhook_endpoint SET disabled_at = now()")
    telling.connection.execute("UPDATE keywright.webhook_endpoint SET disabled_at = NULL")
    execution = telling.workbench.execution({DeliverWebhooks: telling.caller().deliver_webhooks})
    for job_id in (1, 2):
        execution.execute(job_id)
    assert billing.received == []
    assert telling.states() == [("waiting", 0)]


def test_many_are_told_in_order(telling: Telling, billing: Receiver) -> None:
    telling.add(billing.url)
    telling.tell(*range(1, 51))
    assert telling.result() == {"delivered": 50, "failed": 0, "given_up": 0}
    assert billing.numbers() == list(range(1, 51))


def test_one_that_fails_holds_back_its_subject_and_nothing_else(
    telling: Telling, billing: Receiver
) -> None:
    telling.add(billing.url)
    billing.answer = refusing(1)
    telling.tell(1, 2, subject="a")
    telling.tell(3, subject="b")
    assert telling.result() == {"delivered": 1, "failed": 1, "given_up": 0}
    assert billing.numbers() == [1, 3]
    assert telling.ask() == 0
    telling.tell(4, subject="a")
    telling.tell(5, subject="b")
    telling.work()
    assert billing.numbers() == [1, 3, 5]
    billing.answer = refusing()
    telling.let_time_pass(seconds=10)
    telling.work()
    assert billing.numbers() == [1, 3, 5, 1, 2, 4]
    assert billing.ids()[0] == billing.ids()[3]


def test_a_message_comes_again_under_the_same_id_with_another_time(
    telling: Telling, billing: Receiver
) -> None:
    secret = telling.add(billing.url)
    billing.answer = refusing(1)
    telling.tell(1)
    telling.work()
    billing.answer = refusing()
    telling.let_time_pass(seconds=10)
    telling.work()
    first, second = billing.received
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    Webhook(secret).verify(second.body, dict(second.headers))
    assert telling.states() == [("delivered", 2)]


def test_a_test_is_told_to_its_endpoint_only_whatever_it_wants(
    telling: Telling, billing: Receiver
) -> None:
    with receiver() as other:
        telling.add(billing.url, kinds=["certificate.*"])
        telling.add(other.url, name="other")
        announce_test(telling.connection, organization_id=telling.acme, name="billing")
        telling.tell()
        telling.work()
        [received] = billing.received
        assert received.event["type"] == "keywright.webhook.tested.v1"
        assert received.event["data"]["name"] == "billing"
        assert other.received == []


@pytest.mark.parametrize(("kind", "told"), [("webhook.deliver", 0), ("system.ping", 1)])
def test_that_telling_failed_is_not_told(
    telling: Telling, billing: Receiver, kind: str, told: int
) -> None:
    telling.add(billing.url)
    enqueue(telling.connection, Ping(), organization_id=telling.acme)
    telling.connection.execute("UPDATE keywright.job SET kind = %s", [kind])
    telling.connection.execute(
        "UPDATE keywright.job SET state = 'failed', finished_at = now(), problem = '{}'"
    )
    telling.tell()
    assert len(telling.deliveries()) == told


def test_a_disabled_endpoint_is_told_nothing_but_what_waited_is_told_once_it_is_enabled(
    telling: Telling, billing: Receiver
) -> None:
    telling.add(billing.url)
    telling.tell(1)
    switch(telling.connection, organization_id=telling.acme, name="billing", enabled=False)
    telling.tell(2)
    assert telling.ask() == 0
    switch(telling.connection, organization_id=telling.acme, name="billing", enabled=True)
    telling.tell(3)
    telling.work()
    assert billing.numbers() == [1, 3]


@pytest.mark.parametrize("way", [remove, partial(switch, enabled=False)], ids=["remove", "disable"])
def test_one_that_is_removed_or_disabled_while_it_is_told_is_told_nothing_more(
    telling: Telling, billing: Receiver, way: Callable[..., None]
) -> None:
    telling.add(billing.url)

    def take_away(_: Received) -> Reply:
        way(telling.connection, organization_id=telling.acme, name="billing")
        return Reply()

    billing.answer = take_away
    telling.tell(1, 2, 3)
    [job] = telling.work()
    assert job.state == "succeeded"
    assert billing.numbers() == [1]


def test_both_secrets_sign_while_one_takes_the_place_of_the_other(
    telling: Telling, billing: Receiver
) -> None:
    former = telling.add(billing.url)
    latter = rotate_secret(
        telling.connection,
        telling.tools.cipher,
        organization_id=telling.acme,
        name="billing",
        overlap_hours=24,
    )
    telling.tell(1)
    telling.work()
    telling.let_time_pass(hours=25)
    telling.tell(2)
    telling.work()
    during, after = (each.headers["webhook-signature"].split() for each in billing.received)
    assert (len(during), len(after)) == (2, 1)
    for secret in (former, latter):
        Webhook(secret).verify(billing.received[0].body, dict(billing.received[0].headers))
    Webhook(latter).verify(billing.received[1].body, dict(billing.received[1].headers))
