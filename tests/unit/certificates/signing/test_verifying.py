"""Chains in any order, whole and broken: rules 14, 15 and 20 of the model."""

from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.certificates.signing.authority import (
    CHAIN,
    DAY,
    ISSUING,
    LEAF,
    MIDDLE,
    NOW,
    ROOT,
    Issued,
    issue,
    issuer_at,
    key,
    key_hash,
    public_bytes,
)
from tests.unit.certificates.signing.verdicts import RULES, codes, ders, verify, warned
from workers.certificates.reading.fields import read_certificate
from workers.certificates.signing.findings import Code
from workers.certificates.signing.rules import ChainRules
from workers.certificates.signing.verifying import verify_chain


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_rule_15_any_order_is_put_in_order(order: Sequence[int]) -> None:
    chain = verify(*(CHAIN[place] for place in order))
    assert (chain.faults, chain.warnings) == ((), ())
    assert ders(chain) == tuple(each.der for each in CHAIN)
    assert chain.found is not None
    assert (chain.found.der, *chain.found.chain) == ders(chain)
    assert chain.key_hash == key_hash(LEAF.key)


@given(
    st.permutations([*CHAIN, *CHAIN]),
    st.sampled_from(CHAIN),
)
def test_what_is_there_twice_is_left_out_with_a_warning(
    shuffled: list[Issued], also: Issued
) -> None:
    chain = verify(*shuffled, also)
    assert codes(chain) == []
    assert {code for code, _ in warned(chain)} == {"duplicate"}
    assert ders(chain) == tuple(each.der for each in CHAIN)


@pytest.mark.parametrize("length", [2, 3])
def test_rule_15_the_root_is_optional(length: int) -> None:
    certificates = (*CHAIN[:length],)
    chain = verify(*certificates[::-1])
    assert codes(chain) == warned(chain) == []
    assert len(ders(chain)) == length


def test_a_leaf_alone_may_be_right_below_a_root() -> None:
    leaf = issue("leaf.example.org", issuer=ROOT)
    chain = verify(leaf)
    assert (codes(chain), warned(chain)) == ([], [("issuer_left_out", 1)])
    known = read_certificate(ROOT.der, source="roots", position=1)
    assert warned(verify(leaf, rules=ChainRules(known_roots=(known,)))) == []


def test_a_leaf_alone_that_says_where_its_issuer_is_lacks_it() -> None:
    leaf = issue("leaf.example.org", issuer_at("http://ca.example/issuing.crt"), issuer=ISSUING)
    chain = verify(leaf)
    assert codes(chain) == [("missing_issuer", 1)]
    assert "“CN=Issuing” is missing" in str(chain.faults[0])
    assert "http://ca.example/issuing.crt" in str(chain.faults[0])
    accepted = verify(leaf, rules=ChainRules(accepted=frozenset({Code.MISSING_ISSUER})))
    assert (codes(accepted), warned(accepted)) == ([], [("missing_issuer", 1)])


@pytest.mark.parametrize(
    ("certificates", "expected"),
    [
        ((LEAF, MIDDLE, ROOT), [("missing_issuer", 1), ("surplus", 2), ("surplus", 3)]),
        ((ROOT, LEAF, MIDDLE), [("surplus", 1), ("missing_issuer", 2), ("surplus", 3)]),
        ((LEAF, ISSUING, ROOT), [("missing_issuer", 2), ("surplus", 3)]),
    ],
)
def test_rule_15_a_gap_is_refused(
    certificates: tuple[Issued, ...], expected: list[tuple[str, int]]
) -> None:
    chain = verify(*certificates)
    assert codes(chain) == expected
    assert chain.found is None


def test_rule_14_the_leaf_has_to_be_for_the_stored_key() -> None:
    chain = verify(*CHAIN, public_key=public_bytes(key("another")))
    assert codes(chain) == [("key_mismatch", 1)]
    assert chain.key_hash is None
    assert ders(chain) == tuple(each.der for each in CHAIN)


def test_rule_14_an_authority_of_the_chain_does_not_pass_for_the_leaf() -> None:
    other = issue("other.example.org", issuer=ISSUING)
    chain = verify(ROOT, other, ISSUING, MIDDLE, public_key=public_bytes(key("another")))
    assert codes(chain) == [("key_mismatch", 2)]


def test_without_a_stored_key_the_likeliest_leaf_is_taken() -> None:
    chain = verify(ROOT, ISSUING, LEAF, MIDDLE, public_key=None)
    assert chain.found is not None
    assert chain.found.der == LEAF.der


def test_of_two_leaves_for_one_key_the_newer_is_taken_and_said() -> None:
    newer = issue("leaf.example.org", issuer=ISSUING, not_before=NOW - DAY)
    chain = verify(LEAF, newer, ISSUING)
    assert codes(chain) == [("second_leaf", 1)]
    assert ders(chain)[0] == newer.der


def test_what_does_not_belong_there_is_surplus() -> None:
    strange_leaf = issue("mail.example.org", issuer=ISSUING)
    strange_root = issue("Strange Root", ca=True)
    chain = verify(strange_leaf, *CHAIN, strange_root)
    assert codes(chain) == [("surplus", 1), ("surplus", 6)]
    accepted = verify(
        LEAF, ISSUING, strange_leaf, rules=ChainRules(accepted=frozenset({Code.SURPLUS}))
    )
    assert (codes(accepted), warned(accepted)) == ([], [("surplus", 3)])


