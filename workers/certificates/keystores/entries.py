"""What a keystore holds, whatever its format, and what is wrong with it. Values only."""

from dataclasses import dataclass, field
from typing import Literal

from workers.certificates.names import label_from

Format = Literal["jks", "jceks", "pkcs12", "pem"]


@dataclass(frozen=True, kw_only=True)
class KeyEntry:
    """A private key with its certificate chain.

    ``private_key`` is PKCS #8 DER, unencrypted; ``chain`` is DER, leaf first.
    ``has_own_password`` says that not the store's password but another one opened it (rule 25).
    """

    alias: str
    private_key: bytes = field(repr=False)
    chain: tuple[bytes, ...]
    has_own_password: bool = False


@dataclass(frozen=True, kw_only=True)
class TrustedEntry:
    """A certificate that stands alone, in DER."""

    alias: str
    certificate: bytes


@dataclass(frozen=True, kw_only=True)
class EntryFault:
    """Something that is wrong with one entry, or with the file as a whole (``alias`` None).

    ``what`` is a whole sentence about the entry and names it; ``how_to_fix`` is a clause.
    ``code`` names the kind, such as ``key-mismatch``.
    """

    alias: str | None
    code: str
    what: str
    how_to_fix: str

    def __str__(self) -> str:
        return f"{self.what.removesuffix('.')}: {self.how_to_fix}."


@dataclass(frozen=True, kw_only=True)
class KeystoreReading:
    """What was read; an entry that cannot be read is a fault and in neither list.

    ``passed_over`` are the aliases of entries of other kinds, such as secret keys.
    """

    format: Format
    keys: tuple[KeyEntry, ...] = ()
    trusted: tuple[TrustedEntry, ...] = ()
    faults: tuple[EntryFault, ...] = ()
    passed_over: tuple[str, ...] = ()


def shown(alias: str) -> str:
    """Return an alias as it stands in a sentence: in quotes, short, nothing that disguises it."""
    return f"“{label_from(alias)}”" if alias.strip() else "an entry without alias"
