"""Sends the answers that wait: at least once each, gone when the broker has them. SQL only."""

from collections.abc import Callable

import pika
import structlog
from psycopg.rows import class_row

from workers.database.pool import Pool
from workers.jobs.confirming import ConfirmingPublisher
from workers.jobs.intake.messages import Reply, reply_message

log = structlog.get_logger(__name__)

_AT_A_TIME = 200


def nobody_waits(properties: pika.BasicProperties) -> None:
    """Say that an answer is dropped, since who asked has gone away; the job's number finds it."""
    # Not its address: whoever knows that can write to it.
    log.info("nobody waits for an answer any more", answer=properties.message_id)


def reply_step(pool: Pool, publisher: ConfirmingPublisher) -> Callable[[], int]:
    """Return the step that sends some answers; any number of schedulers may do it at once."""

    def step() -> int:
        with pool.connection() as connection, connection.transaction():
            with connection.cursor(row_factory=class_row(Reply)) as cursor:
                replies = cursor.execute(
                    """
                    SELECT reply_id, reply.job_id, reply.kind, reply.reply_to,
                           reply.correlation_id, data, written_at, organization.name AS organization
                      FROM keywright.reply
                      LEFT JOIN keywright.job USING (job_id)
                      LEFT JOIN keywright.organization USING (organization_id)
                     ORDER BY reply_id
                     LIMIT %(limit)s
                       FOR UPDATE OF reply SKIP LOCKED
                    """,
                    {"limit": _AT_A_TIME},
                ).fetchall()
            if not replies:
                return 0
            row = connection.execute(
                "SELECT installation_id FROM keywright.installation"
            ).fetchone()
            assert row is not None
            unsent = publisher.publish([reply_message(each, row[0]) for each in replies])
            connection.execute(
                "DELETE FROM keywright.reply WHERE reply_id = ANY (%(sent)s)",
                {"sent": [each.reply_id for n, each in enumerate(replies) if n not in unsent]},
            )
        return len(replies) - len(unsent)

    return step
