"""In which order the rows of a piece are written, so that the table does not grow. Pure.

Rows that were read together lie together. One transaction writes every ``STRIDES``-th of them, so
each page gets a few new row versions, which fit into the space that its fillfactor left free. The
next transaction that comes by prunes what the one before it made dead: that is a heap-only update,
without a new page or an index entry. With a twelfth at a time and a fillfactor of 90, the new
versions just fit; smaller shares would prune each page more often than it needs. But only what no
snapshot sees any more can be pruned, and another worker's statement may just have begun; so the
piece is divided into ``LANES``, and the others are visited before a lane's pages come round again.
"""

from collections.abc import Iterator
from itertools import pairwise

STRIDES = 12
LANES = 8

_FEWEST_PER_TRANSACTION = 20


def in_strides(count: int) -> Iterator[range]:
    """Yield the indices of ``count`` rows, one range of them per transaction; each once."""
    strides = max(1, min(STRIDES, count // _FEWEST_PER_TRANSACTION))
    lanes = LANES if count >= LANES * STRIDES * _FEWEST_PER_TRANSACTION else 1
    bounds = [count * lane // lanes for lane in range(lanes + 1)]
    for stride in range(strides):
        for lower, upper in pairwise(bounds):
            indices = range(lower + stride, upper, strides)
            if indices:
                yield indices


def rows_at_a_time(rows_per_transaction: int) -> int:
    """Return how many rows to read together, for transactions of about that many."""
    return rows_per_transaction * STRIDES * LANES
