"""``notice.deliver``: compose and send digests, recording each before and after.

No transaction is open while the mail server is spoken to. A digest whose worker died between the
server's "yes" and its record is sent again under the same Message-ID: an alert told twice is better
than one never told, and many mail systems drop the second copy.
"""

import threading
from collections.abc import Sequence
from itertools import groupby

import structlog

from workers.contract import DeliverNotices
from workers.contract.notices import Delivered
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

# Each step costs a commit. A worker that is killed leaves as many mails in doubt, to be sent again.
_AT_A_TIME = 10
_NOT_TRIED = SendOutcome("deferred", code=None, reply="It was not tried yet.")


class MailDeferredError(TransientError):
    """The mail server asked to come back later for some of the digests."""

    code = "mail-deferred"
    title = "Mail is waiting to be sent"


class MailGivenUpError(PermanentError):
    """Digests could not be sent within all the attempts of their job."""

    code = "mail-given-up"
    title = "Mail could not be sent"


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
        """Send a few digests at a time; stop early where the mail server is out of reach.

        One step records how the last few ended and that the next few begin; it also tells us if the
        job was given to somebody else meanwhile.
        """
        ended: list[Ended] = []
        recorded = 0
        begun: list[DueDigest] = []
        in_reach = True
        try:
            for start in range(0, len(digests), _AT_A_TIME):
                job.stop_if_asked()
                begun = digests[start : start + _AT_A_TIME]
                self._record(job, ended[recorded:], begun)
                recorded = len(ended)
                while begun and in_reach:
                    outcome, in_reach = self._try_to_send(begun[0], items, job)
                    ended.append(_ended(begun.pop(0), outcome))
                if not in_reach:
                    break
        finally:
            # What was begun and not sent is as good as deferred: the job comes back to it.
            self._record(job, [*ended[recorded:], *(_ended(each, _NOT_TRIED) for each in begun)])
        return ended

    def _record(
        self, job: RunningJob, ended: list[Ended], beginning: Sequence[DueDigest] = ()
    ) -> None:
        step = Step(
            tuple(ended),
            tuple(
                Beginning(
                    digest_id=digest.digest_id,
                    message_id=self._message_id(digest),
                    job=job.claimed,
                )
                for digest in beginning
            ),
        )
        if (ended or beginning) and not self._recorder.record(step):
            raise LeaseLostError(f"Job {job.job_id} was taken over by another worker.")

    def _try_to_send(
        self, digest: DueDigest, items: dict[int, list[DigestItem]], job: RunningJob
    ) -> tuple[SendOutcome, bool]:
        """Return what became of the digest, and whether the mail server is in reach."""
        try:
            return self._send(digest, items[digest.digest_id], job), True
        except MailServerUnavailableError as error:
            log.warning("the mail server is out of reach", reason=str(error))
            return SendOutcome("deferred", code=None, reply=str(error)), False

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
                message_id=self._message_id(digest),
                date=job.now,
            )
            return self._session().send(message, digest.recipient_email)
        except UnsendableError as error:
            return SendOutcome("refused", code=None, reply=str(error))

    def _message_id(self, digest: DueDigest) -> str:
        return message_id(
            digest.digest_id,
            local_day=digest.local_day,
            installation_id=digest.installation_id,
            domain=self._domain,
        )

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


def _ended(digest: DueDigest, outcome: SendOutcome) -> Ended:
    return Ended(
        digest_id=digest.digest_id, state=outcome.state, code=outcome.code, reply=outcome.reply
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
        ends_first=notice.ends_first,
        tier_days=notice.tier_days,
        used_in=tuple(notice.used_in),
        replaced=notice.replaced,
    )


def _reason(digest: DueDigest, items: list[DigestItem]) -> str:
    if digest.is_holder and any(item.tier_days > 1 for item in items):
        return "you have the permission to receive certificate expiration notices"
    return f"you administer {digest.organization}"
