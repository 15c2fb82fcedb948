"""What may be asked of keywright (job requests): plain, frozen models with stable wire names.

Nothing in this package imports the rest of the project, so that a caller can.
"""

from workers.contract.keys import (
    DestroyMasterKey,
    ReviewMasterKeys,
    RewrapMasterKeys,
    RotateMasterKey,
)
from workers.contract.maintenance import Ping, PurgeJobs
from workers.contract.notices import DeliverNotices, ScanExpiries
from workers.contract.reencryption import (
    ConcludeReencryption,
    PrepareReencryption,
    StartReencryption,
    WorkOnReencryption,
)
from workers.contract.request import JobRequest, Queue

JOB_REQUESTS: tuple[type[JobRequest], ...] = (
    ScanExpiries,
    DeliverNotices,
    RotateMasterKey,
    ReviewMasterKeys,
    RewrapMasterKeys,
    DestroyMasterKey,
    StartReencryption,
    PrepareReencryption,
    WorkOnReencryption,
    ConcludeReencryption,
    Ping,
    PurgeJobs,
)
"""Every kind of job there is."""

__all__ = [
    "JOB_REQUESTS",
    "ConcludeReencryption",
    "DeliverNotices",
    "DestroyMasterKey",
    "JobRequest",
    "Ping",
    "PrepareReencryption",
    "PurgeJobs",
    "Queue",
    "ReviewMasterKeys",
    "RewrapMasterKeys",
    "RotateMasterKey",
    "ScanExpiries",
    "StartReencryption",
    "WorkOnReencryption",
]
