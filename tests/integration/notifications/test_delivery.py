"""Delivery against a real mail server: each digest once, each answer on record."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from tests.integration.notifications.household import DAY, NOON, Household, household, told
from tests.servers.smtp import SmtpSink
from workers.contract import DeliverNotices, ScanExpiries
from workers.database.pool import Connection, Pool, open_pool
from workers.jobs.claim import ClaimedJob, claim_job
from workers.jobs.enqueue import enqueue
from workers.jobs.running import RunningJob
from workers.notifications.delivery import MailDeferredError, MailGivenUpError, Postman
from workers.notifications.handlers import scan_expiries
from workers.notifications.mail_server import SmtpServer


@pytest.fixture
def pool(conninfo: str) -> Iterator[Pool]:
    with open_pool(conninfo, size=4, name="test") as pool:
        yield pool


@pytest.fixture
def run(pool: Pool) -> Callable[[int], RunningJob]:
    """Claim a job by its number, as it is at noon of the day of these tests."""

    def claim(job_id: int) -> RunningJob:
        with pool.connection() as own:
            claimed = claim_job(own, job_id, worker="test", lease_seconds=60)
        assert claimed is not None
        at_noon = ClaimedJob(
            **{field: getattr(claimed, field) for field in ClaimedJob.__slots__ if field != "now"},
            now=NOON,
        )
        return RunningJob(at_noon, pool, lease_seconds=60)

    return claim


@pytest.fixture
def acme(connection: Connection) -> Household:
    """An organization with one holder and one certificate that is due."""
    acme = household(connection)
    acme.member("Holly", holder=True)
    acme.version("web", not_after=NOON + 10 * DAY, known_since=NOON - DAY)
    return acme


class Office:
    """Scans and delivers, the way workers do."""

    def __init__(
        self,
        connection: Connection,
        pool: Pool,
        run: Callable[[int], RunningJob],
        sink: SmtpSink,
    ) -> None:
        self.connection = connection
        self.run = run
        self.postman = Postman(
            SmtpServer.from_url(sink.url), pool, sender="keywright <keywright@acme.example>"
        )

    def scan(self) -> list[int]:
        """Scan, and return the delivery jobs."""
        job = self.run(enqueue(self.connection, ScanExpiries()).job_id)
        scanned = scan_expiries(ScanExpiries(), job)
        job.finish(scanned.model_dump())
        rows = self.connection.execute(
            "SELECT job_id FROM keywright.job WHERE kind = 'notice.deliver' AND state = 'scheduled'"
        )
        return [row[0] for row in rows]

    def deliver(self, job_id: int) -> None:
        """Deliver what the job says."""
        row = self.connection.execute(
            "SELECT arguments FROM keywright.job WHERE job_id = %s", [job_id]
        ).fetchone()
        assert row is not None
        job = self.run(job_id)
        try:
            delivered = self.postman.deliver_notices(DeliverNotices.model_validate(row[0]), job)
            job.finish(delivered.model_dump())
        finally:
            job.release()


@pytest.fixture
def office(
    connection: Connection,
    pool: Pool,
    run: Callable[[int], RunningJob],
    smtp_sink: SmtpSink,
) -> Office:
    return Office(connection, pool, run, smtp_sink)


def deliveries(connection: Connection) -> list[tuple[str, int, int | None]]:
    """Return state, attempt and code of each delivery by address."""
    return connection.execute(
        "SELECT delivery.state::text, attempt, smtp_code FROM keywright.delivery"
        " JOIN keywright.digest USING (digest_id) JOIN keywright.member USING (member_id)"
        " ORDER BY member.name"
    ).fetchall()


def make_due_again(connection: Connection, job_id: int) -> None:
    """Make a job as if its retry had come."""
    connection.execute(
        "UPDATE keywright.job SET state = 'scheduled', claim = NULL, lease_until = NULL,"
        " run_at = now(), finished_at = NULL WHERE job_id = %s",
        [job_id],
    )


def test_a_due_certificate_leads_to_one_mail_and_its_proof(
    connection: Connection, acme: Household, office: Office, smtp_sink: SmtpSink
) -> None:
    [job_id] = office.scan()
    office.deliver(job_id)
    [mail] = smtp_sink.wait_for(1)
    assert mail.recipients == (f"holly-{acme.organization_id}@example.org",)
    assert "web" in str(mail.message["Subject"])
    assert told(connection, state="sent") == {("Holly", "web", 10)}
    row = connection.execute("SELECT message_id, smtp_reply FROM keywright.delivery").fetchone()
    assert row is not None
    assert mail.message["Message-ID"] == row[0]
    assert row[1]
    assert deliveries(connection) == [("accepted", 1, 250)]


@pytest.mark.usefixtures("acme")
def test_scanning_and_delivering_again_sends_nothing_again(
    connection: Connection, office: Office, smtp_sink: SmtpSink
) -> None:
    [job_id] = office.scan()
    office.deliver(job_id)
    assert office.scan() == []
    make_due_again(connection, job_id)
    office.deliver(job_id)
    assert len(smtp_sink.messages) == 1


def test_a_refused_address_stops_nobody_else(
    connection: Connection, acme: Household, office: Office, smtp_sink: SmtpSink
) -> None:
    acme.member("Adele", holder=True)
    acme.member("Zoe", holder=True)
    smtp_sink.refuse(f"holly-{acme.organization_id}@example.org", "550 5.1.1 no such mailbox")
    [job_id] = office.scan()
    office.deliver(job_id)
    assert deliveries(connection) == [
        ("accepted", 1, 250),
        ("refused", 1, 550),
        ("accepted", 1, 250),
    ]
    assert told(connection, state="failed") == {("Holly", "web", 10)}
    assert len(told(connection, state="sent")) == 2
    reply = connection.execute(
        "SELECT smtp_reply FROM keywright.delivery WHERE state = 'refused'"
    ).fetchone()
    assert reply is not None
    assert "@" not in reply[0]


def test_a_deferred_mail_is_tried_again_and_the_others_are_not(
    connection: Connection, acme: Household, office: Office, smtp_sink: SmtpSink
) -> None:
    acme.member("Zoe", holder=True)
    smtp_sink.defer(f"holly-{acme.organization_id}@example.org", "451 4.7.1 greylisted", times=1)
    [job_id] = office.scan()
    with pytest.raises(MailDeferredError, match="1 of 2 digests"):
        office.deliver(job_id)
    assert deliveries(connection) == [("deferred", 1, 451), ("accepted", 1, 250)]
    make_due_again(connection, job_id)
    office.deliver(job_id)
    assert deliveries(connection) == [("accepted", 2, 250), ("accepted", 1, 250)]
    assert len(smtp_sink.messages) == 2


def test_at_the_last_attempt_what_is_left_is_given_up_on_record(
    connection: Connection, acme: Household, office: Office, smtp_sink: SmtpSink
) -> None:
    smtp_sink.defer(f"holly-{acme.organization_id}@example.org", "451 4.7.1 greylisted")
    [job_id] = office.scan()
    connection.execute("UPDATE keywright.job SET max_attempts = 1 WHERE job_id = %s", [job_id])
    with pytest.raises(MailGivenUpError, match="greylisted"):
        office.deliver(job_id)
    assert [row[0] for row in deliveries(connection)] == ["given_up"]
    assert told(connection, state="failed") == {("Holly", "web", 10)}


def test_what_was_given_up_is_taken_up_again_when_its_job_is_retried(
    connection: Connection, acme: Household, office: Office, smtp_sink: SmtpSink
) -> None:
    smtp_sink.defer(f"holly-{acme.organization_id}@example.org", "451 4.7.1 greylisted", times=1)
    [job_id] = office.scan()
    connection.execute("UPDATE keywright.job SET max_attempts = 1 WHERE job_id = %s", [job_id])
    with pytest.raises(MailGivenUpError):
        office.deliver(job_id)
    connection.execute("UPDATE keywright.job SET attempt = 0 WHERE job_id = %s", [job_id])
    make_due_again(connection, job_id)
    office.deliver(job_id)
    assert told(connection, state="sent") == {("Holly", "web", 10)}
    assert deliveries(connection) == [("accepted", 2, 250)]


def test_a_mail_server_out_of_reach_defers_everything(
    connection: Connection, acme: Household, office: Office, smtp_sink: SmtpSink
) -> None:
    acme.member("Zoe", holder=True)
    [job_id] = office.scan()
    smtp_sink.down()
    with pytest.raises(MailDeferredError, match="2 of 2 digests"):
        office.deliver(job_id)
    smtp_sink.up()
    make_due_again(connection, job_id)
    office.deliver(job_id)
    assert len(smtp_sink.wait_for(2)) == 2
    assert len(told(connection, state="sent")) == 2


def test_the_departure_of_a_sole_holder_makes_the_administrators_hear_of_it(
    connection: Connection, acme: Household, office: Office, smtp_sink: SmtpSink
) -> None:
    acme.member("Adam", administrator=True)
    [job_id] = office.scan()
    connection.execute("UPDATE keywright.member SET active = false WHERE name = 'Holly'")
    office.deliver(job_id)
    assert smtp_sink.messages == []
    assert told(connection, state="cancelled") == {("Holly", "web", 10)}
    # The next scan finds the tier open again.
    connection.execute("UPDATE keywright.certificate_version SET next_notice_at = %s", [NOON])
    [second] = office.scan()
    office.deliver(second)
    assert told(connection, state="sent") == {("Adam", "web", 10)}


@pytest.mark.usefixtures("acme")
def test_a_certificate_withdrawn_before_sending_is_not_told(
    connection: Connection, office: Office, smtp_sink: SmtpSink
) -> None:
    [job_id] = office.scan()
    connection.execute("UPDATE keywright.notice SET state = 'cancelled', reason = 'deleted'")
    office.deliver(job_id)
    assert smtp_sink.messages == []
    assert connection.execute("SELECT state::text FROM keywright.digest").fetchone() == (
        "cancelled",
    )


@pytest.mark.usefixtures("acme")
def test_a_hang_up_after_the_message_leads_to_a_second_copy_with_the_same_id(
    connection: Connection, office: Office, smtp_sink: SmtpSink
) -> None:
    smtp_sink.hang_up_after_data(times=1)
    [job_id] = office.scan()
    with pytest.raises(MailDeferredError):
        office.deliver(job_id)
    make_due_again(connection, job_id)
    office.deliver(job_id)
    ids = {mail.message["Message-ID"] for mail in smtp_sink.messages}
    assert len(ids) == 1
    assert deliveries(connection) == [("accepted", 2, 250)]


def test_hundreds_of_recipients_share_few_connections(
    connection: Connection, office: Office, smtp_sink: SmtpSink
) -> None:
    acme = household(connection, "Large")
    for number in range(120):
        acme.member(f"Holder{number:03}", holder=True)
    acme.version("web", not_after=NOON + 10 * DAY, known_since=NOON - timedelta(days=1))
    jobs = office.scan()
    assert len(jobs) == 3
    for job_id in jobs:
        office.deliver(job_id)
    assert len(smtp_sink.messages) == 120
    assert smtp_sink.connections == 1
