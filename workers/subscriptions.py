"""Every kind of job and the function that does it: the system on one screen.

The queue, the limits and the patience of each kind stand with its request in ``workers.contract``.
"""

from collections.abc import Mapping

from workers.contract import DeliverNotices, JobRequest, Ping, PurgeJobs, ScanExpiries
from workers.jobs.execution import Handler
from workers.jobs.housekeeping import ping, purge_jobs
from workers.notifications.delivery import Postman
from workers.notifications.handlers import scan_expiries


def subscriptions(postman: Postman) -> Mapping[type[JobRequest], Handler]:
    """Return what a worker does for each kind of job, with ``postman`` sending the mail."""
    return {
        ScanExpiries: scan_expiries,  # expiry.scan     every five minutes, and on request
        DeliverNotices: postman.deliver_notices,  # notice.deliver  asked for by expiry.scan
        Ping: ping,  # system.ping     asked for by whoever wants to see the path alive
        PurgeJobs: purge_jobs,  # job.purge       every night
    }
