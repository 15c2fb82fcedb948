"""What there is to say of a chain: faults that stand in its way, and warnings. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from workers.certificates.names import label_from
from workers.certificates.reading.found import Fault, FoundCertificate


class Code(StrEnum):
    """What may be found; the value is stable."""

    UNREADABLE = "unreadable"
    MALFORMED = "malformed"
    TOO_MANY = "too_many"
    KEY_MISMATCH = "key_mismatch"
    SELF_SIGNED = "self_signed"
    SECOND_LEAF = "second_leaf"
    DUPLICATE = "duplicate"
    SURPLUS = "surplus"
    OTHER_WAY = "other_way"
    MISSING_ISSUER = "missing_issuer"
    ISSUER_LEFT_OUT = "issuer_left_out"
    UNKNOWN_ROOT = "unknown_root"
    WRONG_SIGNER = "wrong_signer"
    NOT_A_CA = "not_a_ca"
    PATH_LENGTH = "path_length"
    KEY_USAGE = "key_usage"
    NAME_CONSTRAINTS = "name_constraints"
    UNKNOWN_EXTENSION = "unknown_extension"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WEAK_KEY = "weak_key"
    WEAK_SIGNATURE = "weak_signature"
    EXTENDED_KEY_USAGE = "extended_key_usage"
    ANY_USAGE = "any_usage"
    MISSING_NAME = "missing_name"
    LIFETIME = "lifetime"
    LEAF_IS_CA = "leaf_is_ca"
    KEY_IDENTIFIER = "key_identifier"
    ENDS_FIRST = "ends_first"
    ENDS_EARLIER = "ends_earlier"


WARNINGS = frozenset(
    {
        Code.DUPLICATE,
        Code.OTHER_WAY,
        Code.ISSUER_LEFT_OUT,
        Code.ANY_USAGE,
        Code.LIFETIME,
        Code.LEAF_IS_CA,
        Code.KEY_IDENTIFIER,
        Code.ENDS_FIRST,
        Code.ENDS_EARLIER,
    }
)
"""What does not stand in the way of a chain, unless the rules say otherwise."""

ACCEPTABLE = frozenset(
    {Code.SURPLUS, Code.MISSING_ISSUER, Code.EXTENDED_KEY_USAGE, Code.MISSING_NAME}
)
"""What people may put up with: none of these lets a chain through that proves nothing."""


@dataclass(frozen=True, kw_only=True)
class ChainFault(Fault):
    """One finding: which, where in which file, what is wrong and what helps."""

    code: Code


class Findings:
    """What has been found so far: people put up with ``accepted``, and not with ``refused``.

    ``sources`` are the files in the order in which they are told of.
    """

    def __init__(
        self,
        sources: Iterable[str],
        *,
        accepted: Collection[Code] = frozenset(),
        refused: Collection[Code] = frozenset(),
    ) -> None:
        self._sources = list(dict.fromkeys(sources))
        self._harmless = (WARNINGS | set(accepted)) - set(refused)
        self._found: list[ChainFault] = []

    def add(self, code: Code, at: FoundCertificate, what: str, how_to_fix: str) -> None:
        """Add a finding about the certificate ``at``."""
        self._found.append(
            ChainFault(
                code=code,
                source=at.source,
                position=at.position,
                line=at.line,
                what=what,
                how_to_fix=how_to_fix,
            )
        )

    def add_fault(self, fault: Fault) -> None:
        """Add something that could not even be read."""
        self._found.append(
            ChainFault(
                code=Code.UNREADABLE,
                source=fault.source,
                position=fault.position,
                line=fault.line,
                what=fault.what,
                how_to_fix=fault.how_to_fix,
            )
        )

    def faults(self) -> tuple[ChainFault, ...]:
        """Return what stands in the way, in the order of the files."""
        return self._sorted(harmless=False)

    def warnings(self) -> tuple[ChainFault, ...]:
        """Return what does not, in the order of the files."""
        return self._sorted(harmless=True)

    def _sorted(self, *, harmless: bool) -> tuple[ChainFault, ...]:
        chosen = [each for each in self._found if (each.code in self._harmless) == harmless]
        return tuple(
            sorted(chosen, key=lambda each: (self._sources.index(each.source), each.position or 0))
        )


def entry(found: FoundCertificate, *, seen_from: FoundCertificate) -> str:
    """Say which certificate is meant, in a sentence about another."""
    place = f"entry {found.position}"
    if found.source != seen_from.source:
        place += f" of {found.source}"
    return f"{place} “{label_from(found.display_name)}”"


def moment(time: datetime) -> str:
    """Say a time to the minute."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
