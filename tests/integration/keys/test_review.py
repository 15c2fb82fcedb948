"""The review of master keys: what is due is asked for once, however often it runs."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from tests.integration.jobs.workbench import Workbench
from tests.integration.keys.job_bench import ask, execute, ledger
from tests.integration.keys.keyholder import Keyholder, keyholder
from workers.contract import DestroyMasterKey, ReviewMasterKeys, RotateMasterKey
from workers.database.pool import database_clock
from workers.jobs.enqueue import enqueue
from workers.jobs.execution import Handler
from workers.keys.handlers import review_master_keys
from workers.keys.policy import set_rotation_policy
from workers.keys.root_keys import RootKeys
from workers.keys.states import State
from workers.keys.usage import ROTATE


def review(workbench: Workbench) -> dict[str, Any]:
    """Review all keys, and return what came of it."""
    job = workbench.execute(review_master_keys, ReviewMasterKeys())
    assert job.state == "succeeded"
    assert job.result is not None
    return job.result


def all_due(acme: Keyholder, root_keys: RootKeys) -> Keyholder:
    """Make a key of Acme due by policy, one of another by wear, and one to be destroyed."""
    acme.rotate(None)
    set_rotation_policy(
        acme.connection, organization_id=acme.organization_id, every_days=30, reencrypt=True
    )
    now = database_clock(acme.connection)
    acme.set(1, "state_since", now - timedelta(days=31))
    other = keyholder(acme.connection, root_keys, "Other")
    other.bring_to(State.ARCHIVED)
    other.set(3, "uses_leased", ROTATE)
    other.set(2, "destroy_at", now - timedelta(days=1))
    return other


def test_a_review_asks_for_what_is_due(
    acme: Keyholder, workbench: Workbench, root_keys: RootKeys
) -> None:
    other = all_due(acme, root_keys)
    assert review(workbench) == {"rotations": 2, "destructions": 1}
    found = {
        (organization_id, unique_key): arguments
        for kind in (RotateMasterKey.kind, DestroyMasterKey.kind)
        for _, organization_id, unique_key, arguments in ledger(acme.connection, kind)
    }
    assert set(found) == {
        (acme.organization_id, "after-1"),
        (other.organization_id, "after-3"),
        (other.organization_id, "key-2"),
    }
    assert found[(acme.organization_id, "after-1")]["reencrypt"] is True
    assert found[(other.organization_id, "after-3")]["reencrypt"] is False


def test_a_review_that_finds_nothing_asks_for_nothing(
    acme: Keyholder, workbench: Workbench
) -> None:
    acme.rotate(None)
    assert review(workbench) == {"rotations": 0, "destructions": 0}


def test_reviews_that_run_twice_or_together_rotate_once(
    acme: Keyholder, workbench: Workbench, root_keys: RootKeys, rotate: Handler
) -> None:
    other = all_due(acme, root_keys)
    both = Workbench(workbench.ledger, workbench.ledger)
    reviews = [enqueue(acme.connection, ReviewMasterKeys()).job_id for _ in range(4)]
    reviewing = both.execution({ReviewMasterKeys: review_master_keys})
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(reviewing.execute, reviews))
    asked = ledger(acme.connection, RotateMasterKey.kind)
    assert len(asked) == 2
    assert len(ledger(acme.connection, DestroyMasterKey.kind)) == 1
    for job_id, *_ in asked:
        assert execute(workbench, rotate, job_id).state == "succeeded"
    assert review(workbench) == {"rotations": 0, "destructions": 0}
    assert acme.states() == {1: "archived", 2: "active"}
    assert other.states() == {1: "archived", 2: "archived", 3: "archived", 4: "active"}


def test_a_review_that_was_read_before_a_rotation_rotates_no_second_time(
    acme: Keyholder, workbench: Workbench, root_keys: RootKeys, rotate: Handler
) -> None:
    all_due(acme, root_keys)
    review(workbench)
    [first] = [job for job in ledger(acme.connection, RotateMasterKey.kind) if job[2] == "after-1"]
    assert execute(workbench, rotate, first[0]).state == "succeeded"
    # The first job is finished, so its key is free again: only the expectation is in the way.
    again = execute(workbench, rotate, ask(acme, 1))
    assert again.result is not None
    assert (again.result["number"], again.result["rotated"]) == (2, False)
