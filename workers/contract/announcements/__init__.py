"""What keywright announces: every kind of announcement there is, with the model of its data."""

from dataclasses import dataclass

from workers.contract.announcements.certificates import (
    CertificateDeleted,
    CertificateEdited,
    CertificateExpired,
    CertificateExpiring,
    CertificateIssued,
    CertificatePurged,
    CertificateRenewed,
    CertificateRequested,
    CertificateRestored,
    CertificateSelected,
)
from workers.contract.announcements.exchange import (
    ApiClientConfigured,
    ArtifactDeleted,
    KeystoreExported,
    KeystoreImported,
)
from workers.contract.announcements.happened import (
    Happened,
)
from workers.contract.announcements.keys import (
    DestructionCancelled,
    DestructionScheduled,
    MasterKeyCompromised,
    MasterKeyCreated,
    MasterKeyDestroyed,
    MasterKeyExported,
    MasterKeyImported,
    MasterKeyRotated,
    MasterKeyWorn,
    ReencryptionCancelled,
    ReencryptionCompleted,
    ReencryptionProgress,
)
from workers.contract.announcements.mutual_tls import (
    ClientAccepted,
    ClientWithdrawn,
    MutualTlsDisabled,
    MutualTlsEnabled,
    RootRemoved,
    RootTrusted,
)
from workers.contract.announcements.replacements import (
    CertificateReplaced,
    CertificateSwitched,
    NamedVersion,
    ReplacementMoved,
    ReplacementOverdue,
    ReplacementRolledBack,
    ReplacementStarted,
)
from workers.contract.announcements.work import (
    JobFailed,
    JobProblem,
    NoticeDelivered,
    NoticeFailed,
    NoticeOf,
    WebhookTested,
)


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """A kind of announcement: ``data`` is the model of what it says.

    ``meaning`` is one sentence, ``subject`` an example of what it is about.
    """

    kind: str
    meaning: str
    subject: str
    data: type[Happened]


def _described(model: type[Happened]) -> Announcement:
    meaning = " ".join((model.__doc__ or "").split())
    return Announcement(kind=model.of_kind, meaning=meaning, subject=model.about, data=model)


ANNOUNCEMENTS: tuple[Announcement, ...] = tuple(
    _described(model)
    for model in (
        CertificateRequested,
        CertificateIssued,
        CertificateRenewed,
        CertificateExpiring,
        CertificateExpired,
        CertificateEdited,
        CertificateSelected,
        CertificateDeleted,
        CertificateRestored,
        CertificatePurged,
        ReplacementStarted,
        ReplacementMoved,
        CertificateSwitched,
        ReplacementOverdue,
        CertificateReplaced,
        ReplacementRolledBack,
        KeystoreExported,
        KeystoreImported,
        ArtifactDeleted,
        ApiClientConfigured,
        MutualTlsEnabled,
        MutualTlsDisabled,
        ClientAccepted,
        ClientWithdrawn,
        RootTrusted,
        RootRemoved,
        MasterKeyCreated,
        MasterKeyRotated,
        MasterKeyCompromised,
        MasterKeyWorn,
        MasterKeyExported,
        MasterKeyImported,
        DestructionScheduled,
        DestructionCancelled,
        MasterKeyDestroyed,
        ReencryptionProgress,
        ReencryptionCompleted,
        ReencryptionCancelled,
        NoticeDelivered,
        NoticeFailed,
        JobFailed,
        WebhookTested,
    )
)
"""Every kind of announcement there is."""

BY_KIND = {each.kind: each for each in ANNOUNCEMENTS}
"""The same by kind."""

__all__ = [
    "ANNOUNCEMENTS",
    "BY_KIND",
    "Announcement",
    "ApiClientConfigured",
    "ArtifactDeleted",
    "CertificateDeleted",
    "CertificateEdited",
    "CertificateExpired",
    "CertificateExpiring",
    "CertificateIssued",
    "CertificatePurged",
    "CertificateRenewed",
    "CertificateReplaced",
    "CertificateRequested",
    "CertificateRestored",
    "CertificateSelected",
    "CertificateSwitched",
    "ClientAccepted",
    "ClientWithdrawn",
    "DestructionCancelled",
    "DestructionScheduled",
    "Happened",
    "JobFailed",
    "JobProblem",
    "KeystoreExported",
    "KeystoreImported",
    "MasterKeyCompromised",
    "MasterKeyCreated",
    "MasterKeyDestroyed",
    "MasterKeyExported",
    "MasterKeyImported",
    "MasterKeyRotated",
    "MasterKeyWorn",
    "MutualTlsDisabled",
    "MutualTlsEnabled",
    "NamedVersion",
    "NoticeDelivered",
    "NoticeFailed",
    "NoticeOf",
    "ReencryptionCancelled",
    "ReencryptionCompleted",
    "ReencryptionProgress",
    "ReplacementMoved",
    "ReplacementOverdue",
    "ReplacementRolledBack",
    "ReplacementStarted",
    "RootRemoved",
    "RootTrusted",
    "WebhookTested",
]
