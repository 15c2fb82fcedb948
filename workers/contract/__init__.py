"""What may be asked of keywright (job requests): plain, frozen models with stable wire names.

Nothing in this package imports the rest of the project, so that a caller can.
"""

from workers.contract.maintenance import Ping, PurgeJobs
from workers.contract.notices import DeliverNotices, ScanExpiries
from workers.contract.request import JobRequest, Queue

JOB_REQUESTS: tuple[type[JobRequest], ...] = (ScanExpiries, DeliverNotices, Ping, PurgeJobs)
"""Every kind of job there is."""

__all__ = [
    "JOB_REQUESTS",
    "DeliverNotices",
    "JobRequest",
    "Ping",
    "PurgeJobs",
    "Queue",
    "ScanExpiries",
]
