"""How a digest ended is announced in the transaction that records it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.notifications.household import DAY, NOON, household
from workers.database.pool import Connection, Pool, open_pool
from workers.notifications.planning import plan_due_notices
from workers.notifications.recording import Ended, Recorder, Step


@pytest.fixture
def pool(conninfo: str) -> Iterator[Pool]:
    """The connections of a worker."""
    with open_pool(conninfo, size=1, name="worker") as pool:
        yield pool


@pytest.fixture
def digest_ids(connection: Connection) -> list[int]:
    """Digests of two members, each with two certificates."""
    acme = household(connection)
    for name in ("Holly", "Hannah"):
        acme.member(name, holder=True)
    for name in ("web", "mail"):
        acme.version(name, not_after=NOON + 10 * DAY, known_since=NOON - DAY)
    with connection.transaction():
        plan_due_notices(connection, now=NOON, limit=10)
    connection.execute("DELETE FROM keywright.announcement")
    rows = connection.execute("SELECT digest_id FROM keywright.digest ORDER BY digest_id")
    return [row[0] for row in rows]


def announced(connection: Connection) -> list[tuple[str, str, dict[str, Any]]]:
    """Return kind, subject and data of what was announced."""
    return connection.execute(
        "SELECT kind, subject, data FROM keywright.announcement ORDER BY announcement_id"
    ).fetchall()


def ended(digest_id: int, state: str, code: int | None = None) -> Ended:
    """Return how a digest ended."""
    return Ended(digest_id=digest_id, state=state, code=code, reply="for holly@example.org")


def test_what_was_delivered_and_what_failed_is_announced_for_each_digest(
    connection: Connection, pool: Pool, digest_ids: list[int]
) -> None:
    first, second = digest_ids
    Recorder(pool).record(Step(ended=(ended(first, "accepted"), ended(second, "refused", 550))))
    [delivered, failed] = announced(connection)
    assert delivered[:2] == ("notice.delivered", f"digest/{first}")
    assert [each["tier_days"] for each in delivered[2]["notices"]] == [10, 10]
    assert delivered[2]["local_day"] == "2026-06-01"
    assert failed[:2] == ("notice.failed", f"digest/{second}")
    assert (failed[2]["because"], failed[2]["smtp_code"]) == ("refused", 550)
    assert "@" not in str(announced(connection))


def test_what_goes_on_later_is_not_announced(
    connection: Connection, pool: Pool, digest_ids: list[int]
) -> None:
    Recorder(pool).record(Step(ended=tuple(ended(each, "deferred", 451) for each in digest_ids)))
    assert announced(connection) == []


def test_what_was_given_up_says_so(
    connection: Connection, pool: Pool, digest_ids: list[int]
) -> None:
    Recorder(pool).record(Step(ended=(ended(digest_ids[0], "given_up"),)))
    [(kind, _, data)] = announced(connection)
    assert (kind, data["because"], data["smtp_code"]) == ("notice.failed", "given_up", None)
