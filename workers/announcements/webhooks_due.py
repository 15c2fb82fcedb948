"""Asking for the jobs that tell webhooks what is due. SQL only.

Of each endpoint one message is looked for, so one with a million that wait costs no more than one
with a single message; and one that is being told is not looked at.
"""

from collections.abc import Callable

from workers.contract import DeliverWebhooks
from workers.database.pool import Connection, Pool
from workers.jobs.due import DueJob, enqueue_due

_AT_A_TIME = 500


def webhook_step(pool: Pool) -> Callable[[], int]:
    """Return the step that asks for what is due, for a loop of the scheduler."""

    def step() -> int:
        with pool.connection() as connection:
            due = _due_endpoints(connection)
            return enqueue_due(connection, due) if due else 0

    return step


def _due_endpoints(connection: Connection) -> list[DueJob]:
    rows = connection.execute(
        """
        SELECT organization_id, endpoint_id
          FROM keywright.webhook_endpoint AS endpoint
         CROSS JOIN LATERAL (
               SELECT FROM keywright.webhook_due
                WHERE webhook_due.endpoint_id = endpoint.endpoint_id
                LIMIT 1) AS something
         WHERE disabled_at IS NULL AND (open_until IS NULL OR open_until <= now())
           AND NOT EXISTS (
               SELECT FROM keywright.job
                WHERE kind = 'webhook.deliver' AND organization_id = endpoint.organization_id
                  AND unique_key = 'endpoint/' || endpoint.endpoint_id
                  AND state IN ('scheduled', 'ready', 'running'))
         ORDER BY endpoint_id
         LIMIT %(limit)s
        """,
        {"limit": _AT_A_TIME},
    ).fetchall()
    return [
        DueJob(
            organization_id=organization_id,
            unique_key=f"endpoint/{endpoint_id}",
            request=DeliverWebhooks(endpoint_id=endpoint_id),
        )
        for organization_id, endpoint_id in rows
    ]
