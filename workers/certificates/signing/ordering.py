"""Which certificate is the leaf, and which of the others lead from it to a root. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from workers.certificates.signing.candidates import Candidate
from workers.certificates.signing.signatures import is_root, was_signed_by


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """The certificates of a file, sorted out.

    ``path`` is the leaf and its issuers, nearest first. ``duplicates`` pairs each that is there
    twice with the first. ``other_ways`` could stand in the chain as well, as cross-signed ones do;
    ``second_leaves`` are other certificates of the same key; ``surplus`` has nothing to do with it.
    """

    path: tuple[Candidate, ...]
    leaf_matches: bool
    duplicates: tuple[tuple[Candidate, Candidate], ...]
    second_leaves: tuple[Candidate, ...]
    other_ways: tuple[Candidate, ...]
    surplus: tuple[Candidate, ...]


def put_in_order(
    candidates: Sequence[Candidate], *, key_hashes: Collection[bytes] | None, now: datetime
) -> Ordered:
    """Sort out the certificates of a file, at least one, in whatever order they stand there.

    ``key_hashes`` are SHA-256 over the SubjectPublicKeyInfo of the keys that the leaf may have;
    None: any. Where no certificate has one of them, the likeliest leaf stands in.
    """
    firsts: dict[bytes, Candidate] = {}
    duplicates = []
    for each in candidates:
        first = firsts.setdefault(each.found.der, each)
        if first is not each:
            duplicates.append((each, first))
    distinct = list(firsts.values())
    matching = [each for each in distinct if key_hashes and each.key_hashes & set(key_hashes)]
    leaf = _likeliest_leaf(matching or distinct, distinct)
    path = _path_from(leaf, distinct, now)
    rest = [each for each in distinct if each not in path]
    second_leaves = [each for each in rest if each in matching]
    related = _issuers_of(path, [each for each in rest if each not in second_leaves])
    return Ordered(
        path=tuple(path),
        leaf_matches=bool(matching) or key_hashes is None,
        duplicates=tuple(duplicates),
        second_leaves=tuple(second_leaves),
        other_ways=tuple(related),
        surplus=tuple(each for each in rest if each not in second_leaves and each not in related),
    )


def _likeliest_leaf(leaves: Sequence[Candidate], everything: Sequence[Candidate]) -> Candidate:
    """Return the one that issued none of the others and is no authority, the newest of these."""

    def likeliness(each: Candidate) -> tuple[bool, bool, datetime]:
        issued_some = any(other.names_as_issuer(each) for other in everything if other is not each)
        return not issued_some, not each.is_ca, each.found.not_before

    return max(leaves, key=likeliness)


def _path_from(leaf: Candidate, everything: Sequence[Candidate], now: datetime) -> list[Candidate]:
    path = [leaf]
    while not is_root(path[-1]):
        issued = path[-1]
        issuers = [each for each in everything if each not in path and issued.names_as_issuer(each)]
        if issued.is_self_issued:
            # A key that took the place of another, certified by that one, or a broken root.
            issuers = [each for each in issuers if was_signed_by(issued, each)]
        if not issuers:
            break
        path.append(max(issuers, key=lambda each: _fitness(each, issued, now)))
    return path


def _fitness(
    issuer: Candidate, issued: Candidate, now: datetime
) -> tuple[bool, bool, bool, bool, datetime]:
    found = issuer.found
    return (
        was_signed_by(issued, issuer) is not False,
        found.not_before <= now <= found.not_after,
        issuer.is_ca or issuer.is_self_issued,
        issuer.is_self_issued,
        found.not_after,
    )


def _issuers_of(path: Sequence[Candidate], rest: Sequence[Candidate]) -> list[Candidate]:
    """Return those of ``rest`` that signed one of the path, or one of those, and so on."""
    related: list[Candidate] = []
    issued = list(path)
    while issued:
        one = issued.pop()
        signers = [
            each
            for each in rest
            if each not in related and one.names_as_issuer(each) and was_signed_by(one, each)
        ]
        related += signers
        issued += signers
    return related
