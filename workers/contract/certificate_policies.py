"""Jobs at the end of a certificate's life: its deletion and return, and what policies ask for."""

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, Field

from workers.contract.certificates import UniqueName
from workers.contract.request import JobRequest, Queue


class DeletedCertificate(BaseModel):
    """What was deleted."""

    certificate_id: int


class RestoredCertificate(BaseModel):
    """What was brought back, and the name it has now."""

    certificate_id: int
    unique_name: str
    not_after: AwareDatetime | None


class CleanedUp(BaseModel):
    """How many certificates were deleted by policy, and how many are gone for good."""

    deleted: int
    purged: int


class Reviewed(BaseModel):
    """How many jobs a review asked for that nobody had asked for yet.

    ``overdue`` counts the places whose next step was late, and that it announced.
    """

    rekeys: int
    replacements: int
    overdue: int


class DeleteCertificate(JobRequest):
    """Delete a certificate that nothing uses; during the days of grace it can be restored."""

    kind: ClassVar[str] = "certificate.delete"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = DeletedCertificate
    problems: ClassVar[tuple[str, ...]] = ("certificate-in-use", "replacement-under-way")

    unique_name: UniqueName


class RestoreCertificate(JobRequest):
    """Bring a deleted certificate back as it was, under its name or a new one.

    Of several of that name, the one deleted last is meant, unless ``certificate_id`` says which.
    """

    kind: ClassVar[str] = "certificate.restore"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = RestoredCertificate

    unique_name: UniqueName
    new_name: UniqueName | None = None
    certificate_id: Annotated[int, Field(ge=1, lt=2**63)] | None = None


class ReviewCertificates(JobRequest):
    """Ask for what policies say is due: new key pairs, and replacements for places in use.

    Places that are late in a replacement are announced.
    """

    kind: ClassVar[str] = "certificate.review"
    queue: ClassVar[Queue] = Queue.MAINTENANCE
    result: ClassVar[type[BaseModel] | None] = Reviewed
    time_limit_seconds: ClassVar[float] = 600


class CleanUpCertificates(JobRequest):
    """Delete what policies say has been expired for long enough; purge what was deleted long ago.

    What a place uses, and what is being replaced, stays.
    """

    kind: ClassVar[str] = "certificate.clean_up"
    queue: ClassVar[Queue] = Queue.MAINTENANCE
    result: ClassVar[type[BaseModel] | None] = CleanedUp
    time_limit_seconds: ClassVar[float] = 3600
