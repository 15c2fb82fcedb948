"""The jobs on master keys, in the hands of a worker."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.integration.jobs.workbench import Workbench, let_lease_run_out, problem
from tests.integration.keys.job_bench import ask, execute, ledger
from tests.integration.keys.keyholder import Keyholder
from tests.integration.keys.rotating_process import RotatingProcess
from workers.contract import (
    RewrapMasterKeys,
    RotateMasterKey,
)
from workers.jobs.execution import Handler
from workers.jobs.inspection import show_job
from workers.jobs.reaper import reap_expired_leases
from workers.jobs.running import RunningJob
from workers.keys.handlers import rewrap_master_keys, rotate_master_key
from workers.keys.root_keys import RootKeys, RootKeyUnavailableError
from workers.keys.root_keys.file import FileRootKey
from workers.keys.states import State


def test_a_rotation_is_done_with_its_job(
    acme: Keyholder, workbench: Workbench, rotate: Handler
) -> None:
    acme.rotate(None)
    job_id = ask(acme, 1)
    job = execute(workbench, rotate, job_id)
    assert job.state == "succeeded"
    assert job.result == {"number": 2, "former": 1, "rotated": True, "reencryption_job": None}
    assert acme.states() == {1: "archived", 2: "active"}
    row = acme.connection.execute(
        "SELECT state_actor, state_reason FROM keywright.master_key WHERE key_number = 1"
    ).fetchone()
    assert row == (f"job {job_id}", "yearly")
    assert ledger(acme.connection, "reencryption.start") == []


def test_data_follow_if_that_was_asked_for(
    acme: Keyholder, workbench: Workbench, rotate: Handler
) -> None:
    acme.rotate(None)
    job = execute(workbench, rotate, ask(acme, 1, reencrypt=True))
    [(job_id, organization_id, unique_key, arguments)] = ledger(
        acme.connection, "reencryption.start"
    )
    assert (organization_id, unique_key) == (acme.organization_id, "to-2")
    assert arguments == {"purpose": "reencrypt", "fields": []}
    assert job.result is not None
    assert job.result["reencryption_job"] == job_id


def test_two_jobs_with_one_expectation_rotate_once(
    acme: Keyholder, workbench: Workbench, rotate: Handler
) -> None:
    acme.rotate(None)
    first, second = (ask(acme, 1, reencrypt=True) for _ in range(2))
    assert execute(workbench, rotate, first).result is not None
    late = execute(workbench, rotate, second)
    assert late.state == "succeeded"
    assert late.result == {"number": 2, "former": 1, "rotated": False, "reencryption_job": None}
    assert acme.states() == {1: "archived", 2: "active"}
    assert len(ledger(acme.connection, "reencryption.start")) == 1


def test_jobs_that_run_at_the_same_time_rotate_once(
    acme: Keyholder, workbench: Workbench, rotate: Handler
) -> None:
    acme.rotate(None)
    jobs = [ask(acme, 1) for _ in range(6)]
    execution = Workbench(workbench.ledger, workbench.ledger).execution({RotateMasterKey: rotate})
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(execution.execute, jobs))
    results = [show_job(acme.connection, job_id).result or {} for job_id in jobs]
    assert sorted(result["rotated"] for result in results) == [False] * 5 + [True]
    assert [state for state in acme.states().values() if state != "destroyed"] == [
        "archived",
        "active",
    ]


def test_a_job_that_fails_after_the_first_commit_goes_on_from_there(
    acme: Keyholder, workbench: Workbench, root_key_path: Path
) -> None:
    class AwayAtFirst(FileRootKey):
        times_asked = 0

        def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
            self.times_asked += 1
            if self.times_asked == 1:
                raise RootKeyUnavailableError("The root key is away.")
            return super().unwrap(wrapped, context=context)

    acme.rotate(None)
    root_keys = RootKeys(AwayAtFirst(root_key_path))

    def handle(request: RotateMasterKey, job: RunningJob) -> Any:
        return rotate_master_key(request, job, root_keys=root_keys)

    job_id = ask(acme, 1)
    job = execute(workbench, handle, job_id)
    assert job.state == "scheduled"
    assert problem(job)["type"] == "urn:keywright:problem:root-key-unavailable"
    assert acme.states() == {1: "active", 2: "pre_active"}
    acme.connection.execute("UPDATE keywright.job SET run_at = now()")
    assert execute(workbench, handle, job_id).state == "succeeded"
    assert acme.states() == {1: "archived", 2: "active"}


def test_a_job_that_is_cancelled_half_way_leaves_the_active_key_alone(
    acme: Keyholder, workbench: Workbench, rotate: Handler
) -> None:
    acme.rotate(None)

    def handle(request: RotateMasterKey, job: RunningJob) -> Any:
        job.cancellation_asked = True
        return rotate(request, job)

    assert execute(workbench, handle, ask(acme, 1)).state == "cancelled"
    assert acme.states() == {1: "active", 2: "pre_active"}


def test_a_worker_that_is_killed_between_the_commits_is_followed_by_another(
    acme: Keyholder,
    workbench: Workbench,
    rotate: Handler,
    conninfo: str,
    root_key_path: Path,
) -> None:
    acme.rotate(None)
    job_id = ask(acme, 1, reencrypt=True)
    with RotatingProcess("job", conninfo, root_key_path, acme.organization_id, job_id) as process:
        assert process.says() == "ready"
        process.go()
        assert process.says() == "between"
        process.kill()
    assert acme.states() == {1: "active", 2: "pre_active"}
    let_lease_run_out(acme.connection, job_id)
    assert reap_expired_leases(acme.connection) == 1
    acme.connection.execute("UPDATE keywright.job SET run_at = now()")
    job = execute(workbench, rotate, job_id)
    assert (job.state, job.attempt) == ("succeeded", 2)
    assert acme.states() == {1: "archived", 2: "active"}
    assert len(ledger(acme.connection, "reencryption.start")) == 1


def test_a_job_for_no_organization_and_a_key_that_never_was_fail_with_the_reason(
    acme: Keyholder, workbench: Workbench, rotate: Handler
) -> None:
    nobodys = workbench.execute(rotate, RotateMasterKey(expected_number=1))
    assert (nobodys.state, problem(nobodys)["detail"][:13]) == ("failed", "organization:")
    acme.rotate(None)
    job = execute(workbench, rotate, ask(acme, 9))
    assert job.state == "failed"
    assert problem(job)["detail"].startswith("Master key 9 was never active;")
    assert acme.states() == {1: "active"}


def test_every_key_is_wrapped_under_the_root_key_in_use(
    acme: Keyholder, workbench: Workbench, tmp_path: Path
) -> None:
    number = acme.bring_to(State.DESTROYED)
    new = FileRootKey(tmp_path / "new.key", create_if_missing=True)
    both = RootKeys(new, [acme.root_keys.current])
    job = workbench.execute(
        lambda request, job: rewrap_master_keys(request, job, root_keys=both), RewrapMasterKeys()
    )
    assert (job.state, job.result) == ("succeeded", {"wrapped": 2})
    names = {acme.root_keys.current.identifier, new.identifier}
    assert {each: set(acme.wraps(each)) for each in acme.states()} == {
        1: names,
        number: set(),
        3: names,
    }


def test_keys_that_cannot_be_rewrapped_fail_the_job_and_are_named(
    acme: Keyholder, workbench: Workbench, tmp_path: Path
) -> None:
    acme.rotate(None)
    new = RootKeys(FileRootKey(tmp_path / "new.key", create_if_missing=True))
    job = workbench.execute(
        lambda request, job: rewrap_master_keys(request, job, root_keys=new), RewrapMasterKeys()
    )
    assert job.state == "failed"
    assert "KEYWRIGHT_FORMER_ROOT_KEY" in problem(job)["detail"]
