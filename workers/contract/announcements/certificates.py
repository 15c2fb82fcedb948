"""What is announced of certificates."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from workers.contract.announcements.happened import Happened, Moment


class _Certificate(Happened):
    about: ClassVar[str] = "certificate/12"


class _Version(_Certificate):
    unique_name: str
    version_number: int
    version_id: int


class CertificateRequested(_Version):
    """A key pair was made, and its request waits to be signed."""

    of_kind: ClassVar[str] = "certificate.requested"

    kind: str
    key_type: str
    requested_by: str


class CertificateIssued(_Version):
    """A certificate was made, or a certification authority's signed one was taken in."""

    of_kind: ClassVar[str] = "certificate.issued"

    kind: str
    key_type: str | None = None
    not_after: Moment
    chain_ends_first: bool = False
    requested_by: str


class CertificateRenewed(_Version):
    """A certificate that was signed anew, for the key that it had, was taken in."""

    of_kind: ClassVar[str] = "certificate.renewed"

    kind: str
    not_after: Moment
    chain_ends_first: bool
    requested_by: str


class CertificateExpiring(_Version):
    """A certificate ends soon: a tier of the expiry notices was reached."""

    of_kind: ClassVar[str] = "certificate.expiring"

    tier_days: int
    not_after: Moment
    days_left: int


class CertificateExpired(_Version):
    """A certificate has ended."""

    of_kind: ClassVar[str] = "certificate.expired"

    not_after: Moment


class CertificateEdited(_Certificate):
    """The name or label of a certificate was changed."""

    of_kind: ClassVar[str] = "certificate.edited"

    unique_name: str
    former_unique_name: str
    changed: list[str]
    requested_by: str


class CertificateSelected(_Certificate):
    """SAML configurations were switched to another certificate."""

    of_kind: ClassVar[str] = "certificate.selected"

    unique_name: str
    version_number: int | None
    saml_configurations: list[str]
    actor: str


class CertificateDeleted(_Certificate):
    """A certificate was deleted; until ``purge_at`` it can be restored."""

    of_kind: ClassVar[str] = "certificate.deleted"

    unique_name: str
    purge_at: Moment
    by: Literal["request", "policy"]


class CertificateRestored(_Certificate):
    """A deleted certificate is back."""

    of_kind: ClassVar[str] = "certificate.restored"

    unique_name: str
    deleted_at: Moment


class PurgedVersion(BaseModel):
    """A version that is gone; ``told`` is how many members were told, by tier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    serial: str | None
    not_after: Moment | None
    fingerprint: str | None
    had_private_key: bool
    told: dict[str, int]


class CertificatePurged(_Certificate):
    """A deleted certificate and its private keys are gone for good."""

    of_kind: ClassVar[str] = "certificate.purged"

    unique_name: str
    kind: str
    deleted_at: Moment
    versions: list[PurgedVersion]
