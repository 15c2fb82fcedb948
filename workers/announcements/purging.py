"""``announcement.purge``: what is old goes, unless somebody still waits for it. SQL only."""

from workers.contract import PurgeAnnouncements
from workers.contract.maintenance import PurgedAnnouncements
from workers.jobs.running import RunningJob

_BATCH = 5000


def purge_announcements(request: PurgeAnnouncements, job: RunningJob) -> PurgedAnnouncements:
    """Delete old announcements batch by batch, oldest first, whether a broker had them or not.

    What a webhook is still to be told stays until it was told, or given up.
    """
    purged = 0
    while True:
        job.stop_if_asked()
        with job.checkpoint() as connection:
            deleted = connection.execute(
                """
                DELETE FROM keywright.announcement
                 WHERE announcement_id IN (
                       SELECT announcement_id FROM keywright.announcement AS old
                        WHERE occurred_at < %(now)s - make_interval(days => %(days)s)
                          AND NOT EXISTS (SELECT FROM keywright.webhook_delivery AS delivery
                                           WHERE delivery.announcement_id = old.announcement_id
                                             AND delivery.state = 'waiting')
                        ORDER BY occurred_at, announcement_id
                        LIMIT %(batch)s)
                """,
                {"now": job.now, "days": request.older_than_days, "batch": _BATCH},
            ).rowcount
        purged += deleted
        job.report_progress(purged)
        if deleted < _BATCH:
            return PurgedAnnouncements(announcements=purged)
