"""Taking a request in: one transaction for the job and for the id that it came with. SQL only."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from workers.contract.envelope import Accepted
from workers.database.pool import Connection
from workers.errors import KeywrightError, NotAllowedError, TooLargeError, TooManyOpenJobsError
from workers.jobs.intake.cloud_event import RequestEvent
from workers.jobs.intake.refusal import RepeatedIdError, UnreadableRequestError

_RAISE = "exec_stmt_raise"
"""The function in Postgres' source that carries out ``RAISE`` of PL/pgSQL."""

_REFUSALS: dict[str, type[KeywrightError]] = {
    "42501": NotAllowedError,
    "22023": UnreadableRequestError,
    "54000": TooLargeError,
    "53400": TooManyOpenJobsError,
}


@dataclass(frozen=True, kw_only=True)
class ReplyAddress:
    """Where answers go, and the mark by which the asker knows them."""

    reply_to: str
    correlation_id: str | None


def find_requester(connection: Connection, broker_user: str) -> int | None:
    """Return whose RabbitMQ user this is; None: nobody's who may ask."""
    row = connection.execute(
        """
        SELECT requester_id FROM keywright.requester
         WHERE broker_user = %(broker_user)s AND disabled_at IS NULL
        """,
        {"broker_user": broker_user},
    ).fetchone()
    return row and int(row[0])


def take_in(
    connection: Connection, requester_id: int, event: RequestEvent, reply: ReplyAddress | None
) -> Accepted:
    """Insert the job and the id of its request, or find the job that the same request led to.

    Raises:
        NotAllowedError, UnreadableRequestError, TooLargeError, TooManyOpenJobsError: as
            ``keywright.enqueue_for`` refuses. Nothing was changed.
        RepeatedIdError: the id was used for another request.
    """
    values = {
        "requester_id": requester_id,
        "source": event.source,
        "event_id": event.id,
        "content_hash": content_hash(event),
    }
    with connection.transaction():
        # Until commit, nobody else takes the same id in.
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%(source)s || %(event_id)s,"
            " %(requester_id)s))",
            values,
        )
        accepted = _taken_before(connection, values) or _enqueue(connection, values, event, reply)
        if reply is not None:
            write_reply(connection, accepted.job_id, "job.accepted", reply, accepted.model_dump())
    return accepted


def _taken_before(connection: Connection, values: dict[str, Any]) -> Accepted | None:
    row = connection.execute(
        """
        SELECT job_id, content_hash = %(content_hash)s FROM keywright.intake
         WHERE requester_id = %(requester_id)s AND source = %(source)s AND event_id = %(event_id)s
        """,
        values,
    ).fetchone()
    if row is None:
        return None
    if not row[1]:
        raise RepeatedIdError(
            "id: another request with this source and id was taken in before; give this one its"
            " own id."
        )
    return Accepted(job_id=row[0], created=False)


def _enqueue(
    connection: Connection,
    values: dict[str, Any],
    event: RequestEvent,
    reply: ReplyAddress | None,
) -> Accepted:
    try:
        row = connection.execute(
            """
            WITH job AS (
                SELECT job_id, created
                  FROM keywright.enqueue_for(
                           %(requester_id)s, 'amqp', %(kind)s, %(arguments)s, %(organization)s,
                           %(unique_key)s, %(run_at)s, %(reply_to)s, %(correlation_id)s)
            ), taken AS (
                INSERT INTO keywright.intake (requester_id, source, event_id, content_hash, job_id)
                SELECT %(requester_id)s, %(source)s, %(event_id)s, %(content_hash)s, job_id FROM job
            )
            SELECT job_id, created FROM job
            """,
            {
                **values,
                "kind": event.kind,
                "arguments": Jsonb(event.data),
                "organization": event.organization,
                "unique_key": event.unique_key,
                "run_at": event.run_at,
                "reply_to": None if reply is None else reply.reply_to,
                "correlation_id": None if reply is None else reply.correlation_id,
            },
        ).fetchone()
    except psycopg.DatabaseError as error:
        kind = _REFUSALS.get(error.sqlstate or "")
        # Not where it is Postgres that says so, such as of a right that a role of ours lacks.
        if kind is None or error.diag.source_function != _RAISE:
            raise
        sentence = str(error.diag.message_primary)
        raise kind(f"{sentence[0].upper()}{sentence[1:]}.") from None
    assert row is not None
    return Accepted(job_id=row[0], created=row[1])


def write_reply(
    connection: Connection, job_id: int, kind: str, reply: ReplyAddress, data: dict[str, Any]
) -> None:
    """Have an answer sent once this transaction has committed."""
    connection.execute(
        """
        INSERT INTO keywright.reply (job_id, kind, reply_to, correlation_id, data)
        VALUES (%(job_id)s, %(kind)s, %(reply_to)s, %(correlation_id)s, %(data)s)
        """,
        {
            "job_id": job_id,
            "kind": kind,
            "reply_to": reply.reply_to,
            "correlation_id": reply.correlation_id,
            "data": Jsonb(data),
        },
    )


def content_hash(event: RequestEvent) -> bytes:
    """Return SHA-256 over what is asked for; the order of names does not count."""
    asked = [
        event.kind,
        event.organization.lower(),
        event.unique_key,
        None if event.run_at is None else event.run_at.timestamp(),
        event.data,
    ]
    return sha256(json.dumps(asked, sort_keys=True, ensure_ascii=True).encode()).digest()
