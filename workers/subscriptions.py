"""Every kind of job and the function that does it: the system on one screen.

The queue, the limits and the patience of each kind stand with its request in ``workers.contract``.
"""

from collections.abc import Mapping
from functools import partial

from workers.announcements.purging import purge_announcements
from workers.certificates.clean_up.handlers import clean_up_certificates
from workers.certificates.handover.purging import purge_handover
from workers.certificates.issuing_jobs import (
    copy_certificate,
    generate_certificate,
    rekey_certificate,
)
from workers.certificates.keystore_jobs import export_keystore, import_keystore
from workers.certificates.mutual_tls.jobs import (
    upload_client_certificate,
    withdraw_client_certificate,
)
from workers.certificates.replacement.handlers import (
    advance_replacement,
    roll_back_replacement,
    start_replacement,
)
from workers.certificates.review.handlers import review_certificates
from workers.certificates.tools import CertificateTools
from workers.certificates.uploading_jobs import upload_certificate
from workers.certificates.usage_jobs import (
    delete_unused,
    register_usage,
    restore_deleted,
    switch_usage,
    withdraw_usage,
)
from workers.contract import (
    AdvanceReplacement,
    CleanUpCertificates,
    ConcludeReencryption,
    CopyCertificate,
    DeleteCertificate,
    DeliverNotices,
    DeliverWebhooks,
    DestroyMasterKey,
    ExportKeystore,
    GenerateCertificate,
    ImportKeystore,
    JobRequest,
    MoveUsage,
    Ping,
    PrepareReencryption,
    PurgeAnnouncements,
    PurgeHandover,
    PurgeJobs,
    PurgeWebhooks,
    RegisterUsage,
    RekeyCertificate,
    RemoveUsage,
    RestoreCertificate,
    ReviewCertificates,
    ReviewMasterKeys,
    RewrapMasterKeys,
    RollBackReplacement,
    RotateMasterKey,
    RotateSealingKey,
    ScanExpiries,
    StartReencryption,
    StartReplacement,
    UploadCertificate,
    UploadClientCertificate,
    WithdrawClientCertificate,
    WorkOnReencryption,
)
from workers.jobs.execution import Handler
from workers.jobs.housekeeping import ping, purge_jobs
from workers.keys.handlers import (
    review_master_keys,
    rewrap_master_keys,
    rotate_master_key,
    rotate_published_key,
)
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
from workers.webhooks.calling import Caller, purge_webhooks


def subscriptions(
    postman: Postman,
    root_keys: RootKeys,
    tools: Tools,
    certificates: CertificateTools,
    caller: Caller,
) -> Mapping[type[JobRequest], Handler]:
    """Return what a worker does for each kind of job.

    ``postman`` sends the mail; ``tools`` open and write encrypted fields,
    ``certificates`` the private keys among them. ``caller`` calls webhooks.
    """
    return {
        # every five minutes, and on request; it asks for the deliveries
        ScanExpiries: scan_expiries,
        DeliverNotices: postman.deliver_notices,
        # every hour; it asks for the rotations and destructions that are due
        ReviewMasterKeys: review_master_keys,
        RotateMasterKey: partial(rotate_master_key, root_keys=root_keys),
        RotateSealingKey: partial(rotate_published_key, root_keys=root_keys),
        RewrapMasterKeys: partial(rewrap_master_keys, root_keys=root_keys),
        DestroyMasterKey: partial(destroy_master_key, tools=tools),
        # on request, and after rotations; each asks for the next
        StartReencryption: partial(start_reencryption, tools=tools),
        PrepareReencryption: partial(prepare_reencryption, tools=tools),
        WorkOnReencryption: partial(work_on_reencryption, tools=tools),
        ConcludeReencryption: partial(conclude_reencryption, tools=tools),
        # on request; rekeys also as an organization's policy has it
        GenerateCertificate: partial(generate_certificate, tools=certificates),
        RekeyCertificate: partial(rekey_certificate, tools=certificates),
        CopyCertificate: partial(copy_certificate, tools=certificates),
        UploadCertificate: partial(upload_certificate, tools=certificates),
        # on request; what they need was handed over before, and every hour what is left over goes
        ExportKeystore: partial(export_keystore, tools=certificates),
        ImportKeystore: partial(import_keystore, tools=certificates),
        PurgeHandover: purge_handover,
        # on request
        RegisterUsage: register_usage,
        MoveUsage: switch_usage,
        RemoveUsage: withdraw_usage,
        DeleteCertificate: delete_unused,
        RestoreCertificate: restore_deleted,
        # on request; listeners follow by themselves
        UploadClientCertificate: upload_client_certificate,
        WithdrawClientCertificate: withdraw_client_certificate,
        # on request
        StartReplacement: partial(start_replacement, tools=certificates),
        AdvanceReplacement: advance_replacement,
        RollBackReplacement: roll_back_replacement,
        # every hour, it asks for what policies say is due; every night
        ReviewCertificates: review_certificates,
        CleanUpCertificates: clean_up_certificates,
        # asked for by whoever wants to see the path alive; every night
        Ping: ping,
        PurgeJobs: purge_jobs,
        PurgeAnnouncements: purge_announcements,
        # whenever an endpoint is to be told something; every hour
        DeliverWebhooks: caller.deliver_webhooks,
        PurgeWebhooks: purge_webhooks,
    }
