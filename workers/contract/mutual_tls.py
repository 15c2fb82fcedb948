"""Jobs on the client certificates that an organization accepts."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from workers.contract.certificates import Label, UniqueName, VersionNumber
from workers.contract.public_text import check_no_private_key
from workers.contract.request import JobRequest, Queue

MAX_UPLOAD = 1024 * 1024  # rule 20


class AcceptedClient(BaseModel):
    """The certificate that is accepted now, and what is to be known about it."""

    unique_name: str
    version_number: int
    fingerprint: str
    not_after: AwareDatetime
    warnings: list[str]


class WithdrawnClient(BaseModel):
    """The versions that are accepted no longer."""

    unique_name: str
    version_numbers: list[int]


class UploadClientCertificate(JobRequest):
    """Accept a client certificate for mutual TLS, from one member or from any (rule 32).

    ``pem`` is the leaf, alone or with its issuers. ``renews`` names the certificate that it is the
    next version of; older versions are accepted until they are withdrawn. A certificate that is
    there already is accepted as it is.
    """

    # Whatever was sent by mistake is not repeated.
    model_config = ConfigDict(hide_input_in_errors=True)

    kind: ClassVar[str] = "mutual_tls.upload"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = AcceptedClient
    problems: ClassVar[tuple[str, ...]] = ("mutual-tls-off", "refused-certificate")
    most_bytes: ClassVar[int] = 3 * MAX_UPLOAD // 2

    pem: Annotated[
        str, Field(min_length=1, max_length=MAX_UPLOAD), AfterValidator(check_no_private_key)
    ]
    member_id: Annotated[int, Field(ge=1)] | None = None
    unique_name: UniqueName | None = None
    label: Label | None = None
    renews: UniqueName | None = None


class WithdrawClientCertificate(JobRequest):
    """Accept a client certificate no longer: all its versions, or one of them."""

    kind: ClassVar[str] = "mutual_tls.withdraw"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = WithdrawnClient
    problems: ClassVar[tuple[str, ...]] = ("mutual-tls-off",)

    unique_name: UniqueName
    version_number: VersionNumber | None = None
