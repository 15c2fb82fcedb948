"""Asking at once for all the jobs that a review found due. SQL only."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from workers.contract import JobRequest
from workers.database.pool import Connection

MOST_AT_ONCE = 10_000
"""So many jobs of a kind one review asks for; the next one finds the rest."""


@dataclass(frozen=True, kw_only=True)
class DueJob:
    """A job to ask for; one that is not finished yet is not asked for again."""

    organization_id: int
    unique_key: str
    request: JobRequest


def enqueue_due(connection: Connection, due: Sequence[DueJob]) -> int:
    """Insert the jobs that nobody has asked for yet, in one statement; return how many."""
    return connection.execute(
        """
        INSERT INTO keywright.job
               (kind, queue, organization_id, arguments, unique_key, max_attempts)
        SELECT kind, queue::keywright.queue, organization_id, arguments, unique_key, max_attempts
          FROM unnest(%(kinds)s::text[], %(queues)s::text[], %(organization_ids)s::bigint[],
                      %(arguments)s::jsonb[], %(unique_keys)s::text[],
                      %(max_attempts)s::smallint[])
               WITH ORDINALITY
               AS due (kind, queue, organization_id, arguments, unique_key, max_attempts, position)
         ORDER BY position
            ON CONFLICT (kind, organization_id, unique_key)
               WHERE unique_key IS NOT NULL AND state IN ('scheduled', 'ready', 'running')
               DO NOTHING
        """,
        {
            "kinds": [each.request.kind for each in due],
            "queues": [each.request.queue.value for each in due],
            "organization_ids": [each.organization_id for each in due],
            "arguments": [Jsonb(each.request.model_dump(mode="json")) for each in due],
            "unique_keys": [each.unique_key for each in due],
            "max_attempts": [each.request.max_attempts for each in due],
        },
    ).rowcount
