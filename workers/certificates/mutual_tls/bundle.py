"""What a listener needs to accept an organization's clients, and nobody else. Pure.

A client leaves the bundle when it is withdrawn, when it or one of its chain ends, when its root is
trusted no longer, and when mutual authentication is switched off.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from workers.certificates.mutual_tls.decision import (
    Accepted,
    KnownClient,
    KnownClients,
    PresentedCertificate,
    decide_at_mutual_door,
)
from workers.certificates.reading.fields import subject_and_issuer


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """An uploaded client certificate with its issuers, as DER."""

    known: KnownClient
    issuer: str
    serial: str
    certificate: bytes
    chain: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class BundleClient:
    """A certificate that is accepted."""

    unique_name: str
    version_number: int
    member_id: int | None
    issuer: str
    serial: str
    not_after: datetime
    certificate: bytes

    @property
    def sha256(self) -> str:
        """The fingerprint, in lower-case hexadecimal."""
        return hashlib.sha256(self.certificate).hexdigest()

    @property
    def sha1(self) -> str:
        """The fingerprint that nginx knows; TLS has verified the whole certificate by then."""
        return hashlib.sha1(self.certificate, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The accepted clients, and the authorities (DER) that verify them: roots first."""

    organization_id: int
    clients: tuple[BundleClient, ...]
    authorities: tuple[bytes, ...]


def make_bundle(
    uploaded: Sequence[Uploaded],
    *,
    organization_id: int,
    is_enabled: bool,
    roots: Sequence[bytes],
    now: datetime,
) -> Bundle:
    """Return the bundle of an organization at this moment; the same state makes the same bundle."""
    accepted = [each for each in uploaded if is_enabled and _is_accepted(each, now)]
    between = {
        der for each in accepted for der in each.chain if len(set(subject_and_issuer(der))) > 1
    }
    return Bundle(
        organization_id=organization_id,
        clients=tuple(
            BundleClient(
                unique_name=each.known.unique_name,
                version_number=each.known.version_number,
                member_id=each.known.member_id,
                issuer=each.issuer,
                serial=each.serial,
                not_after=each.known.not_after,
                certificate=each.certificate,
            )
            for each in accepted
        ),
        authorities=(*_in_order(roots), *_in_order(between - set(roots))),
    )


def _in_order(ders: Iterable[bytes]) -> list[bytes]:
    return sorted(set(ders), key=lambda der: hashlib.sha256(der).digest())


def _is_accepted(each: Uploaded, now: datetime) -> bool:
    """Ask the very rule that calls are decided by."""
    presented = PresentedCertificate.of_der(each.certificate)
    known = KnownClients(is_enabled=True, by_fingerprint={presented.fingerprint: each.known})
    return isinstance(
        decide_at_mutual_door(presented=presented, known=known, now=now, member_id=None), Accepted
    )
