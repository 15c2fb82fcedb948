"""Jobs that make certificates. No private key is ever an argument or a result (rule 21)."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from workers.contract.request import JobRequest, Queue

KeyType = Literal["RSA-2048", "RSA-3072", "RSA-4096", "P-256", "P-384", "Ed25519"]
ProfileName = Literal["standard", "signing", "tls_server", "tls_client", "tls_server_and_client"]
LifetimeCaps = Literal["ignore", "warn", "refuse"]


def _check_one_line(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("one line of printable characters, without blanks at its ends")
    return text


def _check_address(text: str) -> str:
    name, at, host = text.rpartition("@")
    if not (text.isascii() and name and at and host) or " " in text:
        raise ValueError("an address such as pki@example.org, in ASCII")
    return text


def _check_country(text: str) -> str:
    if not (text.isascii() and text.isalpha()):
        raise ValueError("two letters, such as DE")
    return text.upper()


def _check_bytes(text: str) -> str:
    if len(text.encode()) > _MOST_BYTES:
        raise ValueError(f"at most {_MOST_BYTES} bytes in UTF-8, as many programs count them")
    return text


_MOST_BYTES = 64
_OneLine = AfterValidator(_check_one_line)
UniqueName = Annotated[
    str, Field(pattern=r"^[A-Za-z](_?[A-Za-z0-9])*$", min_length=1, max_length=64)
]
Label = Annotated[str, Field(min_length=1, max_length=64)]
VersionNumber = Annotated[int, Field(ge=1, lt=2**31)]
ValidityDays = Annotated[int, Field(ge=1, le=3650)]
_Upto64 = Annotated[str, StringConstraints(min_length=1, max_length=64), _OneLine]
_Upto128 = Annotated[str, StringConstraints(min_length=1, max_length=128), _OneLine]
_EmailAddress = Annotated[
    str,
    StringConstraints(min_length=3, max_length=255),
    _OneLine,
    AfterValidator(_check_address),
]
_Country = Annotated[
    str, StringConstraints(min_length=2, max_length=2), AfterValidator(_check_country)
]
_Names = Annotated[
    tuple[Annotated[str, StringConstraints(min_length=1, max_length=2048)], ...],
    Field(max_length=100),
]


class Subject(BaseModel):
    """Whom a certificate is for (rule 12), within the bounds of X.520 (RFC 5280 appendix A.1)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    common_name: Annotated[_Upto64, AfterValidator(_check_bytes)] | None = None
    email_address: _EmailAddress | None = None
    organization: _Upto64 | None = None
    organizational_unit: _Upto64 | None = None
    locality: _Upto128 | None = None
    state: _Upto128 | None = None
    country: _Country | None = None


class AlternativeNames(BaseModel):
    """What else a certificate is for (RFC 5280 §4.2.1.6): hosts, addresses, people, things."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dns: _Names = ()
    ip: _Names = ()
    email: _Names = ()
    uri: _Names = ()


class IssuedCertificate(BaseModel):
    """A version with a key pair of its own; ``made`` False: somebody else was faster.

    ``not_after`` is None while a CA has not signed it: it is ``unusable`` until then (rule 13).
    """

    certificate_id: int
    version_id: int
    unique_name: str
    version_number: int
    status: str
    not_after: datetime | None
    made: bool = True
    warnings: tuple[str, ...] = ()


class GenerateCertificate(JobRequest):
    """Make a key pair, and a self-signed certificate or the request that a CA is to sign.

    Without ``unique_name``, the label gives it. The profile ``standard`` is the model's: RSA, one
    year (two with 4096 bits), no alternative names; the others take any key type, names and, where
    it signs itself, ``validity_days``. ``lifetime_caps`` says what to do about a TLS server's
    certificate that lasts longer than the CA/Browser Forum allows; without it, the setting does.
    """

    kind: ClassVar[str] = "certificate.generate"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = IssuedCertificate
    problems: ClassVar[tuple[str, ...]] = ("lifetime-cap",)
    time_limit_seconds: ClassVar[float] = 300

    label: Label
    unique_name: UniqueName | None = None
    ca_signed: bool = False
    profile: ProfileName = "standard"
    key_type: KeyType | None = None
    subject: Subject | None = None
    alternative_names: AlternativeNames = AlternativeNames()
    validity_days: ValidityDays | None = None
    lifetime_caps: LifetimeCaps | None = None
    private_key_exportable: bool = True


class RekeyCertificate(JobRequest):
    """Make a new key pair for a certificate, everything else as before.

    A self-signed one is signed at once, for a CA there is a new request to sign. Where
    ``expected_version`` is not the newest any more, somebody else was faster, and nothing is done.
    """

    kind: ClassVar[str] = "certificate.rekey"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = IssuedCertificate
    problems: ClassVar[tuple[str, ...]] = ("not-repeatable",)
    time_limit_seconds: ClassVar[float] = 300

    unique_name: UniqueName
    expected_version: VersionNumber | None = None


class CopyCertificate(JobRequest):
    """Make another certificate with the parameters of one that is there, and a new key pair.

    Without ``private_key_exportable``, its key may leave if that of the source may.
    """

    kind: ClassVar[str] = "certificate.copy"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = IssuedCertificate
    problems: ClassVar[tuple[str, ...]] = ("not-repeatable", "lifetime-cap")
    time_limit_seconds: ClassVar[float] = 300

    source: UniqueName
    label: Label
    unique_name: UniqueName | None = None
    private_key_exportable: bool | None = None
