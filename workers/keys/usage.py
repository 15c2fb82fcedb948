"""How often a master key has encrypted: leased in blocks, so that a crash only over-counts.

Whoever uses up the first block gets larger ones, for each is waited for until it is on disk.

AES-GCM with random nonces may encrypt 2^32 times under one key (SP 800-38D §8.3). Every field has a
key of its own, derived from the master key, so counting per master key errs on the safe side.
"""

import threading
from collections import OrderedDict
from enum import StrEnum

import structlog

from workers.contract import RotateMasterKey
from workers.contract.announcements import MasterKeyWorn
from workers.database.pool import Connection, Pool
from workers.jobs.enqueue import enqueue
from workers.keys.states import KeyExhaustedError, UnknownKeyError
from workers.keys.telling import tell

log = structlog.get_logger(__name__)

LIMIT = 2**32
ROTATE = LIMIT * 9 // 10
WARN = 2**31
FIRST_BLOCK = 2**16
NEXT_BLOCK = 2**18
WORN_OUT = "it has encrypted nearly as often as it may"

_MOST_BLOCKS = 4096


class Wear(StrEnum):
    """How far a key is on its way to the limit."""

    FRESH = "fresh"
    WORN = "worn"
    DUE = "due"
    EXHAUSTED = "exhausted"


def wear(uses_leased: int) -> Wear:
    """Return how worn a key is; from ``DUE`` on it gives way to another by itself."""
    if uses_leased >= LIMIT:
        return Wear.EXHAUSTED
    if uses_leased >= ROTATE:
        return Wear.DUE
    return Wear.WORN if uses_leased >= WARN else Wear.FRESH


def lease_uses(connection: Connection, organization_id: int, number: int, count: int) -> int:
    """Count ``count`` encryptions before they happen; return how many there are by now.

    Raises:
        KeyExhaustedError: they would be more than the key may do; nothing was counted.
        UnknownKeyError: there is no such key.
    """
    row = connection.execute(
        """
        WITH leased AS (
            UPDATE keywright.master_key SET uses_leased = uses_leased + %(count)s
             WHERE organization_id = %(organization_id)s AND key_number = %(number)s
               AND uses_leased + %(count)s <= %(limit)s
            RETURNING uses_leased
        )
        SELECT leased.uses_leased
          FROM keywright.master_key LEFT JOIN leased ON true
         WHERE organization_id = %(organization_id)s AND key_number = %(number)s
        """,
        {
            "organization_id": organization_id,
            "number": number,
            "count": count,
            "limit": LIMIT,
        },
    ).fetchone()
    if row is None:
        raise UnknownKeyError(f"There is no master key {number}; `keywright key list` shows them.")
    if row[0] is None:
        raise KeyExhaustedError(
            f"Master key {number} has encrypted as often as it may; rotate it with"
            " `keywright key rotate`."
        )
    return int(row[0])


class UsageMeter:
    """Counts the encryptions of one process, with a statement per block of them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[int, int], _Block] = OrderedDict()

    def use(self, organization_id: int, number: int, count: int = 1) -> None:
        """Account ``count`` encryptions; return once they are on record.

        Raises:
            KeyExhaustedError: the key may not do as many; none of them may happen.
        """
        if count < 0:
            raise ValueError("a count of encryptions is not negative")
        block = self._block(organization_id, number)
        with block.lock:
            if block.left < count:
                needed = count - block.left
                block.left += self._lease(organization_id, number, needed, block.next_size)
                block.next_size = NEXT_BLOCK
            block.left -= count

    def _block(self, organization_id: int, number: int) -> "_Block":
        place = (organization_id, number)
        with self._lock:
            block = self._blocks.setdefault(place, _Block())
            self._blocks.move_to_end(place)
            if len(self._blocks) > _MOST_BLOCKS:
                # What was left of it counts as used.
                self._blocks.popitem(last=False)
            return block

    def _lease(self, organization_id: int, number: int, needed: int, size: int) -> int:
        """Lease a whole block, or just what is needed where the limit is that near."""
        with self._pool.connection() as connection:
            try:
                self._lease_exactly(connection, organization_id, number, max(needed, size))
            except KeyExhaustedError:
                if needed >= size:
                    raise
                self._lease_exactly(connection, organization_id, number, needed)
                return needed
        return max(needed, size)

    def _lease_exactly(
        self, connection: Connection, organization_id: int, number: int, count: int
    ) -> None:
        with connection.transaction():
            after = lease_uses(connection, organization_id, number, count)
            # Whoever passes a threshold sees to it: a hasty run could be through before a review.
            if after - count < WARN <= after:
                log.warning(
                    "a master key wears out",
                    organization_id=organization_id,
                    number=number,
                    uses=after,
                    limit=LIMIT,
                )
                tell(
                    connection,
                    MasterKeyWorn(number=number, uses=after, limit=LIMIT),
                    organization_id=organization_id,
                )
            if after - count < ROTATE <= after:
                _ask_for_rotation(connection, organization_id, number)


def rotation_key(number: int) -> str:
    """Return the unique key of the job that rotates key ``number`` away."""
    return f"after-{number}"


def _ask_for_rotation(connection: Connection, organization_id: int, number: int) -> None:
    row = connection.execute(
        """
        SELECT reencrypt FROM keywright.rotation_policy
         WHERE organization_id = %(organization_id)s
        """,
        {"organization_id": organization_id},
    ).fetchone()
    reencrypt = row is not None and bool(row[0])
    enqueue(
        connection,
        RotateMasterKey(expected_number=number, reencrypt=reencrypt, reason=WORN_OUT),
        organization_id=organization_id,
        unique_key=rotation_key(number),
    )


class _Block:
    """Encryptions that are on record already and have not happened yet."""

    __slots__ = ("left", "lock", "next_size")

    def __init__(self) -> None:
        self.left = 0
        self.next_size = FIRST_BLOCK
        self.lock = threading.Lock()
