"""Telling the database what the contract says of each kind of job: its SQL door checks the same."""

from psycopg.types.json import Jsonb

from workers.contract import JOB_REQUESTS
from workers.database.pool import Connection


def record_kinds(connection: Connection) -> None:
    """Bring ``keywright.job_kind`` up to date. A kind that is gone can be asked for no more."""
    connection.execute(
        """
        INSERT INTO keywright.job_kind
               (kind, queue, max_attempts, for_requesters, most_bytes, arguments)
        SELECT * FROM unnest(%(kinds)s::text[], %(queues)s::text[], %(max_attempts)s::smallint[],
                             %(for_requesters)s::boolean[], %(most_bytes)s::integer[],
                             %(arguments)s::jsonb[])
            ON CONFLICT (kind) DO UPDATE
               SET queue = excluded.queue, max_attempts = excluded.max_attempts,
                   for_requesters = excluded.for_requesters, most_bytes = excluded.most_bytes,
                   arguments = excluded.arguments
        """,
        {
            "kinds": [each.kind for each in JOB_REQUESTS],
            "queues": [each.queue.value for each in JOB_REQUESTS],
            "max_attempts": [each.max_attempts for each in JOB_REQUESTS],
            "for_requesters": [each.for_requesters for each in JOB_REQUESTS],
            "most_bytes": [each.most_bytes for each in JOB_REQUESTS],
            "arguments": [Jsonb(each.model_json_schema()) for each in JOB_REQUESTS],
        },
    )
    connection.execute(
        "UPDATE keywright.job_kind SET for_requesters = false WHERE kind <> ALL (%(kinds)s)",
        {"kinds": [each.kind for each in JOB_REQUESTS]},
    )
