"""The review: what is due by policy is asked for once, however often it runs."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.certificates.policies.shelf import Shelf, shelf
from tests.integration.jobs.workbench import Workbench, finish_as
from tests.integration.notifications.household import DAY
from workers.certificates.review.handlers import review_certificates
from workers.certificates.review.store import rekeys_due, replacements_due
from workers.contract import ReviewCertificates
from workers.database.pool import Connection
from workers.jobs.enqueue import enqueue


def due(acme: Shelf, *, later: timedelta = timedelta(0)) -> list[str]:
    """Return what is to be rekeyed by now, or later."""
    found = rekeys_due(acme.connection, now=acme.now + later, limit=100)
    return [each.unique_name for each in found]


def staged(acme: Shelf) -> list[tuple[str, int, int]]:
    """Return what is to be staged by now."""
    found = replacements_due(acme.connection, now=acme.now, limit=100)
    return [(each.unique_name, each.old_number, each.new_number) for each in found]


def review(workbench: Workbench) -> dict[str, Any]:
    """Review, and return what came of it."""
    job = workbench.execute(review_certificates, ReviewCertificates())
    assert job.state == "succeeded", job.problem
    assert job.result is not None
    return job.result


def asked(connection: Connection, kind: str) -> list[tuple[int, str, dict[str, Any]]]:
    """Return (id, unique key, arguments) of the jobs of a kind."""
    return connection.execute(
        "SELECT job_id, unique_key, arguments FROM keywright.job WHERE kind = %s ORDER BY 1",
        [kind],
    ).fetchall()


def test_a_certificate_is_due_so_many_days_before_its_end(acme: Shelf) -> None:
    acme.put_with_key("soon", days_left=30)
    acme.put_with_key("later", days_left=31)
    assert due(acme) == []
    acme.policy(rekey_days_before=30)
    assert due(acme) == ["soon"]
    assert due(acme, later=DAY) == ["soon", "later"]


def test_a_short_life_is_rekeyed_when_a_third_of_it_is_left(acme: Shelf) -> None:
    acme.policy(rekey_days_before=30)
    acme.put_with_key("month", days_left=10.1, life=30 * DAY)
    acme.put_with_key("day", days_left=0.4, life=DAY)
    assert due(acme) == []
    assert due(acme, later=timedelta(hours=2)) == ["day"]
    assert due(acme, later=timedelta(hours=3)) == ["day", "month"]


def test_only_self_signed_certificates_that_are_there_are_rekeyed(acme: Shelf) -> None:
    acme.policy(rekey_days_before=30)
    for kind in ("self_signed", "ca_signed", "imported"):
        acme.put_with_key(kind, days_left=5, kind=kind)
    acme.put_with_key("deleted", days_left=5)
    acme.delete("deleted")
    assert due(acme) == ["self_signed"]


def test_what_has_ended_is_rekeyed_only_while_a_place_uses_it(acme: Shelf) -> None:
    acme.policy(rekey_days_before=30)
    acme.put_with_key("unused", days_left=-2)
    acme.use(acme.put_with_key("used", days_left=-2), "Billing")
    assert due(acme) == ["used"]


def test_what_has_a_successor_already_is_not_rekeyed(acme: Shelf) -> None:
    acme.policy(rekey_days_before=30)
    versions = [acme.put_with_key(name, days_left=5) for name in ("chosen", "done")]
    other = acme.put("other", days_left=300)
    acme.begin_replacement(versions[0], other)
    acme.set_version(versions[1], "replaced_at", acme.now)
    acme.put_with_key("renewed", days_left=5)
    acme.renew("renewed")
    assert due(acme) == []


def test_without_a_private_key_there_is_nothing_to_repeat(acme: Shelf) -> None:
    acme.policy(rekey_days_before=30)
    acme.set_version(acme.put_with_key("public", days_left=5), "private_key", None)
    assert due(acme) == []


def test_places_that_have_the_older_version_are_to_follow(acme: Shelf) -> None:
    acme.policy(rekey_days_before=30)
    acme.use(acme.put_with_key("used", days_left=5), "Billing")
    acme.put_with_key("unused", days_left=5)
    acme.renew("used")
    acme.renew("unused")
    assert staged(acme) == [("used", 1, 2)]


@pytest.mark.parametrize("state", ["staged", "rolled_back", "completed"])
def test_a_replacement_that_somebody_has_begun_is_not_begun_again(acme: Shelf, state: str) -> None:
    acme.policy(rekey_days_before=30)
    old = acme.put_with_key("used", days_left=5)
    acme.use(old, "Billing")
    new = acme.renew("used")
    acme.begin_replacement(old, new, state=state)
    assert staged(acme) == []


def test_an_acknowledged_version_or_one_far_from_its_end_stays_where_it_is(acme: Shelf) -> None:
    acme.policy(rekey_days_before=30)
    versions = [
        acme.put_with_key(name, days_left=days_left)
        for name, days_left in (("known", 5), ("far", 31), ("long_ago", -91))
    ]
    for version_id in versions:
        acme.use(version_id, f"place {version_id}")
    for name in ("known", "far", "long_ago"):
        acme.renew(name)
    acme.set_version(versions[0], "acknowledged_at", acme.now)
    assert staged(acme) == []


def test_a_review_asks_for_what_is_due_and_soon_looks_again(
    acme: Shelf, workbench: Workbench
) -> None:
    acme.policy(rekey_days_before=30)
    globex = shelf(acme.connection, "Globex")
    globex.put_with_key("web", days_left=5)
    acme.put_with_key("web", days_left=5)
    acme.use(acme.put_with_key("mail", days_left=5), "Billing")
    acme.renew("mail")
    assert review(workbench) == {"rekeys": 1, "replacements": 1, "overdue": 0}
    [(_, key, arguments)] = asked(acme.connection, "certificate.rekey")
    assert (arguments["unique_name"], arguments["expected_version"]) == ("web", 1)
    assert key.startswith("certificate-")
    [(_, key, arguments)] = asked(acme.connection, "replacement.start")
    assert (arguments["certificate"], arguments["version_number"]) == ("mail", 1)
    assert (arguments["successor"], arguments["successor_version"]) == ("mail", 2)
    assert key.endswith("-from-1-to-2")
    assert [key for _, key, _ in asked(acme.connection, "certificate.review")] == [
        None,
        "after-rekeys",
    ]


def test_a_review_that_finds_nothing_asks_for_nothing(acme: Shelf, workbench: Workbench) -> None:
    acme.put_with_key("web", days_left=5)
    assert review(workbench) == {"rekeys": 0, "replacements": 0, "overdue": 0}
    assert len(asked(acme.connection, "certificate.review")) == 1


def test_reviews_that_run_twice_or_together_ask_once(acme: Shelf, workbench: Workbench) -> None:
    acme.policy(rekey_days_before=30)
    for number in range(5):
        acme.put_with_key(f"web{number}", days_left=5)
    acme.use(acme.put_with_key("mail", days_left=5), "Billing")
    acme.renew("mail")
    jobs = [enqueue(acme.connection, ReviewCertificates()).job_id for _ in range(4)]
    execution = workbench.execution({ReviewCertificates: review_certificates})
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(execution.execute, jobs))
    assert len(asked(acme.connection, "certificate.rekey")) == 5
    assert len(asked(acme.connection, "replacement.start")) == 1


def test_what_has_failed_is_asked_for_again_a_day_later(acme: Shelf, workbench: Workbench) -> None:
    acme.policy(rekey_days_before=30)
    acme.put_with_key("web", days_left=5)
    assert review(workbench)["rekeys"] == 1
    [(job_id, *_)] = asked(acme.connection, "certificate.rekey")
    finish_as(acme.connection, job_id, "failed")
    assert review(workbench)["rekeys"] == 0
    acme.connection.execute(
        "UPDATE keywright.job SET finished_at = now() - interval '25 hours' WHERE job_id = %s",
        [job_id],
    )
    assert review(workbench)["rekeys"] == 1
