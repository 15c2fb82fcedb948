"""Ranges in the database: made, claimed, and handed on. SQL only.

A range belongs to whoever holds its claim, which is that of a running job. When the job ends in any
way, or its lease runs out, the range is free again without anybody having to say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from workers.database.pool import Connection, Pool
from workers.jobs.claim import ClaimedJob
from workers.jobs.retry import LeaseLostError


@dataclass(frozen=True, kw_only=True)
class NewRange:
    """A piece of a table: blocks, or keys; bounds None: from the start, to the end."""

    field_ids: list[UUID]
    by_blocks: bool
    lower_bound: Any = None
    upper_bound: Any = None


@dataclass(frozen=True, kw_only=True)
class Range(NewRange):
    """A range as its worker got it: ``position`` is how far others have come."""

    range_id: int
    is_check: bool
    pass_number: int
    position: Any


def insert_ranges(
    connection: Connection,
    run_id: int,
    ranges: Sequence[NewRange],
    *,
    pass_number: int,
    is_check: bool,
) -> None:
    """Put the ranges of a pass up for work."""
    for new in ranges:
        connection.execute(
            """
            INSERT INTO keywright.reencryption_range
                   (run_id, pass, is_check, field_ids, by_blocks, lower_bound, upper_bound)
            VALUES (%(run_id)s, %(pass_number)s, %(is_check)s, %(field_ids)s, %(by_blocks)s,
                    %(lower_bound)s, %(upper_bound)s)
            """,
            {
                "run_id": run_id,
                "pass_number": pass_number,
                "is_check": is_check,
                "field_ids": new.field_ids,
                "by_blocks": new.by_blocks,
                "lower_bound": _json(new.lower_bound),
                "upper_bound": _json(new.upper_bound),
            },
        )


# The commit need not reach the disk at once: what a crash of the server takes back is done again.
_UNHURRIED = "(SELECT set_config('synchronous_commit', 'off', true)) AS unhurried"

_FREE = """finished_at IS NULL AND NOT EXISTS (
               SELECT FROM keywright.job
                WHERE job.job_id = open.job_id AND job.state = 'running'
                  AND job.claim = open.claim)"""


def claim_range(connection: Connection, run_id: int, job: ClaimedJob) -> Range | None:
    """Take a range that nobody works on; None: there is none right now."""
    with connection.cursor(row_factory=class_row(Range)) as cursor:
        return cursor.execute(
            f"""
            UPDATE keywright.reencryption_range AS claimed
               SET claim = %(claim)s, job_id = %(job_id)s
              FROM {_UNHURRIED}
             WHERE range_id = (
                   SELECT range_id FROM keywright.reencryption_range AS open
                    WHERE run_id = %(run_id)s AND {_FREE}
                    ORDER BY range_id LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING range_id, field_ids, by_blocks, lower_bound, upper_bound, is_check,
                      pass AS pass_number, position
            """,
            {"run_id": run_id, "claim": job.claim, "job_id": job.job_id},
        ).fetchone()


def is_wanted(pool: Pool, piece: Range, job: ClaimedJob, target_number: int | None) -> bool:
    """Whether a range is still this job's, and its run at work on the same target."""
    with pool.connection() as connection:
        cursor = connection.execute(
            """
            SELECT FROM keywright.reencryption_range JOIN keywright.reencryption_run USING (run_id)
             WHERE range_id = %(range_id)s AND claim = %(claim)s
               AND state IN ('rewriting', 'verifying')
               AND target_number IS NOT DISTINCT FROM %(target_number)s
            """,
            {"range_id": piece.range_id, "claim": job.claim, "target_number": target_number},
        )
        return cursor.rowcount > 0


class RangeRecord:
    """Writes down what was done in a range, as long as it is ours."""

    def __init__(self, pool: Pool, range_id: int, job: ClaimedJob) -> None:
        self._pool = pool
        self._range_id = range_id
        self._claim = job.claim

    def add(
        self,
        *,
        rows: int = 0,
        conflicts: int = 0,
        quarantined: int = 0,
        position: Any = None,
        finished: bool = False,
    ) -> None:
        """Add to what was done; ``position`` is how far the range has come.

        Raises:
            LeaseLostError: it is another worker's by now.
        """
        with self._pool.connection() as connection:
            written = connection.execute(
                f"""
                UPDATE keywright.reencryption_range
                   SET rewritten = rewritten + %(rows)s, conflicts = conflicts + %(conflicts)s,
                       quarantined = quarantined + %(quarantined)s,
                       position = coalesce(%(position)s, position),
                       finished_at = CASE WHEN %(finished)s THEN clock_timestamp() END,
                       claim = CASE WHEN NOT %(finished)s THEN claim END,
                       job_id = CASE WHEN NOT %(finished)s THEN job_id END
                  FROM {_UNHURRIED}
                 WHERE range_id = %(range_id)s AND claim = %(claim)s
                """,
                {
                    "range_id": self._range_id,
                    "claim": self._claim,
                    "rows": rows,
                    "conflicts": conflicts,
                    "quarantined": quarantined,
                    "position": _json(position),
                    "finished": finished,
                },
            ).rowcount
        if not written:
            raise self.lost()

    def lost(self) -> LeaseLostError:
        """Return the error that says so."""
        return LeaseLostError(f"Range {self._range_id} was taken over by another worker.")


def count_open(connection: Connection, run_id: int) -> tuple[int, int]:
    """Return how many ranges of a run are not finished, and how many of these nobody works on."""
    row: Any = connection.execute(
        f"""
        SELECT count(*), count(*) FILTER (WHERE {_FREE})
          FROM keywright.reencryption_range AS open
         WHERE run_id = %(run_id)s AND finished_at IS NULL
        """,
        {"run_id": run_id},
    ).fetchone()
    return row[0], row[1]


def count_claimed(connection: Connection, run_id: int, job_id: int) -> int:
    """Return how many ranges of a run a job has begun and not finished."""
    row: Any = connection.execute(
        "SELECT count(*) FROM keywright.reencryption_range"
        " WHERE run_id = %(run_id)s AND job_id = %(job_id)s AND finished_at IS NULL",
        {"run_id": run_id, "job_id": job_id},
    ).fetchone()
    return int(row[0])


def drop_open(connection: Connection, run_id: int) -> None:
    """Give up the ranges of a run that are not finished: the next pass covers them."""
    connection.execute(
        "DELETE FROM keywright.reencryption_range"
        " WHERE run_id = %(run_id)s AND finished_at IS NULL",
        {"run_id": run_id},
    )


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What was done in the ranges of a run, or of one pass of it."""

    passes: int
    ranges: int
    finished: int
    rewritten: int
    conflicts: int
    quarantined: int


def totals(
    connection: Connection, run_id: int, *, is_check: bool, pass_number: int | None = None
) -> Totals:
    """Add up what was done: in all passes, or in one."""
    with connection.cursor(row_factory=class_row(Totals)) as cursor:
        found = cursor.execute(
            """
            SELECT count(DISTINCT pass) AS passes, count(*) AS ranges,
                   count(finished_at) AS finished,
                   coalesce(sum(rewritten), 0)::bigint AS rewritten,
                   coalesce(sum(conflicts), 0)::bigint AS conflicts,
                   coalesce(sum(quarantined), 0)::bigint AS quarantined
              FROM keywright.reencryption_range
             WHERE run_id = %(run_id)s AND is_check = %(is_check)s
               AND (%(pass_number)s::integer IS NULL OR pass = %(pass_number)s)
            """,
            {"run_id": run_id, "is_check": is_check, "pass_number": pass_number},
        ).fetchone()
    assert found is not None
    return found


def _json(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value)
