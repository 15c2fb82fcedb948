"""For how long the key ring remembers a key, and how many."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.keys.keyholder import Keyholder
from workers.database.pool import Pool
from workers.keys.keyring import DestroyedKeyError, KeyRing, SuspendedKeyError
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey
from workers.keys.states import State


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = 1000

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of the ring."""
    return Clock()


@pytest.fixture
def ring(pool: Pool, root_keys: RootKeys, clock: Clock) -> KeyRing:
    """A ring with the usual memory of a minute."""
    return KeyRing(pool, root_keys, clock=clock)


def test_a_destroyed_key_stops_working_after_a_minute_at_the_latest(
    acme: Keyholder, ring: KeyRing, clock: Clock
) -> None:
    number = acme.bring_to(State.ARCHIVED)
    ring.key(acme.organization_id, number)
    acme.move(number, State.DESTROYED)
    clock.now += 59.9
    assert ring.key(acme.organization_id, number).number == number
    clock.now += 0.1
    with pytest.raises(DestroyedKeyError):
        ring.key(acme.organization_id, number)


def test_using_a_key_does_not_make_it_live_longer(
    acme: Keyholder, ring: KeyRing, clock: Clock
) -> None:
    number = acme.bring_to(State.ARCHIVED)
    for _ in range(7):
        ring.key(acme.organization_id, number)
        clock.now += 10
    first = ring.key(acme.organization_id, number)
    assert ring.key(acme.organization_id, number) is first
    acme.move(number, State.SUSPENDED)
    clock.now += 60
    with pytest.raises(SuspendedKeyError):
        ring.key(acme.organization_id, number)


def test_a_refusal_is_not_remembered(acme: Keyholder, ring: KeyRing) -> None:
    number = acme.bring_to(State.SUSPENDED)
    with pytest.raises(SuspendedKeyError):
        ring.key(acme.organization_id, number)
    acme.move(number, State.ARCHIVED)
    assert ring.key(acme.organization_id, number).number == number


def test_a_forgotten_key_is_read_again_at_once(acme: Keyholder, ring: KeyRing) -> None:
    number = acme.bring_to(State.ARCHIVED)
    ring.key(acme.organization_id, number)
    acme.move(number, State.DESTROYED)
    ring.forget(acme.organization_id, number)
    ring.forget(acme.organization_id, 17)
    with pytest.raises(DestroyedKeyError):
        ring.key(acme.organization_id, number)


def test_the_ring_keeps_so_many_keys_and_drops_the_one_used_longest_ago(
    acme: Keyholder, pool: Pool, root_keys: RootKeys
) -> None:
    ring = KeyRing(pool, root_keys, capacity=2)
    acme.bring_to(State.ARCHIVED)  # there are three
    first, second = (ring.key(acme.organization_id, number) for number in (1, 2))
    assert ring.key(acme.organization_id, 1) is first
    ring.key(acme.organization_id, 3)
    assert ring.key(acme.organization_id, 1) is first
    assert ring.key(acme.organization_id, 2) is not second
    assert len(ring._kept) == 2


def test_keys_that_are_old_are_dropped_when_another_is_read(
    acme: Keyholder, ring: KeyRing, clock: Clock
) -> None:
    acme.bring_to(State.ARCHIVED)
    for number in (1, 2):
        ring.key(acme.organization_id, number)
    clock.now += 60
    ring.key(acme.organization_id, 3)
    assert [number for _, number in ring._kept] == [3]


def test_the_age_counts_from_before_the_key_was_read(
    acme: Keyholder, pool: Pool, root_key_path: Path, clock: Clock
) -> None:
    # A root key that is slow must not lengthen the minute.
    class Slow(FileRootKey):
        def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
            clock.now += 45
            return super().unwrap(wrapped, context=context)

    number = acme.bring_to(State.ARCHIVED)
    ring = KeyRing(pool, RootKeys(Slow(root_key_path)), clock=clock)
    ring.key(acme.organization_id, number)
    acme.move(number, State.DESTROYED)
    clock.now += 15
    with pytest.raises(DestroyedKeyError):
        ring.key(acme.organization_id, number)


def test_what_is_read_while_somebody_says_forget_is_not_kept(
    acme: Keyholder, pool: Pool, root_key_path: Path
) -> None:
    rings = list[KeyRing]()

    class Overtaken(FileRootKey):
        def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
            if acme.states()[number] != "destroyed":
                acme.move(number, State.DESTROYED)
                rings[0].forget(acme.organization_id, number)
            return super().unwrap(wrapped, context=context)

    number = acme.bring_to(State.ARCHIVED)
    rings.append(KeyRing(pool, RootKeys(Overtaken(root_key_path))))
    assert rings[0].key(acme.organization_id, number).number == number
    with pytest.raises(DestroyedKeyError):
        rings[0].key(acme.organization_id, number)