def test_of_cross_signed_authorities_one_way_is_taken() -> None:
    old_root = issue("Old Root", ca=True, not_after=NOW - DAY)
    cross = issue("Root", issuer=old_root, own_key=ROOT.key, ca=True, not_after=NOW + 9000 * DAY)
    chain = verify(old_root, cross, *CHAIN)
    assert codes(chain) == []
    assert warned(chain) == [("other_way", 1), ("other_way", 2)]
    assert ders(chain) == tuple(each.der for each in CHAIN)


def test_an_expired_twin_of_an_authority_is_not_taken() -> None:
    expired = issue("Issuing", issuer=MIDDLE, ca=True, not_after=NOW - DAY)
    chain = verify(LEAF, expired, ISSUING, MIDDLE)
    assert (codes(chain), warned(chain)) == ([], [("other_way", 2)])


def test_a_key_that_took_the_place_of_another_is_an_authority_too() -> None:
    rolled = issue("Root", issuer=ROOT, own_key=key("new root key"), ca=True)
    leaf = issue("leaf.example.org", issuer=rolled)
    chain = verify(ROOT, rolled, leaf)
    assert codes(chain) == []
    assert ders(chain) == (leaf.der, rolled.der, ROOT.der)


def test_authorities_that_certify_each_other_come_to_an_end() -> None:
    one = issue("One", issuer=issue("Two", ca=True), ca=True)
    two = issue("Two", issuer=one, ca=True)
    leaf = issue("leaf.example.org", issuer=one)
    chain = verify(two, one, leaf)
    assert ders(chain) == (leaf.der, one.der, two.der)
    assert codes(chain) == []


def test_rule_20_more_than_ten_certificates_are_no_chain() -> None:
    others = [issue(f"Root {number}", own_key=ROOT.key, ca=True) for number in range(10)]
    chain = verify(LEAF, *others)
    assert codes(chain) == [("too_many", 11)]
    assert "11 certificates" in str(chain.faults[0])
    assert codes(verify(LEAF, ISSUING, *others[:8])) == [("missing_issuer", 2)] + [
        ("surplus", position) for position in range(3, 11)
    ]


def test_a_chain_of_ten_is_one() -> None:
    issuer = ROOT
    issuers = [ROOT]
    for number in range(8):
        issuer = issue(f"Level {number}", issuer=issuer, ca=True)
        issuers.append(issuer)
    leaf = issue("leaf.example.org", issuer=issuer)
    chain = verify(*issuers, leaf)
    assert codes(chain) == []
    assert len(ders(chain)) == 10


def test_nothing_at_all_is_no_chain() -> None:
    assert verify().found is None


def test_what_cannot_be_read_is_told_with_the_rest() -> None:
    chain = verify_chain(
        [LEAF.der, b"\x30\x00", ISSUING.der[:-1]],
        public_key=public_bytes(key("another")),
        now=NOW,
        rules=RULES,
    )
    assert codes(chain) == [("key_mismatch", 1), ("unreadable", 2), ("unreadable", 3)]


def test_the_earliest_end_of_the_chain_counts_and_is_said() -> None:
    brief = issue("Issuing", issuer=MIDDLE, ca=True, not_after=NOW + 30 * DAY)
    chain = verify(LEAF, brief, MIDDLE)
    assert (codes(chain), warned(chain)) == ([], [("ends_first", 2)])
    assert "ends on 2026-07-01 12:00 UTC, before the leaf (2026-08-30 12:00 UTC)" in str(
        chain.warnings[0]
    )
    assert chain.found is not None
    assert chain.found.not_after == NOW + 30 * DAY
    assert chain.found.leaf_not_after == NOW + 90 * DAY
    assert chain.found.ends_first == "CN=Issuing"


def test_everything_is_told_at_once_in_the_order_of_the_file() -> None:
    expired = issue("Issuing", issuer=MIDDLE, path_length=0, not_after=NOW - DAY)
    forged = issue("leaf.example.org", issuer=expired, signer=key("forger"), not_before=NOW + DAY)
    strange = issue("Strange Root", ca=True)
    chain = verify(strange, expired, forged, MIDDLE, public_key=public_bytes(key("another")))
    assert codes(chain) == [
        ("surplus", 1),
        ("expired", 2),
        ("wrong_signer", 2),
        ("not_a_ca", 2),
        ("key_mismatch", 3),
        ("not_yet_valid", 3),
        ("missing_issuer", 4),
    ]
    for fault in chain.faults:
        assert fault.how_to_fix
        assert str(fault).startswith(f"the chain, entry {fault.position}: ")


def test_the_roots_that_are_trusted_can_be_told() -> None:
    def rules(*roots: Issued) -> ChainRules:
        known = tuple(
            read_certificate(each.der, source="roots", position=place)
            for place, each in enumerate(roots, start=1)
        )
        return ChainRules(known_roots=known, known_root_required=True)

    strange = issue("Strange Root", ca=True)
    assert codes(verify(*CHAIN, rules=rules(strange, ROOT))) == []
    assert codes(verify(LEAF, ISSUING, MIDDLE, rules=rules(strange, ROOT))) == []
    assert codes(verify(*CHAIN, rules=rules(strange))) == [("unknown_root", 4)]
    assert codes(verify(LEAF, ISSUING, rules=rules(ROOT))) == [("unknown_root", 2)]
    twin = issue("Root", own_key=strange.key, ca=True)
    assert codes(verify(LEAF, ISSUING, MIDDLE, rules=rules(twin))) == [("unknown_root", 3)]
