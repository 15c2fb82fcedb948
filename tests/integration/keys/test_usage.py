"""Uses of a key: leased ahead in blocks, never more than a key may do."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.keys.keyholder import Keyholder, keyholder
from workers.database.pool import Connection, Pool
from workers.keys.listing import show_key
from workers.keys.policy import set_rotation_policy
from workers.keys.root_keys import RootKeys
from workers.keys.states import KeyExhaustedError, UnknownKeyError
from workers.keys.usage import (
    FIRST_BLOCK,
    LIMIT,
    NEXT_BLOCK,
    ROTATE,
    WARN,
    WORN_OUT,
    UsageMeter,
    lease_uses,
)


@pytest.fixture
def used(acme: Keyholder) -> Callable[[], int]:
    """Return how many uses of Acme's key 1, which there is now, are on record."""
    acme.rotate(None)
    return lambda: show_key(acme.connection, acme.organization_id, 1).uses_leased


def jobs(connection: Connection) -> list[tuple[object, ...]]:
    """Return the rotations that were asked for."""
    return connection.execute(
        "SELECT kind, organization_id, unique_key, arguments FROM keywright.job ORDER BY job_id"
    ).fetchall()


def test_a_lease_is_on_record_at_once(acme: Keyholder, used: Callable[[], int]) -> None:
    assert lease_uses(acme.connection, acme.organization_id, 1, 100) == 100
    assert lease_uses(acme.connection, acme.organization_id, 1, 5) == 105
    assert used() == 105


def test_the_last_use_is_the_one_at_the_limit(acme: Keyholder, used: Callable[[], int]) -> None:
    acme.set(1, "uses_leased", LIMIT - 10)
    with pytest.raises(KeyExhaustedError, match=r"^Master key 1 has encrypted as often as it may"):
        lease_uses(acme.connection, acme.organization_id, 1, 11)
    assert used() == LIMIT - 10
    assert lease_uses(acme.connection, acme.organization_id, 1, 10) == LIMIT
    with pytest.raises(KeyExhaustedError):
        lease_uses(acme.connection, acme.organization_id, 1, 1)
    assert used() == LIMIT


def test_a_key_that_is_not_there_has_no_uses(acme: Keyholder) -> None:
    with pytest.raises(UnknownKeyError, match="There is no master key 4"):
        lease_uses(acme.connection, acme.organization_id, 4, 1)


def test_uses_are_counted_a_block_at_a_time(
    acme: Keyholder, used: Callable[[], int], pool: Pool
) -> None:
    meter = UsageMeter(pool)
    for _ in range(10):
        meter.use(acme.organization_id, 1)
    assert used() == FIRST_BLOCK
    meter.use(acme.organization_id, 1, FIRST_BLOCK - 10)
    assert used() == FIRST_BLOCK
    meter.use(acme.organization_id, 1)
    assert used() == FIRST_BLOCK + NEXT_BLOCK


def test_a_bulk_caller_leases_what_it_needs_in_one_go(
    acme: Keyholder, used: Callable[[], int], pool: Pool
) -> None:
    meter = UsageMeter(pool)
    meter.use(acme.organization_id, 1, 10 * FIRST_BLOCK)
    assert used() == 10 * FIRST_BLOCK
    meter.use(acme.organization_id, 1, 1)
    meter.use(acme.organization_id, 1, 3 * NEXT_BLOCK)
    # The rest of the block that was begun counts towards it.
    assert used() == 10 * FIRST_BLOCK + NEXT_BLOCK + (3 * NEXT_BLOCK - (NEXT_BLOCK - 1))


def test_no_use_leases_nothing_and_fewer_are_nonsense(
    acme: Keyholder, used: Callable[[], int], pool: Pool
) -> None:
    meter = UsageMeter(pool)
    meter.use(acme.organization_id, 1, 0)
    assert used() == 0
    with pytest.raises(ValueError, match="not negative"):
        meter.use(acme.organization_id, 1, -1)


def test_a_process_that_dies_has_only_counted_too_many(
    acme: Keyholder, used: Callable[[], int], pool: Pool
) -> None:
    for process in range(1, 4):
        UsageMeter(pool).use(acme.organization_id, 1)
        assert used() == process * FIRST_BLOCK


