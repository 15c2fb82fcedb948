"""``webhook.deliver`` and ``webhook.purge``: telling endpoints, one message after the other.

No transaction is open while a message is sent. One whose worker died between the endpoint's answer
and its record is sent again under the same id: receivers can tell, and nothing is lost.
"""

import json
import random
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from workers.announcements.cloud_events import cloud_event
from workers.announcements.reading import installation_id
from workers.contract.webhooks import (
    DeliverWebhooks,
    PurgeWebhooks,
    WebhooksDelivered,
    WebhooksPurged,
)
from workers.database.pool import Connection, database_clock
from workers.encryption import FieldCipher
from workers.errors import InvalidRequestError, KeywrightError
from workers.jobs.running import RunningJob
from workers.webhooks import deliveries, store
from workers.webhooks.connecting import Resolve, look_up
from workers.webhooks.deliveries import DueDelivery, Target
from workers.webhooks.destination import Destination
from workers.webhooks.endpoints import SECRET_FIELD
from workers.webhooks.judging import (
    FAILURES_THAT_OPEN,
    Verdict,
    judge,
    rest_seconds,
    to_try,
)
from workers.webhooks.sending import TOTAL_SECONDS, Answer, send
from workers.webhooks.signing import signed_headers

log = structlog.get_logger(__name__)

_AT_A_TIME = 20
_ENOUGH_SECONDS = 60.0
_PURGED_AT_A_TIME = 5000
_MEDIA_TYPE = "application/cloudevents+json; charset=utf-8"


