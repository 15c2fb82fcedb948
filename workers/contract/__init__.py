"""What may be asked of keywright (job requests): plain, frozen models with stable wire names.

Nothing in this package imports the rest of the project, so that a caller can.
"""

from workers.contract.certificate_policies import (
    CleanUpCertificates,
    DeleteCertificate,
    RestoreCertificate,
    ReviewCertificates,
)
from workers.contract.certificates import (
    CopyCertificate,
    GenerateCertificate,
    LifetimeCaps,
    RekeyCertificate,
)
from workers.contract.chains import UploadCertificate
from workers.contract.keys import (
    DestroyMasterKey,
    ReviewMasterKeys,
    RewrapMasterKeys,
    RotateMasterKey,
    RotateSealingKey,
)
from workers.contract.keystores import ExportKeystore, ImportKeystore, PurgeHandover
from workers.contract.maintenance import Ping, PurgeAnnouncements, PurgeJobs
from workers.contract.mutual_tls import UploadClientCertificate, WithdrawClientCertificate
from workers.contract.notices import DeliverNotices, ScanExpiries
from workers.contract.reencryption import (
    ConcludeReencryption,
    PrepareReencryption,
    StartReencryption,
    WorkOnReencryption,
)
from workers.contract.replacement import (
    AdvanceReplacement,
    RollBackReplacement,
    StartReplacement,
)
from workers.contract.request import JobRequest, Queue
from workers.contract.usages import MoveUsage, RegisterUsage, RemoveUsage
from workers.contract.webhooks import DeliverWebhooks, PurgeWebhooks

JOB_REQUESTS: tuple[type[JobRequest], ...] = (
    ScanExpiries,
    DeliverNotices,
    RotateMasterKey,
    RotateSealingKey,
    ReviewMasterKeys,
    RewrapMasterKeys,
    DestroyMasterKey,
    StartReencryption,
    PrepareReencryption,
    WorkOnReencryption,
    ConcludeReencryption,
    GenerateCertificate,
    RekeyCertificate,
    CopyCertificate,
    UploadCertificate,
    ExportKeystore,
    ImportKeystore,
    PurgeHandover,
    RegisterUsage,
    MoveUsage,
    RemoveUsage,
    DeleteCertificate,
    RestoreCertificate,
    UploadClientCertificate,
    WithdrawClientCertificate,
    StartReplacement,
    AdvanceReplacement,
    RollBackReplacement,
    ReviewCertificates,
    CleanUpCertificates,
    Ping,
    PurgeJobs,
    PurgeAnnouncements,
    DeliverWebhooks,
    PurgeWebhooks,
)
"""Every kind of job there is."""

__all__ = [
    "JOB_REQUESTS",
    "AdvanceReplacement",
    "CleanUpCertificates",
    "ConcludeReencryption",
    "CopyCertificate",
    "DeleteCertificate",
    "DeliverNotices",
    "DeliverWebhooks",
    "DestroyMasterKey",
    "ExportKeystore",
    "GenerateCertificate",
    "ImportKeystore",
    "JobRequest",
    "LifetimeCaps",
    "MoveUsage",
    "Ping",
    "PrepareReencryption",
    "PurgeAnnouncements",
    "PurgeHandover",
    "PurgeJobs",
    "PurgeWebhooks",
    "Queue",
    "RegisterUsage",
    "RekeyCertificate",
    "RemoveUsage",
    "RestoreCertificate",
    "ReviewCertificates",
    "ReviewMasterKeys",
    "RewrapMasterKeys",
    "RollBackReplacement",
    "RotateMasterKey",
    "RotateSealingKey",
    "ScanExpiries",
    "StartReencryption",
    "StartReplacement",
    "UploadCertificate",
    "UploadClientCertificate",
    "WithdrawClientCertificate",
    "WorkOnReencryption",
]
