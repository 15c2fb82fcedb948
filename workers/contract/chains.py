"""The job that takes in what a certification authority has signed."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field

from workers.contract.certificates import LifetimeCaps, UniqueName
from workers.contract.request import JobRequest, Queue

MAX_UPLOAD = 1024 * 1024  # rule 20


def _check_no_private_key(text: str) -> str:
    if "PRIVATE KEY-----" in text:
        raise ValueError("there is a private key in it; send the certificates alone")
    return text


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

    unique_name: UniqueName
    chain: Annotated[
        str, Field(min_length=1, max_length=MAX_UPLOAD), AfterValidator(_check_no_private_key)
    ]
    accept: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=16)] = ()
    lifetime_caps: LifetimeCaps | None = None
