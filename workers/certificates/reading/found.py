"""What reading files comes to: certificates, and every fault, remark and limit on the way. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class FoundCertificate:
    """A certificate read from a file; everything that keywright keeps of it.

    ``position`` counts the file's entries from 1; ``line`` is where it begins, in PEM files.
    Dates are in UTC. ``serial`` is lower-case hexadecimal, two digits a byte; ``fingerprint`` is
    SHA-256; ``subject`` and ``issuer`` are RFC 4514; ``key_size`` is in bits, None where the
    algorithm says it. ``display_name`` is never empty. ``chain`` holds the issuers that came with
    it, nearest first, as DER. ``not_after`` is the end that counts: where one of the chain ends
    first, it is that one's; ``leaf_not_after`` is the certificate's own then, and ``ends_first``
    says whose end it is.
    """

    source: str
    position: int
    line: int | None
    der: bytes
    not_before: datetime
    not_after: datetime
    serial: str
    fingerprint: bytes
    subject: str
    issuer: str
    key_algorithm: str
    key_size: int | None
    common_name: str | None
    display_name: str
    is_self_issued: bool
    chain: tuple[bytes, ...] = ()
    leaf_not_after: datetime | None = None
    ends_first: str | None = None


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that could not be imported: where, what is wrong with it, how to fix it."""

    source: str
    position: int | None = None
    line: int | None = None
    what: str
    how_to_fix: str

    def __str__(self) -> str:
        """Return one sentence for people."""
        place = self.source
        if self.line is not None:
            place += f", line {self.line}"
        if self.position is not None:
            place += f", entry {self.position}"
        return f"{place}: {self.what}; {self.how_to_fix}."


@dataclass(frozen=True)
class Remark:
    """Something worth knowing about a file that is no fault."""

    source: str
    text: str


@dataclass(frozen=True)
class IgnoredFile:
    """A file in a folder that holds no certificate; ``reason`` says what it is instead."""

    source: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class FileReading:
    """What one file holds.

    ``strangers`` are entries that never were certificates, such as a request or a public key: a
    fault where the file was named, no news where it merely lies in a folder.
    """

    certificates: tuple[FoundCertificate, ...] = ()
    faults: tuple[Fault, ...] = ()
    strangers: tuple[Fault, ...] = ()
    holds_private_key: bool = False


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What all files hold; ``limits`` are sentences that say what was left out for its amount."""

    certificates: tuple[FoundCertificate, ...]
    faults: tuple[Fault, ...]
    remarks: tuple[Remark, ...]
    ignored: tuple[IgnoredFile, ...]
    limits: tuple[str, ...]
