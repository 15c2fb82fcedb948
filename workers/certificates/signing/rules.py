"""What a chain has to be for a purpose, and what people decided about. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from workers.certificates.reading.chains import MAX_CHAIN
from workers.certificates.reading.found import FoundCertificate
from workers.certificates.signing.findings import ACCEPTABLE, Code
from workers.contract.certificates import LifetimeCaps
from workers.errors import InvalidRequestError

SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
ANY_USAGE = "2.5.29.37.0"
USAGE_NAMES = {
    SERVER_AUTH: "TLS servers",
    CLIENT_AUTH: "TLS clients",
    "1.3.6.1.5.5.7.3.3": "code signing",
    "1.3.6.1.5.5.7.3.4": "e-mail",
    "1.3.6.1.5.5.7.3.8": "time stamps",
    "1.3.6.1.5.5.7.3.9": "OCSP",
    ANY_USAGE: "anything",
}


@dataclass(frozen=True)
class Name:
    """A name that was asked for, as text; of a ``common`` name it is not known what it means."""

    kind: Literal["common", "dns", "ip", "email", "uri"]
    text: str


@dataclass(frozen=True, kw_only=True)
class ChainRules:
    """What a chain is measured by.

    ``usages`` are extended key usages (dotted) that the leaf has to allow; ``usages_stated``: one
    that states none allows none. ``names`` have to be in it. ``present_end`` is that of the leaf
    whose place it takes. With ``known_roots`` a chain may end
    below one of them; ``known_root_required`` makes it end there, or at one. ``accepted`` are
    faults that are to be warnings.
    """

    usages: frozenset[str] = frozenset()
    usages_stated: bool = False
    names: tuple[Name, ...] = ()
    present_end: datetime | None = None
    known_roots: tuple[FoundCertificate, ...] = ()
    known_root_required: bool = False
    self_signed_allowed: bool = False
    most_certificates: int = MAX_CHAIN
    lifetime_caps: LifetimeCaps = "warn"
    accepted: frozenset[Code] = frozenset()


def acceptable(codes: Collection[str]) -> frozenset[Code]:
    """Return the faults that somebody wants to put up with.

    Raises:
        InvalidRequestError: one is unknown, or nothing to put up with.
    """
    for each in codes:
        if each not in ACCEPTABLE:
            raise InvalidRequestError(
                f"accept: “{each}” is none of {', '.join(sorted(ACCEPTABLE))}."
            )
    return frozenset(Code(each) for each in codes)


def usage_names(usages: Collection[str]) -> str:
    """Say extended key usages in words."""
    return ", ".join(sorted(USAGE_NAMES.get(each, each) for each in usages))
