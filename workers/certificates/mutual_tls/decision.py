"""Who must present which certificate at which door: rules 34 and 35 of the model. Pure.

It is to be asked on every call, not at login alone, since a certificate may be withdrawn, and a
permission given, between two calls of one session.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import TypeAlias


class Door(IntEnum):
    """Where a call came in; the value is the model's port, whatever the port really is."""

    PLAIN = 443
    """A listener that asks for no client certificate."""
    MUTUAL = 8443
    """A listener that demands one; TLS has proven that the caller has its private key."""


class Refusal(StrEnum):
    """Why a call is refused; the value is stable."""

    MUTUAL_AUTHENTICATION_FAILED = "MUTUAL_AUTHENTICATION_FAILED"
    NO_CLIENT_CERTIFICATE = "NO_CLIENT_CERTIFICATE"
    MUTUAL_TLS_IS_OFF = "MUTUAL_TLS_IS_OFF"
    UNKNOWN_CERTIFICATE = "UNKNOWN_CERTIFICATE"
    WITHDRAWN_CERTIFICATE = "WITHDRAWN_CERTIFICATE"
    UNTRUSTED_ROOT = "UNTRUSTED_ROOT"
    NOT_YET_VALID = "NOT_YET_VALID"
    EXPIRED = "EXPIRED"
    OTHER_MEMBERS_CERTIFICATE = "OTHER_MEMBERS_CERTIFICATE"
    INACTIVE_MEMBER = "INACTIVE_MEMBER"


_AT_THE_DOOR = "Client certificate error: "
TEXTS: Mapping[Refusal, str] = MappingProxyType(
    {
        Refusal.MUTUAL_AUTHENTICATION_FAILED: (
            "MUTUAL_AUTHENTICATION_FAILED: This session could not be mutually authenticated for use"
            " with the API"
        ),
        Refusal.NO_CLIENT_CERTIFICATE: f"{_AT_THE_DOOR}No client certificate provided.",
        Refusal.MUTUAL_TLS_IS_OFF: (
            f"{_AT_THE_DOOR}Mutual authentication is off for this organization."
        ),
        Refusal.UNKNOWN_CERTIFICATE: (
            f"{_AT_THE_DOOR}This certificate was not uploaded in this organization."
        ),
        Refusal.WITHDRAWN_CERTIFICATE: f"{_AT_THE_DOOR}This certificate was withdrawn.",
        Refusal.UNTRUSTED_ROOT: (
            f"{_AT_THE_DOOR}The root of this certificate is not trusted any more."
        ),
        Refusal.NOT_YET_VALID: f"{_AT_THE_DOOR}This certificate is not valid yet.",
        Refusal.EXPIRED: f"{_AT_THE_DOOR}This certificate, or one of its chain, has expired.",
        Refusal.OTHER_MEMBERS_CERTIFICATE: (
            f"{_AT_THE_DOOR}This certificate belongs to another member."
        ),
        Refusal.INACTIVE_MEMBER: "This member is not active.",
    }
)
"""The sentence that the caller is told, whole."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The member whose session or login a call carries."""

    member_id: int
    enforces_mutual_tls: bool
    """Whether they have the permission ``enforce_mutual_tls``."""
    is_active: bool = True


@dataclass(frozen=True)
class PresentedCertificate:
    """The leaf that the caller presented, by SHA-256 over its DER; the chain does not matter."""

    fingerprint: bytes

    @classmethod
    def of_der(cls, der: bytes) -> "PresentedCertificate":
        """Return what TLS hands over, such as ``getpeercert(binary_form=True)``."""
        return cls(sha256(der).digest())


@dataclass(frozen=True, kw_only=True)
class KnownClient:
    """A client certificate that was uploaded; ``member_id`` None: any member may present it.

    ``not_after`` is the earliest end in its chain.
    """

    unique_name: str
    version_number: int
    not_before: datetime
    not_after: datetime
    member_id: int | None = None
    is_withdrawn: bool = False
    root_is_trusted: bool = True


@dataclass(frozen=True, kw_only=True)
class KnownClients:
    """What the organization has uploaded, by fingerprint; ``is_enabled``: rule 31."""

    is_enabled: bool
    by_fingerprint: Mapping[bytes, KnownClient] = field(default_factory=dict)


@dataclass(frozen=True)
class Accepted:
    """The call may go on; ``client`` is the certificate that it came with, if it needed one."""

    client: KnownClient | None = None


@dataclass(frozen=True)
class Refused:
    """The call is refused."""

    reason: Refusal

    @property
    def text(self) -> str:
        """What the caller is told."""
        return TEXTS[self.reason]


Decision: TypeAlias = Accepted | Refused


def decide(
    caller: Caller,
    *,
    door: Door,
    presented: PresentedCertificate | None,
    known: KnownClients,
    now: datetime,
) -> Decision:
    """Say whether a call of ``caller`` may go on."""
    if not caller.is_active:
        return Refused(Refusal.INACTIVE_MEMBER)
    if door is Door.PLAIN:
        if caller.enforces_mutual_tls:
            return Refused(Refusal.MUTUAL_AUTHENTICATION_FAILED)
        return Accepted()
    return decide_at_mutual_door(
        presented=presented, known=known, now=now, member_id=caller.member_id
    )


def decide_at_mutual_door(
    *,
    presented: PresentedCertificate | None,
    known: KnownClients,
    now: datetime,
    member_id: int | None,
) -> Decision:
    """Say whether a certificate opens the mutual door; ``member_id`` None: nobody has said yet."""
    if presented is None:
        return Refused(Refusal.NO_CLIENT_CERTIFICATE)
    if not known.is_enabled:
        return Refused(Refusal.MUTUAL_TLS_IS_OFF)
    client = known.by_fingerprint.get(presented.fingerprint)
    if client is None:
        return Refused(Refusal.UNKNOWN_CERTIFICATE)
    refusal = _why_not(client, member_id=member_id, now=now)
    return Accepted(client) if refusal is None else Refused(refusal)


def _why_not(client: KnownClient, *, member_id: int | None, now: datetime) -> Refusal | None:
    if client.is_withdrawn:
        return Refusal.WITHDRAWN_CERTIFICATE
    if not client.root_is_trusted:
        return Refusal.UNTRUSTED_ROOT
    if now < client.not_before:
        return Refusal.NOT_YET_VALID
    if now > client.not_after:  # valid until the very end of it (RFC 5280 §4.1.2.5)
        return Refusal.EXPIRED
    if member_id is not None and client.member_id not in (None, member_id):
        return Refusal.OTHER_MEMBERS_CERTIFICATE
    return None
