"""``notice.deliver``: compose and send digests, recording each before and after.

No transaction is open while the mail server is spoken to. A digest whose worker died between the
server's "yes" and its record is sent again under the same Message-ID: an alert told twice is better
than one never told, and many mail systems drop the second copy.
"""

import threading
from itertools import groupby

import structlog
from pydantic import BaseModel

from workers.contract import DeliverNotices
from workers.database.pool import Pool
from workers.errors import PermanentError, TransientError
from workers.jobs.retry import LeaseLostError
from workers.jobs.running import RunningJob
from workers.notifications.mail_server import MailServerUnavailableError, SmtpServer
from workers.notifications.message import (
    UnsendableError,
    compose_message,
    message_id,
    parse_sender,
)
from workers.notifications.planning import hold_off_planning
from workers.notifications.recording import Beginning, Ended, Recorder, Step
from workers.notifications.rendering import Digest, DigestItem, render_digest
from workers.notifications.smtp import SendOutcome, SmtpSession
from workers.notifications.store import (
    DueDigest,
    DueNotice,
    cancel_digests,
    close_digests,
    drop_digests_without_reader,
    notices_to_tell,
)

log = structlog.get_logger(__name__)


class MailDeferredError(TransientError):
    """The mail server asked to come back later for some of the digests."""

    code = "mail-deferred"
    title = "Mail is waiting to be sent"


class MailGivenUpError(PermanentError):
    """Digests could not be sent within all the attempts of their job."""

    code = "mail-given-up"
    title = "Mail could not be sent"


class Delivered(BaseModel):
    """What became of the digests of one job."""

    accepted: int = 0
    refused: int = 0
    cancelled: int = 0


class Postman:
    """Sends digests through one mail server; each worker thread keeps a connection of its own."""

    def __init__(self, server: SmtpServer, pool: Pool, *, sender: str) -> None:
        self._server = server
        self._recorder = Recorder(pool)
        self._sender = sender
        self._domain = parse_sender(sender).domain
        self._per_thread = threading.local()

    def deliver_notices(self, request: DeliverNotices, job: RunningJob) -> Delivered:
        """Send those of the digests that are still to be sent.

        Raises:
            MailDeferredError: some have to be tried again later.
            MailGivenUpError: the same, at the last attempt; they are recorded as given up.
        """
        digests, items, cancelled = self._load(request, job)
        ended = self._send_all(digests, items, job)
        return self._conclude(ended, digests, cancelled, job)

    def _load(
        self, request: DeliverNotices, job: RunningJob
    ) -> tuple[list[DueDigest], dict[int, list[DigestItem]], int]:
        """Close the digests, and drop those with nobody to tell or nothing left to tell."""
        with job.checkpoint() as connection:
            hold_off_planning(connection)
            cancelled = drop_digests_without_reader(connection, request.digest_ids)
            closed = close_digests(connection, request.digest_ids)
            notices = notices_to_tell(connection, [digest.digest_id for digest in closed])
            items = {
                digest_id: [_item(notice) for notice in of_digest]
                for digest_id, of_digest in groupby(notices, key=lambda notice: notice.digest_id)
            }
            empty = [digest.digest_id for digest in closed if digest.digest_id not in items]
            cancel_digests(connection, empty)
        digests = [digest for digest in closed if digest.digest_id in items]
        return digests, items, cancelled + len(empty)

    def _send_all(
        self, digests: list[DueDigest], items: dict[int, list[DigestItem]], job: RunningJob
    ) -> list[Ended]:
        """Send one digest after the other; stop early where the mail server is out of reach."""
        ended: list[Ended] = []
        unrecorded: tuple[Ended, ...] = ()
        out_of_reach = False
        try:
            for digest in digests:
                job.stop_if_asked()
                # One step records the end of the last delivery and the beginning of the next, and
                # tells us if the job was given to somebody else meanwhile.
                self._begin(digest, job, unrecorded)
                unrecorded = ()
                try:
                    outcome = self._send(digest, items[digest.digest_id], job)
                except MailServerUnavailableError as error:
                    log.warning("the mail server is out of reach", reason=str(error))
                    out_of_reach = True
                    outcome = SendOutcome("deferred", code=None, reply=str(error))
                unrecorded = (
                    Ended(
                        digest_id=digest.digest_id,
                        state=outcome.state,
                        code=outcome.code,
                        reply=outcome.reply,
                    ),
                )
                ended += unrecorded
                if out_of_reach:
                    break
        finally:
            if unrecorded:
                self._recorder.record(Step(unrecorded))
        return ended

    def _begin(self, digest: DueDigest, job: RunningJob, ended: tuple[Ended, ...]) -> None:
        beginning = Beginning(
            digest_id=digest.digest_id,
            message_id=message_id(digest.digest_id, self._domain),
            job=job.claimed,
        )
        if not self._recorder.record(Step(ended, beginning)):
            raise LeaseLostError(f"Job {job.job_id} was taken over by another worker.")

    def _send(self, digest: DueDigest, items: list[DigestItem], job: RunningJob) -> SendOutcome:
        mail = render_digest(
            Digest(
                organization=digest.organization,
                is_sandbox=digest.is_sandbox,
                recipient_name=digest.recipient_name,
                time_zone=digest.time_zone,
                items=tuple(items),
                reason=_reason(digest, items),
            ),
            now=job.now,
        )
        try:
            message = compose_message(
                mail,
                sender=self._sender,
                recipient_name=digest.recipient_name,
                recipient_email=digest.recipient_email,
                message_id=message_id(digest.digest_id, self._domain),
                date=job.now,
            )
            return self._session().send(message, digest.recipient_email)
        except UnsendableError as error:
            return SendOutcome("refused", code=None, reply=str(error))

    def _session(self) -> SmtpSession:
        session: SmtpSession | None = getattr(self._per_thread, "session", None)
        if session is None:
            session = self._per_thread.session = SmtpSession(self._server)
        return session

    def _conclude(
        self, ended: list[Ended], digests: list[DueDigest], cancelled: int, job: RunningJob
    ) -> Delivered:
        states = [each.state for each in ended]
        waiting = len(digests) - states.count("accepted") - states.count("refused")
        if waiting == 0:
            return Delivered(
                accepted=states.count("accepted"),
                refused=states.count("refused"),
                cancelled=cancelled,
            )
        reply = next(each.reply for each in ended if each.state == "deferred")
        if not job.is_last_attempt:
            raise MailDeferredError(
                f"{waiting} of {len(digests)} digests have to be sent later; the mail server said:"
                f" {reply}"
            )
        settled = {each.digest_id for each in ended if each.state in ("accepted", "refused")}
        given_up = tuple(
            Ended(digest_id=digest.digest_id, state="given_up", code=None, reply=reply)
            for digest in digests
            if digest.digest_id not in settled
        )
        self._recorder.record(Step(given_up))
        raise MailGivenUpError(
            f"{waiting} of {len(digests)} digests were given up after {job.claimed.attempt}"
            f" attempts; the mail server said last: {reply}"
        )


def _item(notice: DueNotice) -> DigestItem:
    return DigestItem(
        label=notice.label,
        unique_name=notice.unique_name,
        kind=notice.kind,
        issuer=notice.issuer,
        subject=notice.subject,
        serial=notice.serial,
        not_after=notice.not_after,
        tier_days=notice.tier_days,
        used_in=tuple(notice.used_in),
        replaced=notice.replaced,
    )


def _reason(digest: DueDigest, items: list[DigestItem]) -> str:
    if digest.is_holder and any(item.tier_days > 1 for item in items):
        return "you have the permission to receive certificate expiration notices"
    return f"you administer {digest.organization}"