def test_keys_and_organizations_are_counted_apart(
    acme: Keyholder, used: Callable[[], int], pool: Pool, root_keys: RootKeys
) -> None:
    other = keyholder(acme.connection, root_keys, "Other")
    other.rotate(None)
    acme.rotate(1)
    meter = UsageMeter(pool)
    meter.use(acme.organization_id, 2)
    assert used() == 0
    assert show_key(acme.connection, acme.organization_id, 2).uses_leased == FIRST_BLOCK
    assert show_key(acme.connection, other.organization_id, 1).uses_leased == 0


def test_near_the_limit_just_what_is_needed_is_leased(
    acme: Keyholder, used: Callable[[], int], pool: Pool
) -> None:
    acme.set(1, "uses_leased", LIMIT - 3)
    meter = UsageMeter(pool)
    meter.use(acme.organization_id, 1, 2)
    assert used() == LIMIT - 1
    with pytest.raises(KeyExhaustedError):
        meter.use(acme.organization_id, 1, 2)
    meter.use(acme.organization_id, 1)
    assert used() == LIMIT
    with pytest.raises(KeyExhaustedError):
        meter.use(acme.organization_id, 1)


def test_threads_together_never_use_more_than_is_on_record(
    acme: Keyholder, used: Callable[[], int], pool: Pool
) -> None:
    meters = [UsageMeter(pool) for _ in range(2)]
    counts = [(index * 7919) % 5000 for index in range(200)]

    def use(index: int) -> None:
        meters[index % 2].use(acme.organization_id, 1, counts[index])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(200)))
    total = sum(counts)
    assert total <= used() <= total + 2 * NEXT_BLOCK


def test_threads_together_stop_exactly_at_the_limit(
    acme: Keyholder, used: Callable[[], int], pool: Pool
) -> None:
    acme.set(1, "uses_leased", LIMIT - 1000)
    meter = UsageMeter(pool)

    def use(_: int) -> int:
        try:
            meter.use(acme.organization_id, 1, 7)
        except KeyExhaustedError:
            return 0
        return 7

    with ThreadPoolExecutor(8) as threads:
        granted = sum(threads.map(use, range(300)))
    assert granted == 994
    assert used() == LIMIT - 6


def test_half_way_a_warning_is_announced_once(
    acme: Keyholder, used: Callable[[], int], pool: Pool
) -> None:
    acme.set(1, "uses_leased", WARN - FIRST_BLOCK - 1)
    meter = UsageMeter(pool)
    meter.use(acme.organization_id, 1, FIRST_BLOCK)
    before = acme.announcements()
    for _ in range(2):
        meter.use(acme.organization_id, 1, FIRST_BLOCK)
    assert acme.announcements()[len(before) :] == [
        (
            "master_key.worn",
            f"master-key/{acme.organization_id}/1",
            {"number": 1, "uses": WARN + NEXT_BLOCK - 1, "limit": LIMIT},
        )
    ]
    assert used() == WARN + NEXT_BLOCK - 1
    assert jobs(acme.connection) == []


@pytest.mark.parametrize("reencrypt", [None, True, False])
def test_whoever_wears_a_key_out_asks_for_its_rotation_at_once(
    acme: Keyholder, used: Callable[[], int], pool: Pool, reencrypt: bool | None
) -> None:
    # A fast run does the last tenth in less than an hour: a review could come too late.
    if reencrypt is not None:
        set_rotation_policy(
            acme.connection,
            organization_id=acme.organization_id,
            every_days=30,
            reencrypt=reencrypt,
        )
    acme.set(1, "uses_leased", ROTATE - 1)
    for meter in (UsageMeter(pool), UsageMeter(pool)):
        meter.use(acme.organization_id, 1)
    assert used() > ROTATE
    assert jobs(acme.connection) == [
        (
            "master_key.rotate",
            acme.organization_id,
            "after-1",
            {"expected_number": 1, "reencrypt": bool(reencrypt), "reason": WORN_OUT},
        )
    ]
