"""Rotations beside each other: in threads, in processes, and in processes that are killed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.integration.keys.keyholder import Keyholder, keyholder
from tests.integration.keys.rotating_process import RotatingProcess
from workers.database.pool import Connection, Pool
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.listing import key_history
from workers.keys.root_keys import RootKeys
from workers.keys.rotation import Rotated, RotationOvertakenError
from workers.keys.states import Origin, State


def test_two_that_began_together_share_the_new_key_and_one_of_them_is_late(
    acme: Keyholder,
) -> None:
    acme.rotate(None)
    first, second = acme.prepared(1), acme.prepared(1)
    assert first == second
    assert acme.finish(first) == Rotated(number=2, former=1, rotated=True)
    assert acme.finish(second) == Rotated(number=2, former=1, rotated=False)
    assert acme.states() == {1: "archived", 2: "active"}


def test_whoever_is_late_leaves_no_key_behind(acme: Keyholder) -> None:
    acme.rotate(None)
    late = acme.prepared(1)
    acme.rotate(1, material=CleartextKey.generate(), origin=Origin.UPLOADED)
    assert acme.finish(late) == Rotated(number=3, former=1, rotated=False)
    assert acme.states() == {1: "archived", 2: "destroyed", 3: "active"}
    latest = acme.prepared(3)
    assert acme.finish(replace(latest, expected_number=1)).rotated is False
    assert acme.states() == {1: "archived", 2: "destroyed", 3: "active", 4: "destroyed"}


def test_a_prepared_key_that_is_gone_asks_for_another_try(acme: Keyholder) -> None:
    acme.rotate(None)
    half = acme.prepared(1)
    acme.move(2, State.DESTROYED)
    with pytest.raises(RotationOvertakenError, match="Master key 2 was destroyed before"):
        acme.finish(half)
    assert acme.states() == {1: "active", 2: "destroyed"}


@pytest.mark.parametrize("expected_number", [None, 1])
def test_of_many_at_once_one_rotates_and_all_learn_the_same(
    acme: Keyholder, pool: Pool, root_keys: RootKeys, expected_number: int | None
) -> None:
    if expected_number is not None:
        acme.rotate(None)

    def rotate_once(index: int) -> Rotated:
        uploads = {"material": CleartextKey.generate(), "origin": Origin.UPLOADED}
        with pool.connection() as connection:
            holder = Keyholder(connection, root_keys, acme.organization_id)
            return holder.rotate(expected_number, **(uploads if index % 3 == 0 else {}))

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(rotate_once, range(24)))
    assert sum(result.rotated for result in results) == 1
    [number] = {result.number for result in results}
    states = acme.states()
    assert states.pop(number) == "active"
    assert states.pop(expected_number or 0, "archived") == "archived"
    assert set(states.values()) <= {"destroyed"}


def test_at_every_instant_there_is_exactly_one_active_key(acme: Keyholder, conninfo: str) -> None:
    acme.rotate(None)
    over = threading.Event()

    def watch() -> set[int]:
        seen = set()
        with psycopg.connect(conninfo, autocommit=True) as connection:
            while not over.is_set():
                seen.add(_active_keys(connection))
        return seen

    with ThreadPoolExecutor(1) as threads:
        watching = threads.submit(watch)
        try:
            for number in range(1, 40):
                acme.rotate(number)
        finally:
            over.set()
    assert watching.result() == {1}


def _active_keys(connection: Connection) -> int:
    row = connection.execute(
        "SELECT count(*) FROM keywright.master_key WHERE state = 'active'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_organizations_rotate_beside_each_other(acme: Keyholder, root_keys: RootKeys) -> None:
    other = keyholder(acme.connection, root_keys, "Other")
    for holder in (acme, other):
        holder.rotate(None)
    half = acme.prepared(1)
    assert other.rotate(1).number == 2
    assert acme.finish(half).rotated


def test_many_processes_make_one_first_key(
    acme: Keyholder, conninfo: str, root_key_path: Path
) -> None:
    assert acme.root_keys.current.identifier.startswith("file:")  # and now the file is there
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                RotatingProcess("first", conninfo, root_key_path, acme.organization_id)
            )
            for _ in range(4)
        ]
        assert {process.says() for process in processes} == {"ready"}
        for process in processes:
            process.go()
        assert {process.says() for process in processes} == {"1"}
    assert acme.states() == {1: "active"}


def test_processes_that_are_killed_between_the_two_commits_leave_one_key_to_take_up(
    acme: Keyholder, conninfo: str, root_key_path: Path
) -> None:
    acme.rotate(None)
    for _ in range(3):
        with RotatingProcess("rotate", conninfo, root_key_path, acme.organization_id) as process:
            assert process.says() == "ready"
            process.go()
            assert process.says() == "between"
            process.kill()
        # Stored, and not in use: everybody goes on under the former key.
        assert acme.states() == {1: "active", 2: "pre_active"}
    assert acme.rotate(1) == Rotated(number=2, former=1, rotated=True)
    actors = [move.actor for move in key_history(acme.connection, acme.organization_id, 2)]
    assert actors == ["the one that dies", "alice"]
