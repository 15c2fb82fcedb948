"""Every kind of job and the function that does it: the system on one screen.

The queue, the limits and the patience of each kind stand with its request in ``workers.contract``.
"""

from collections.abc import Mapping
from functools import partial

from workers.contract import (
    ConcludeReencryption,
    DeliverNotices,
    DestroyMasterKey,
    JobRequest,
    Ping,
    PrepareReencryption,
    PurgeJobs,
    ReviewMasterKeys,
    RewrapMasterKeys,
    RotateMasterKey,
    ScanExpiries,
    StartReencryption,
    WorkOnReencryption,
)
from workers.jobs.execution import Handler
from workers.jobs.housekeeping import ping, purge_jobs
from workers.keys.handlers import review_master_keys, rewrap_master_keys, rotate_master_key
from workers.keys.root_keys import RootKeys
from workers.notifications.delivery import Postman
from workers.notifications.handlers import scan_expiries
from workers.reencryption.destruction import destroy_master_key
from workers.reencryption.handlers import (
    conclude_reencryption,
    prepare_reencryption,
    start_reencryption,
    work_on_reencryption,
)
from workers.reencryption.tools import Tools


def subscriptions(
    postman: Postman, root_keys: RootKeys, tools: Tools
) -> Mapping[type[JobRequest], Handler]:
    """Return what a worker does for each kind of job.

    ``postman`` sends the mail; ``tools`` open and write encrypted fields.
    """
    return {
        # every five minutes, and on request; it asks for the deliveries
        ScanExpiries: scan_expiries,
        DeliverNotices: postman.deliver_notices,
        # every hour; it asks for the rotations and destructions that are due
        ReviewMasterKeys: review_master_keys,
        RotateMasterKey: partial(rotate_master_key, root_keys=root_keys),
        RewrapMasterKeys: partial(rewrap_master_keys, root_keys=root_keys),
        DestroyMasterKey: partial(destroy_master_key, tools=tools),
        # on request, and after rotations; each asks for the next
        StartReencryption: partial(start_reencryption, tools=tools),
        PrepareReencryption: partial(prepare_reencryption, tools=tools),
        WorkOnReencryption: partial(work_on_reencryption, tools=tools),
        ConcludeReencryption: partial(conclude_reencryption, tools=tools),
        # asked for by whoever wants to see the path alive; every night
        Ping: ping,
        PurgeJobs: purge_jobs,
    }
