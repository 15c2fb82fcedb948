"""Organizations take turns: one that floods a queue does not delay another."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.contract import Queue
from workers.database.pool import Connection, open_pool
from workers.jobs.fairness import FEWEST
from workers.jobs.hints import Hint
from workers.jobs.relay import broker_step, offer_some, offer_window


@pytest.fixture(autouse=True)
def _organizations(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO keywright.organization (name) SELECT 'o' || g FROM generate_series(1, 9) AS g"
    )


def ask(
    connection: Connection, organization: int | None, count: int, queue: Queue = Queue.CERTIFICATES
) -> None:
    """Ask for jobs that became due in the order in which they were asked for."""
    connection.execute(
        "INSERT INTO keywright.job (kind, queue, organization_id, max_attempts, run_at)"
        " SELECT 'test.plain', %s, %s, 3, now() - interval '1 hour' FROM generate_series(1, %s)",
        [queue.value, organization, count],
    )


def owners(connection: Connection, hints: list[Hint]) -> list[int | None]:
    """Return whose jobs were offered, in the order of the offers."""
    by_job = dict(
        connection.execute("SELECT job_id, organization_id FROM keywright.job").fetchall()
    )
    return [by_job[hint.job_id] for hint in hints]


def test_organizations_and_keywright_itself_take_turns(connection: Connection) -> None:
    ask(connection, 1, 50)
    ask(connection, 2, 2)
    ask(connection, None, 3)
    offered = owners(connection, offer_window(connection, 12))
    assert offered == [1, 2, None, 1, 2, None, 1, None, 1, 1, 1, 1]


def test_a_newcomer_is_offered_at_once_though_another_has_all_that_it_may(
    connection: Connection,
) -> None:
    bounds = {Queue.CERTIFICATES: 10}
    ask(connection, 1, 500)
    assert len(offer_window(connection, bounds=bounds)) == 10
    assert offer_window(connection, bounds=bounds) == []
    ask(connection, 2, 1)
    [hint] = offer_window(connection, bounds=bounds)
    assert owners(connection, [hint]) == [2]


def test_what_is_taken_makes_room_for_as_much(connection: Connection) -> None:
    bounds = {Queue.CERTIFICATES: 10}
    ask(connection, 1, 100)
    first = offer_window(connection, bounds=bounds)
    connection.execute(
        "UPDATE keywright.job SET state = 'cancelled', finished_at = now() WHERE job_id = ANY (%s)",
        [[hint.job_id for hint in first[:4]]],
    )
    assert len(offer_window(connection, bounds=bounds)) == 4


def test_a_queue_does_not_count_for_another(connection: Connection) -> None:
    ask(connection, 1, 30)
    ask(connection, 1, 30, Queue.ENCRYPTION)
    offered = offer_window(connection, bounds=dict.fromkeys(Queue, 5))
    assert Counter(hint.queue for hint in offered) == {Queue.CERTIFICATES: 5, Queue.ENCRYPTION: 5}


def test_what_is_due_later_is_nobodys_turn(connection: Connection) -> None:
    ask(connection, 1, 3)
    connection.execute("UPDATE keywright.job SET run_at = now() + interval '1 hour'")
    ask(connection, 2, 2)
    assert owners(connection, offer_window(connection)) == [2, 2]


def test_within_a_process_organizations_take_turns_too(connection: Connection) -> None:
    ask(connection, 1, 50)
    ask(connection, 2, 2)
    ask(connection, 3, 1, Queue.NOTIFICATIONS)
    offered = owners(connection, offer_some(connection, list(Queue), 6))
    assert offered[0] in (1, 3)
    assert Counter(offered) == {1: 3, 2: 2, 3: 1}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    backlog=st.dictionaries(
        st.sampled_from([None, *range(1, 9)]), st.integers(1, 40), min_size=1, max_size=6
    ),
    window=st.integers(1, 50),
    bound=st.integers(1, 20),
)
def test_everybody_is_served_once_whatever_the_backlog(
    connection: Connection, backlog: dict[int | None, int], window: int, bound: int
) -> None:
    connection.execute("DELETE FROM keywright.job")
    for organization, count in backlog.items():
        ask(connection, organization, count)
    seen: Counter[int] = Counter()
    while hints := offer_window(connection, window, bounds={Queue.CERTIFICATES: bound}):
        most = max(Counter(owners(connection, hints)).values())
        assert most <= bound
        assert len(hints) <= window
        seen.update(hint.job_id for hint in hints)
        connection.execute("DELETE FROM keywright.job WHERE state = 'ready'")
    assert sum(seen.values()) == len(seen) == sum(backlog.values())


def test_two_relays_at_once_offer_nothing_twice(connection: Connection, conninfo: str) -> None:
    for organization in range(1, 6):
        ask(connection, organization, 40)

    def relay(_: int) -> list[int]:
        found: list[int] = []
        with psycopg.connect(conninfo, autocommit=True) as own:
            for _ in range(20):
                found += [hint.job_id for hint in offer_window(own, 1000)]
        return found

    with ThreadPoolExecutor(2) as threads:
        offered = [job_id for found in threads.map(relay, range(2)) for job_id in found]
    assert len(offered) == len(set(offered)) == 200


def test_the_relay_begins_with_few(connection: Connection, conninfo: str) -> None:
    ask(connection, 1, 200)
    published: list[int] = []

    def publish(hints: object) -> set[int]:
        assert isinstance(hints, list)
        published.append(len(hints))
        return set()

    with open_pool(conninfo, size=1, name="scheduler", index_only=True) as pool:
        assert broker_step(pool, publish)() == FEWEST
    assert published == [FEWEST]
