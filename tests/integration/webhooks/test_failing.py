"""Endpoints that fail: rests, probes, endings, and what becomes of what waits."""

from socket import socket

import pytest

from tests.integration.webhooks.telling import Telling, refusing
from tests.servers.receiver import Receiver, Reply, rude_receiver
from workers.contract import PurgeWebhooks
from workers.webhooks.calling import purge_webhooks
from workers.webhooks.endpoints import retry, rotate_secret, switch


def stay_silent(connection: socket) -> None:
    """Never answer."""
    while connection.recv(65536):
        pass


def fail_until_it_rests(telling: Telling, billing: Receiver) -> None:
    """Announce ten things to an endpoint that is down."""
    billing.answer = lambda _: Reply(500)
    for number in range(1, 11):
        telling.tell(number, subject=f"s{number}")
    telling.work()
    assert len(billing.received) == 5


def test_what_is_refused_for_three_days_is_given_up_and_can_be_sent_anew(
    telling: Telling, billing: Receiver
) -> None:
    telling.add(billing.url)
    billing.answer = refusing(1)
    telling.tell(1, 2)
    telling.work()
    telling.let_time_pass(hours=73)
    assert telling.result() == {"delivered": 1, "failed": 0, "given_up": 1}
    [given_up, _] = telling.deliveries()
    assert (given_up.state, given_up.last_status) == ("given_up", 500)
    billing.answer = refusing()
    assert retry(telling.connection, organization_id=telling.acme, name="billing") == 1
    telling.work()
    assert billing.numbers() == [1, 1, 2, 1]
    assert telling.states() == [("delivered", 1), ("delivered", 1)]


def test_what_is_sent_anew_has_three_days_anew(telling: Telling, billing: Receiver) -> None:
    telling.add(billing.url)
    billing.answer = refusing(1)
    telling.tell(1)
    telling.work()
    telling.let_time_pass(hours=73)
    telling.work()
    retry(telling.connection, organization_id=telling.acme, name="billing")
    assert telling.result() == {"delivered": 0, "failed": 1, "given_up": 0}
    assert telling.states() == [("waiting", 1)]


def test_one_that_was_accepted_can_be_sent_anew(telling: Telling, billing: Receiver) -> None:
    telling.add(billing.url)
    telling.tell(1, 2)
    telling.work()
    again = retry(
        telling.connection,
        organization_id=telling.acme,
        name="billing",
        sequence=telling.deliveries()[0].sequence,
    )
    assert again == 1
    telling.work()
    assert billing.numbers() == [1, 2, 1]


def test_an_endpoint_that_fails_five_times_in_a_row_rests(
    telling: Telling, billing: Receiver
) -> None:
    telling.add(billing.url)
    fail_until_it_rests(telling, billing)
    assert telling.endpoint().failures == 5
    telling.tell(11, subject="s11")
    assert telling.ask() == 0


def test_after_a_rest_one_message_is_a_probe_and_the_next_rest_is_longer(
    telling: Telling, billing: Receiver
) -> None:
    telling.add(billing.url)
    fail_until_it_rests(telling, billing)
    rests: list[float] = []
    for probes in (1, 2, 3):
        telling.let_time_pass(hours=2)
        telling.work()
        assert len(billing.received) == 5 + probes
        open_until = telling.endpoint().open_until
        assert open_until is not None
        rests.append((open_until - telling.now).total_seconds())
    assert rests == sorted(rests)
    # The ones that were tried least, each of its subject: 6, 7, 8.
    assert billing.numbers()[5:] == [6, 7, 8]


def test_once_a_probe_is_accepted_everything_that_waits_is_told(
    telling: Telling, billing: Receiver
) -> None:
    telling.add(billing.url)
    fail_until_it_rests(telling, billing)
    billing.answer = refusing()
    telling.let_time_pass(minutes=1)
    # Some wait for longer than the endpoint rested.
    telling.connection.execute(
        "UPDATE keywright.webhook_delivery SET next_at = now() + interval '9 hours'"
        " WHERE attempt > 0"
    )
    telling.work()
    assert sorted(billing.numbers()[5:]) == list(range(1, 11))
    endpoint = telling.endpoint()
    assert (endpoint.failures, endpoint.open_until, endpoint.waiting) == (0, None, 0)


def test_one_message_that_nobody_takes_does_not_keep_an_endpoint_at_rest(
    telling: Telling, billing: Receiver
) -> None:
    telling.add(billing.url)
    billing.answer = refusing(1)
    telling.tell(1, subject="poison")
    for _ in range(5):
        telling.work()
        telling.let_time_pass(hours=2)
    assert telling.endpoint().failures == 5
    telling.tell(2, subject="good")
    telling.work()
    assert billing.numbers()[5:7] == [2, 1]


