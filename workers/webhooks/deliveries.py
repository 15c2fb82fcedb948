"""What each endpoint is to be told, was told, and was not. SQL only."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from workers.announcements.reading import Announced
from workers.database.pool import Connection
from workers.webhooks.judging import GIVE_UP_SECONDS, Verdict
from workers.webhooks.sending import Answer


@dataclass(frozen=True, kw_only=True)
class Target:
    """An endpoint that may be told something now."""

    endpoint_id: int
    organization_id: int
    url: str = field(repr=False)
    allow_private: bool
    failures: int


@dataclass(frozen=True, kw_only=True)
class DueDelivery(Announced):
    """An announcement that an endpoint can be told now, after ``attempt`` attempts."""

    attempt: int
    waits_since: datetime


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What became of one announcement at one endpoint."""

    sequence: int
    event_id: UUID
    kind: str
    subject: str
    state: str
    attempt: int
    next_at: datetime | None
    last_status: int | None
    last_error: str | None
    finished_at: datetime | None


def find_target(
    connection: Connection, *, organization_id: int | None, endpoint_id: int
) -> Target | None:
    """Return an organization's endpoint; None if it has none such, or it may not be told now."""
    with connection.cursor(row_factory=class_row(Target)) as cursor:
        return cursor.execute(
            """
            SELECT endpoint_id, organization_id, url, allow_private, failures
              FROM keywright.webhook_endpoint
             WHERE endpoint_id = %(endpoint_id)s AND organization_id = %(organization_id)s
               AND disabled_at IS NULL
               AND (open_until IS NULL OR open_until <= clock_timestamp())
            """,
            {"endpoint_id": endpoint_id, "organization_id": organization_id},
        ).fetchone()


def due_deliveries(connection: Connection, endpoint_id: int, *, limit: int) -> list[DueDelivery]:
    """Return the first that an endpoint can be told now, in order."""
    with connection.cursor(row_factory=class_row(DueDelivery)) as cursor:
        return cursor.execute(
            """
            SELECT announcement_id AS sequence, event_id, kind, announcement.organization_id,
                   organization.name AS organization, subject, data, occurred_at, attempt,
                   waits_since
              FROM keywright.webhook_due
              JOIN keywright.announcement USING (announcement_id)
              LEFT JOIN keywright.organization USING (organization_id)
             WHERE endpoint_id = %(endpoint_id)s
             ORDER BY announcement_id
             LIMIT %(limit)s
            """,
            {"endpoint_id": endpoint_id, "limit": limit},
        ).fetchall()


def record(
    connection: Connection, target: Target, delivery: DueDelivery, answer: Answer, verdict: Verdict
) -> None:
    """Note what became of one, and what that means for its endpoint."""
    connection.execute(
        """
        UPDATE keywright.webhook_delivery
           SET state = %(state)s::keywright.webhook_state, attempt = attempt + 1,
               next_at = clock_timestamp() + make_interval(secs => %(wait_seconds)s),
               last_status = %(status)s, last_error = %(error)s,
               finished_at = CASE WHEN %(state)s <> 'waiting' THEN clock_timestamp() END
         WHERE endpoint_id = %(endpoint_id)s AND announcement_id = %(sequence)s
           AND state = 'waiting'
        """,
        {
            "endpoint_id": target.endpoint_id,
            "sequence": delivery.sequence,
            "state": verdict.state,
            "wait_seconds": verdict.wait_seconds,
            "status": answer.status,
            "error": answer.error,
        },
    )
    if verdict.failures != target.failures or verdict.is_gone:
        record_health(
            connection,
            target,
            failures=verdict.failures,
            rest_seconds=verdict.rest_seconds,
            is_gone=verdict.is_gone,
        )
    if verdict.is_back:
        make_due(connection, target.endpoint_id)


def note_obstacle(
    connection: Connection, target: Target, delivery: DueDelivery, error: str
) -> None:
    """Note why one could not even be sent; that is no attempt."""
    connection.execute(
        """
        UPDATE keywright.webhook_delivery SET last_error = %(error)s
         WHERE endpoint_id = %(endpoint_id)s AND announcement_id = %(sequence)s
           AND state = 'waiting'
        """,
        {"endpoint_id": target.endpoint_id, "sequence": delivery.sequence, "error": error},
    )


