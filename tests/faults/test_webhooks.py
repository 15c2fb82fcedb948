"""Webhooks while workers are killed and endpoints go away: nothing is lost, or sent as another."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from scheduler.service import SchedulerService
from tests.faults.webhook_worker import WebhookWorker
from tests.integration.announcements.town_crier import organization, tell
from tests.integration.certificates.issuance.workshop import certificate_tools
from tests.servers.ports import free_port
from tests.servers.receiver import Received, Receiver, Reply, receiver
from tests.servers.waiting import until
from workers.database.pool import Connection, open_pool
from workers.webhooks.endpoints import add_endpoint


@dataclass
class Post:
    """An organization with a webhook, and workers to start and kill."""

    connection: Connection
    acme: int
    start_worker: Callable[[], WebhookWorker]
    add: Callable[[str], None]

    def delivered(self) -> int:
        """Return how many messages are on record as accepted."""
        row = self.connection.execute(
            "SELECT count(*) FROM keywright.webhook_delivery WHERE state = 'delivered'"
        ).fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def post(conninfo: str, broker_url: str, tmp_path: Path) -> Iterator[Post]:
    """A scheduler over RabbitMQ, and no worker yet."""
    with ExitStack() as stack:
        connection = stack.enter_context(psycopg.connect(conninfo, autocommit=True))
        pool = stack.enter_context(open_pool(conninfo, size=2, name="owner"))
        acme = organization(connection, "Acme")
        tools = certificate_tools(pool, tmp_path)
        stack.enter_context(
            SchedulerService(conninfo, broker_url, timetable=(), stale_hint_seconds=1)
        )

        def start_worker() -> WebhookWorker:
            return stack.enter_context(
                WebhookWorker(conninfo, broker_url, root_key=tmp_path / "root.key")
            )

        def add(url: str) -> None:
            add_endpoint(
                connection,
                tools.cipher,
                organization_id=acme,
                name="billing",
                url=url,
                allow_private=True,
            )

        yield Post(connection, acme, start_worker, add)


@pytest.fixture
def billing() -> Iterator[Receiver]:
    """A receiver."""
    with receiver() as billing:
        yield billing


def first_times(received: list[Received]) -> list[int]:
    """Return the numbers without those that came before: by id, as receivers do."""
    found = {each.headers["webhook-id"]: each.event["data"]["number"] for each in received}
    return list(found.values())


def test_a_worker_killed_after_the_answer_and_before_the_record_sends_the_same_again(
    post: Post, billing: Receiver
) -> None:
    post.add(billing.url)
    arrived, go_on = threading.Event(), threading.Event()

    def hold(_: Received) -> Reply:
        arrived.set()
        assert go_on.wait(60)
        return Reply()

    billing.answer = hold
    worker = post.start_worker()
    tell(post.connection, post.acme, "s", 1)
    assert arrived.wait(60)
    # The endpoint has it and says so; nobody is there any more to write that down.
    worker.kill()
    go_on.set()
    assert post.delivered() == 0
    post.start_worker()
    until(lambda: post.delivered() == 1, "it to be sent again", seconds=60)
    first, second = billing.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


def test_whatever_worker_is_killed_everything_is_told_in_order(
    post: Post, billing: Receiver
) -> None:
    post.add(billing.url)
    workers = [post.start_worker(), post.start_worker()]
    for number in range(1, 301):
        tell(post.connection, post.acme, "s", number)
        if number % 100 == 0:
            before = post.delivered()
            until(lambda before=before: post.delivered() > before, "some to be told", seconds=60)  # type: ignore[misc]
            workers.pop(0).kill()
            workers.append(post.start_worker())
    until(lambda: post.delivered() == 300, "all to be told", seconds=90)
    assert first_times(billing.received) == list(range(1, 301))


def test_an_endpoint_that_comes_back_is_told_what_it_missed(post: Post) -> None:
    port = free_port()
    post.add(f"http://127.0.0.1:{port}/in")
    post.start_worker()
    for number in range(1, 11):
        tell(post.connection, post.acme, f"s{number}", number)

    def rests() -> bool:
        row = post.connection.execute(
            "SELECT open_until FROM keywright.webhook_endpoint"
        ).fetchone()
        assert row is not None
        return row[0] is not None

    until(rests, "the endpoint to be left alone", seconds=60)
    with receiver(port=port) as billing:
        post.connection.execute("UPDATE keywright.webhook_endpoint SET open_until = now()")
        post.connection.execute("UPDATE keywright.webhook_delivery SET next_at = now()")
        until(lambda: post.delivered() == 10, "all to be told", seconds=60)
        assert sorted(billing.numbers()) == list(range(1, 11))