class Caller:
    """Sends what is due; one job of an endpoint at a time keeps its order."""

    def __init__(
        self,
        cipher: FieldCipher,
        *,
        tls: ssl.SSLContext,
        resolve: Resolve = look_up,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._cipher = cipher
        self._tls = tls
        self._resolve = resolve
        self._total_seconds = total_seconds

    def deliver_webhooks(self, request: DeliverWebhooks, job: RunningJob) -> WebhooksDelivered:
        """Tell an endpoint what is due, until nothing is, it fails too often, or a minute is over.

        The job succeeds also where the endpoint fails: each message has its own state, and the
        scheduler asks again for what is left.
        """
        counted = WebhooksDelivered()
        enough_at = time.monotonic() + _ENOUGH_SECONDS
        while time.monotonic() < enough_at:
            if not self._tell_some(request.endpoint_id, job, counted, enough_at):
                break
        return counted

    def _tell_some(
        self, endpoint_id: int, job: RunningJob, counted: WebhooksDelivered, enough_at: float
    ) -> bool:
        """Send the next few; return whether to go on."""
        job.stop_if_asked()
        round_ = _load(job, endpoint_id)
        if round_ is None:
            return False
        try:
            destination = Destination.from_url(
                round_.target.url, allow_private=round_.target.allow_private
            )
            secrets = self._open(round_.target, round_.secrets)
        except KeywrightError as error:
            # No fault of the messages, so they wait for somebody who mends it.
            _complain(job, round_, error)
            return False
        held: set[str] = set()
        for each in round_.deliveries:
            if each.subject in held:
                continue
            job.stop_if_asked()
            if time.monotonic() > enough_at:
                return False
            now = round_.now
            answer = self._send(destination, each, round_.source, secrets, now=now)
            verdict = judge(
                answer,
                attempt=each.attempt + 1,
                waited_seconds=(now - each.waits_since).total_seconds(),
                failures=round_.target.failures,
                jitter=random.random(),  # noqa: S311  # spreads load, keeps no secret
            )
            with job.checkpoint() as connection:
                deliveries.record(connection, round_.target, each, answer, verdict)
                # Whether it rests now, was disabled or removed meanwhile.
                still = _target(connection, job, endpoint_id)
            _note(endpoint_id, each, answer, verdict)
            _count(counted, verdict)
            if verdict.state == "waiting":
                held.add(each.subject)
            # One that does not answer takes long: between its messages, other jobs have their turn.
            if still is None or answer.status is None:
                return False
            round_.target = still
        return True

    def _open(self, target: Target, secrets: Sequence[store.SecretRow]) -> list[str]:
        opened = self._cipher.decrypt_many(
            SECRET_FIELD,
            organization_id=target.organization_id,
            values=[((each.webhook_secret_id,), each.value) for each in secrets],
        )
        # With one of two, receivers are still served.
        readable = [each.decode() for each in opened if isinstance(each, bytes)]
        if not readable:
            raise InvalidRequestError(
                "No secret of this webhook can be opened; `keywright webhook rotate-secret` gives"
                " it another."
            )
        return readable

    def _send(
        self,
        destination: Destination,
        delivery: DueDelivery,
        source: UUID,
        secrets: Sequence[str],
        *,
        now: datetime,
    ) -> Answer:
        body = json.dumps(cloud_event(delivery, source), ensure_ascii=False)
        return send(
            destination,
            body.encode(),
            {
                "Content-Type": _MEDIA_TYPE,
                **signed_headers(body, event_id=delivery.event_id, now=now, secrets=secrets),
            },
            tls=self._tls,
            resolve=self._resolve,
            now=now,
            total_seconds=self._total_seconds,
        )


@dataclass
class _Round:
    """A few messages for an endpoint, and what is needed to send them."""

    target: Target
    deliveries: Sequence[DueDelivery]
    secrets: Sequence[store.SecretRow]
    source: UUID
    loaded_at: datetime
    _since: float = field(default_factory=time.monotonic)

    @property
    def now(self) -> datetime:
        """The database's clock, as it must be by now."""
        return self.loaded_at + timedelta(seconds=time.monotonic() - self._since)


def _load(job: RunningJob, endpoint_id: int) -> _Round | None:
    """Return what to send next; None: nothing, or the endpoint may not be told now."""
    with job.checkpoint() as connection:
        target = _target(connection, job, endpoint_id)
        if target is None:
            return None
        due = deliveries.due_deliveries(connection, endpoint_id, limit=_AT_A_TIME)
        trying = to_try(due, failures=target.failures)
        if not trying:
            return None
        return _Round(
            target,
            trying,
            store.valid_secrets(connection, endpoint_id),
            installation_id(connection),
            database_clock(connection),
        )


def _target(connection: Connection, job: RunningJob, endpoint_id: int) -> Target | None:
    return deliveries.find_target(
        connection, organization_id=job.organization_id, endpoint_id=endpoint_id
    )


def _complain(job: RunningJob, round_: _Round, error: KeywrightError) -> None:
    target, failures = round_.target, round_.target.failures + 1
    log.warning("a webhook cannot be called", endpoint_id=target.endpoint_id, reason=str(error))
    with job.checkpoint() as connection:
        deliveries.note_obstacle(connection, target, round_.deliveries[0], str(error))
        deliveries.record_health(
            connection,
            target,
            failures=failures,
            rest_seconds=rest_seconds(max(failures, FAILURES_THAT_OPEN), 0),
        )


def purge_webhooks(_request: PurgeWebhooks, job: RunningJob) -> WebhooksPurged:
    """Delete secrets that sign no more, and give up what waits for too long, also if disabled."""
    with job.checkpoint() as connection:
        secrets = store.delete_expired_secrets(connection, now=job.now)
    given_up = 0
    while True:
        job.stop_if_asked()
        with job.checkpoint() as connection:
            some = deliveries.give_up_old(connection, now=job.now, limit=_PURGED_AT_A_TIME)
        given_up += some
        if some < _PURGED_AT_A_TIME:
            return WebhooksPurged(secrets=secrets, given_up=given_up)


def _count(counted: WebhooksDelivered, verdict: Verdict) -> None:
    if verdict.state == "delivered":
        counted.delivered += 1
    elif verdict.state == "given_up":
        counted.given_up += 1
    else:
        counted.failed += 1


def _note(endpoint_id: int, delivery: DueDelivery, answer: Answer, verdict: Verdict) -> None:
    if answer.error is None:
        return
    log.warning(
        "a webhook was not accepted",
        endpoint_id=endpoint_id,
        announcement_id=delivery.sequence,
        attempt=delivery.attempt + 1,
        status=answer.status,
        reason=answer.error,
        state=verdict.state,
        disabled=verdict.is_gone,
    )