def record_health(
    connection: Connection,
    target: Target,
    *,
    failures: int,
    rest_seconds: float | None,
    is_gone: bool = False,
) -> None:
    """Note how often an endpoint has failed in a row, and let it rest or disable it."""
    connection.execute(
        """
        UPDATE keywright.webhook_endpoint
           SET failures = %(failures)s,
               open_until = clock_timestamp()
                            + make_interval(secs => %(rest_seconds)s::double precision),
               disabled_at = CASE WHEN %(is_gone)s THEN coalesce(disabled_at, clock_timestamp())
                                  ELSE disabled_at END
         WHERE endpoint_id = %(endpoint_id)s
        """,
        {
            "endpoint_id": target.endpoint_id,
            "failures": failures,
            "rest_seconds": rest_seconds,
            "is_gone": is_gone,
        },
    )


def make_due(connection: Connection, endpoint_id: int) -> None:
    """Let everything that waits for an endpoint be tried now."""
    connection.execute(
        """
        UPDATE keywright.webhook_delivery SET next_at = clock_timestamp()
         WHERE endpoint_id = %(endpoint_id)s AND state = 'waiting' AND next_at > clock_timestamp()
        """,
        {"endpoint_id": endpoint_id},
    )


def list_deliveries(
    connection: Connection,
    endpoint_id: int,
    *,
    limit: int,
    state: str | None = None,
    sequence: int | None = None,
) -> list[Delivery]:
    """Return what became of the latest announcements at an endpoint, or of one, newest first."""
    with connection.cursor(row_factory=class_row(Delivery)) as cursor:
        return cursor.execute(
            """
            SELECT announcement_id AS sequence, event_id, kind, announcement.subject,
                   state::text AS state, attempt,
                   CASE WHEN state = 'waiting' THEN next_at END AS next_at, last_status,
                   last_error, finished_at
              FROM keywright.webhook_delivery
              JOIN keywright.announcement USING (announcement_id)
             WHERE endpoint_id = %(endpoint_id)s
               AND (%(state)s::text IS NULL OR state = %(state)s::keywright.webhook_state)
               AND (%(sequence)s::bigint IS NULL OR announcement_id = %(sequence)s)
             ORDER BY announcement_id DESC
             LIMIT %(limit)s
            """,
            {
                "endpoint_id": endpoint_id,
                "state": state,
                "sequence": sequence,
                "limit": limit,
            },
        ).fetchall()


def send_again(connection: Connection, endpoint_id: int, *, sequence: int | None) -> int:
    """Let what was given up, or one that ended in any way, be sent anew; return how many."""
    return connection.execute(
        """
        UPDATE keywright.webhook_delivery
           SET state = 'waiting', attempt = 0, waits_since = now(), next_at = now(),
               finished_at = NULL
         WHERE endpoint_id = %(endpoint_id)s
           AND CASE WHEN %(sequence)s::bigint IS NULL THEN state = 'given_up'
                    ELSE announcement_id = %(sequence)s END
        """,
        {"endpoint_id": endpoint_id, "sequence": sequence},
    ).rowcount


def give_up_old(connection: Connection, *, now: datetime, limit: int) -> int:
    """Give up what waits for too long, whatever the endpoint is like; return how many."""
    return connection.execute(
        """
        UPDATE keywright.webhook_delivery AS delivery
           SET state = 'given_up', finished_at = clock_timestamp()
          FROM (SELECT endpoint_id, announcement_id FROM keywright.webhook_delivery
                 WHERE state = 'waiting'
                   AND waits_since < %(now)s - make_interval(secs => %(seconds)s)
                 ORDER BY endpoint_id, announcement_id
                 LIMIT %(limit)s
                   FOR UPDATE SKIP LOCKED) AS old
         WHERE delivery.endpoint_id = old.endpoint_id
           AND delivery.announcement_id = old.announcement_id
        """,
        {"now": now, "seconds": GIVE_UP_SECONDS, "limit": limit},
    ).rowcount


def latest_test(connection: Connection, endpoint_id: int) -> int:
    """Return the number of the last test that is, or was, to be sent to an endpoint."""
    row = connection.execute(
        """
        SELECT announcement_id FROM keywright.webhook_delivery
          JOIN keywright.announcement USING (announcement_id)
         WHERE endpoint_id = %(endpoint_id)s AND kind = 'webhook.tested'
         ORDER BY announcement_id DESC
         LIMIT 1
        """,
        {"endpoint_id": endpoint_id},
    ).fetchone()
    assert row is not None
    return int(row[0])
