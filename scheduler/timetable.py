"""What is asked for, and when: the only place where a clock time meets a job."""

from dataclasses import dataclass, replace

from workers.contract import (
    CleanUpCertificates,
    JobRequest,
    PurgeAnnouncements,
    PurgeHandover,
    PurgeJobs,
    PurgeWebhooks,
    ReviewCertificates,
    ReviewMasterKeys,
    ScanExpiries,
)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A request that is made again and again.

    ``cron`` has five fields, read in UTC: minute, hour, day, month, weekday by name (``mon``); a
    number would mean Monday for 0 here and Sunday elsewhere. After downtime only the latest missed
    time is made up for: the jobs read the state of things, and one run finds all there is to do.
    """

    name: str
    cron: str
    request: JobRequest


TIMETABLE: tuple[Schedule, ...] = (
    # Often enough that every organization's sending hour is met within five minutes; a scan that
    # finds nothing due costs one look into an index.
    Schedule(name="expiry-scan", cron="*/5 * * * *", request=ScanExpiries()),
    Schedule(name="master-key-review", cron="7 * * * *", request=ReviewMasterKeys()),
    Schedule(name="handover-purge", cron="37 * * * *", request=PurgeHandover()),
    Schedule(name="webhook-purge", cron="52 * * * *", request=PurgeWebhooks()),
    # Every hour, since a certificate that lives for days is rekeyed hours before its end.
    Schedule(name="certificate-review", cron="22 * * * *", request=ReviewCertificates()),
    Schedule(name="certificate-clean-up", cron="43 2 * * *", request=CleanUpCertificates()),
    Schedule(name="job-purge", cron="17 3 * * *", request=PurgeJobs()),
    Schedule(name="announcement-purge", cron="27 3 * * *", request=PurgeAnnouncements()),
)


def timetable(*, announcement_days: int, sealing_key_days: int) -> tuple[Schedule, ...]:
    """Return the timetable of an installation.

    It keeps announcements, and publishes the same sealing key, for so many days.
    """
    asked: dict[type[JobRequest], JobRequest] = {
        PurgeAnnouncements: PurgeAnnouncements(older_than_days=announcement_days),
        ReviewMasterKeys: ReviewMasterKeys(sealing_key_days=sealing_key_days),
    }
    return tuple(
        replace(each, request=asked.get(type(each.request), each.request)) for each in TIMETABLE
    )