def test_an_endpoint_that_is_gone_is_disabled_and_what_waits_is_kept(
    telling: Telling, billing: Receiver
) -> None:
    telling.add(billing.url)
    billing.answer = lambda _: Reply(410)
    telling.tell(1, 2)
    telling.work()
    assert len(billing.received) == 1
    assert telling.endpoint().disabled_at is not None
    assert [state for state, _ in telling.states()] == ["waiting", "waiting"]
    billing.answer = refusing()
    switch(telling.connection, organization_id=telling.acme, name="billing", enabled=True)
    telling.work()
    assert billing.numbers() == [1, 1, 2]


@pytest.mark.parametrize("status", [429, 503])
def test_an_endpoint_that_asks_for_time_is_left_alone_so_long(
    telling: Telling, billing: Receiver, status: int
) -> None:
    telling.add(billing.url)
    billing.answer = lambda _: Reply(status, {"Retry-After": "600"})
    telling.tell(1, subject="a")
    telling.tell(2, subject="b")
    telling.work()
    assert len(billing.received) == 1
    telling.let_time_pass(seconds=500)
    assert telling.ask() == 0
    billing.answer = refusing()
    telling.let_time_pass(seconds=101)
    telling.work()
    assert billing.numbers() == [1, 1, 2]


def test_one_that_does_not_answer_takes_a_workers_thread_for_one_message_at_a_time(
    telling: Telling,
) -> None:
    telling.total_seconds = 0.2
    with rude_receiver(stay_silent) as port:
        telling.add(f"http://127.0.0.1:{port}/")
        for number in (1, 2, 3):
            telling.tell(number, subject=f"s{number}")
        for failed in (1, 2, 3):
            assert telling.result() == {"delivered": 0, "failed": 1, "given_up": 0}
            assert telling.endpoint().failures == failed


def test_what_an_endpoint_said_is_on_record_without_its_words(
    telling: Telling, billing: Receiver
) -> None:
    telling.add(f"{billing.url}?token=of-the-receiver")
    billing.answer = lambda _: Reply(418, body=b"the receiver's own words")
    telling.tell(1)
    telling.work()
    [delivery] = telling.deliveries()
    assert (delivery.last_status, delivery.last_error) == (418, "The endpoint answered 418.")


def test_what_cannot_be_signed_waits_and_says_so(telling: Telling, billing: Receiver) -> None:
    telling.add(billing.url)
    telling.connection.execute(
        "UPDATE keywright.webhook_secret SET value = overlay(value PLACING '\\x00' FROM 60)"
    )
    telling.tell(1)
    [job] = telling.work()
    assert (job.state, billing.received) == ("succeeded", [])
    assert telling.states() == [("waiting", 0)]
    assert "rotate-secret" in str(telling.deliveries()[0].last_error)
    assert telling.ask() == 0
    rotate_secret(
        telling.connection,
        telling.tools.cipher,
        organization_id=telling.acme,
        name="billing",
        overlap_hours=24,
    )
    retry(telling.connection, organization_id=telling.acme, name="billing")
    telling.work()
    assert billing.numbers() == [1]


def test_a_url_that_became_forbidden_is_not_called(telling: Telling, billing: Receiver) -> None:
    telling.add(billing.url)
    telling.connection.execute("UPDATE keywright.webhook_endpoint SET allow_private = false")
    telling.tell(1)
    telling.work()
    assert billing.received == []
    assert "must begin with https" in str(telling.deliveries()[0].last_error)


def test_purging_removes_expired_secrets_and_gives_up_what_waits_for_days(
    telling: Telling, billing: Receiver
) -> None:
    telling.add(billing.url)
    rotate_secret(
        telling.connection,
        telling.tools.cipher,
        organization_id=telling.acme,
        name="billing",
        overlap_hours=24,
    )
    telling.tell(1)
    switch(telling.connection, organization_id=telling.acme, name="billing", enabled=False)
    done = telling.workbench.execute(purge_webhooks, PurgeWebhooks())
    assert done.result == {"secrets": 0, "given_up": 0}
    telling.let_time_pass(hours=73)
    done = telling.workbench.execute(purge_webhooks, PurgeWebhooks())
    assert done.result == {"secrets": 1, "given_up": 1}
    assert telling.states() == [("given_up", 0)]
