"""The job that takes in what a certification authority has signed."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from workers.contract.certificates import LifetimeCaps, UniqueName
from workers.contract.public_text import check_no_private_key
from workers.contract.request import JobRequest, Queue

MAX_UPLOAD = 1024 * 1024  # rule 20


class UploadedChain(BaseModel):
    """What became of an upload; ``outcome`` is ``signed``, ``renewed`` or ``there_already``.

    ``not_after`` is the earliest end in the chain; where that is not its own, ``leaf_not_after`` is
    and ``ends_first`` names the one whose it is. ``still_used_in`` are places with older versions.
    """

    certificate_id: int
    version_id: int
    unique_name: str
    version_number: int
    outcome: Literal["signed", "renewed", "there_already"]
    not_before: datetime
    not_after: datetime
    leaf_not_after: datetime | None
    ends_first: str | None
    chain: tuple[str, ...]
    still_used_in: tuple[str, ...]
    warnings: tuple[str, ...]


class UploadCertificate(JobRequest):
    """Give a certificate the chain that an authority signed for it, or renew it with another.

    ``chain`` is text: PEM blocks of certificates or of PKCS #7, in any order, or the base64 of DER.
    ``accept`` names faults to put up with: ``extended_key_usage``, ``missing_issuer``,
    ``missing_name``, ``surplus``. ``lifetime_caps`` says what to do about a TLS server's
    certificate that lasts longer than the CA/Browser Forum allows; without it, the setting does.
    """

    # Whatever was sent by mistake is not repeated.
    model_config = ConfigDict(hide_input_in_errors=True)

    kind: ClassVar[str] = "certificate.upload"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = UploadedChain
    problems: ClassVar[tuple[str, ...]] = ("chain-refused",)
    most_bytes: ClassVar[int] = 3 * MAX_UPLOAD // 2

    unique_name: UniqueName
    chain: Annotated[
        str, Field(min_length=1, max_length=MAX_UPLOAD), AfterValidator(check_no_private_key)
    ]
    accept: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=16)] = ()
    lifetime_caps: LifetimeCaps | None = None
