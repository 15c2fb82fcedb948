"""What becomes of a chain, as tests ask for it and look at it."""

from tests.unit.certificates.signing.authority import LEAF, NOW, Issued
from workers.certificates.signing.rules import ChainRules
from workers.certificates.signing.verifying import VerifiedChain, verify_chain

RULES = ChainRules()


def verify(
    *certificates: Issued, rules: ChainRules = RULES, public_key: bytes | None = LEAF.public_key
) -> VerifiedChain:
    """Verify a chain whose leaf has to be for a key, by default that of ``LEAF``."""
    return verify_chain(
        [each.der for each in certificates], public_key=public_key, now=NOW, rules=rules
    )


def codes(chain: VerifiedChain) -> list[tuple[str, int | None]]:
    """Return what stands in its way, and where."""
    return [(each.code.value, each.position) for each in chain.faults]


def warned(chain: VerifiedChain) -> list[tuple[str, int | None]]:
    """Return what does not, and where."""
    return [(each.code.value, each.position) for each in chain.warnings]


def ders(chain: VerifiedChain) -> tuple[bytes, ...]:
    """Return the chain as it was put in order."""
    return tuple(each.der for each in chain.path)
