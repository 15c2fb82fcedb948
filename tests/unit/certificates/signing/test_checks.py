"""What every certificate of a chain, and every issuer in it, has to be."""

from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from tests.unit.certificates.certificate_maker import make_der
from tests.unit.certificates.signing.authority import (
    CLIENT,
    DAY,
    ISSUING,
    LEAF,
    MIDDLE,
    NOW,
    ROOT,
    SERVER,
    Issued,
    extended,
    issue,
    key,
    key_usage,
    public_bytes,
)
from tests.unit.certificates.signing.verdicts import RULES, codes, verify, warned
from workers.certificates.signing.rules import ChainRules
from workers.certificates.signing.verifying import verify_chain

STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
FOR_SERVERS = ChainRules(usages=frozenset({SERVER}))


@dataclass(frozen=True)
class Case:
    """A chain below the middle authority, and what is wrong with it."""

    certificates: tuple[Issued, ...]
    faults: list[tuple[str, int]]
    says: str = ""
    rules: ChainRules = RULES


def leaf_of(issuer: Issued, **given: object) -> Issued:
    return issue("leaf.example.org", issuer=issuer, **given)  # type: ignore[arg-type]


def below(*extensions: x509.ExtensionType, **given: object) -> tuple[Issued, ...]:
    """Make a leaf below an issuing authority that is as given."""
    issuing = issue("Issuing", *extensions, issuer=MIDDLE, **given)  # type: ignore[arg-type]
    return (leaf_of(issuing), issuing, MIDDLE)


SUB = issue("Sub", issuer=ISSUING, ca=True)
NEXT = issue("Issuing", issuer=ISSUING, own_key=key("its next"), ca=True)
IMPOSTOR = issue("Issuing", issuer=MIDDLE, own_key=key("impostor"), ca=True)
CASES = {
    "an expired leaf": Case(
        (leaf_of(ISSUING, not_after=NOW - DAY), ISSUING),
        [("expired", 1)],
        "it ended on 2026-05-31 12:00 UTC; have a new one issued",
    ),
    "a leaf of tomorrow": Case(
        (leaf_of(ISSUING, not_before=NOW + DAY), ISSUING),
        [("not_yet_valid", 1)],
        "not valid before 2026-06-02 12:00 UTC",
    ),
    "an expired authority": Case(below(ca=True, not_after=NOW - DAY), [("expired", 2)]),
    "an authority of tomorrow": Case(below(ca=True, not_before=NOW + DAY), [("not_yet_valid", 2)]),
    "an impostor with the authority's name": Case(
        (LEAF, IMPOSTOR, MIDDLE),
        [("wrong_signer", 2)],
        "the name that entry 1 “leaf.example.org” gives as its issuer, but its key did not sign",
    ),
    "a leaf as an authority": Case(below(), [("not_a_ca", 2)], "basic constraints"),
    "an authority whose key may not sign": Case(
        below(key_usage(digital_signature=True), ca=True), [("key_usage", 2)], "keyCertSign"
    ),
    "an authority whose key may": Case(below(key_usage(key_cert_sign=True), ca=True), []),
    "an authority too many": Case(
        (issue("leaf.example.org", issuer=SUB), SUB, ISSUING, MIDDLE, ROOT),
        [("path_length", 3), ("path_length", 4)],
        "it allows 0 authorities below it, and there are 1",
    ),
    "an authority that has issued its own next certificate": Case(
        (issue("leaf.example.org", issuer=NEXT), NEXT, ISSUING, MIDDLE, ROOT), []
    ),
    "an authority for another purpose": Case(
        below(extended(CLIENT), ca=True),
        [("extended_key_usage", 2)],
        "may not issue certificates for TLS servers, only for TLS clients",
        ChainRules(usages=frozenset({SERVER})),
    ),
    "an authority for both purposes": Case(
        below(extended(CLIENT, SERVER), ca=True), [], rules=FOR_SERVERS
    ),
    "a critical extension that nobody knows": Case(
        below(STRANGE, ca=True, critical=[x509.UnrecognizedExtension]),
        [("unknown_extension", 2)],
        "1.2.3.4",
    ),
    "one that may be passed over": Case(below(STRANGE, ca=True), []),
    "a precertificate": Case(
        (
            issue(
                "leaf.example.org",
                x509.PrecertPoison(),
                issuer=ISSUING,
                critical=[x509.PrecertPoison],
            ),
            ISSUING,
        ),
        [("unknown_extension", 1)],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_fault_is_told_with_its_place_and_what_helps(case: Case) -> None:
    chain = verify(*case.certificates, rules=case.rules)
    assert codes(chain) == case.faults
    assert (chain.found is None) == bool(case.faults)
    assert case.says in " ".join(map(str, chain.faults))
    for fault in chain.faults:
        assert fault.how_to_fix


def test_another_key_identifier_is_a_warning() -> None:
    identifier = x509.AuthorityKeyIdentifier(b"\1" * 20, None, None)
    issuing = issue(
        "Issuing",
        x509.SubjectKeyIdentifier(b"\2" * 20),
        issuer=MIDDLE,
        ca=True,
    )
    leaf = issue("leaf.example.org", identifier, issuer=issuing)
    chain = verify(leaf, issuing)
    assert (codes(chain), warned(chain)) == ([], [("key_identifier", 2)])


@pytest.mark.parametrize(
    ("private_key", "says"),
    [
        (rsa.generate_private_key(65537, 1024), "RSA with 1024 bits"),
        (dsa.generate_private_key(1024), "DSA"),
        (ec.generate_private_key(ec.SECP192R1()), "EC P-192"),
    ],
    ids=lambda value: "" if not isinstance(value, str) else value,
)
def test_a_weak_key_is_refused(private_key: object, says: str) -> None:
    public_key = private_key.public_key()  # type: ignore[attr-defined]
    weak = issue("leaf.example.org", issuer=ISSUING, subject_key=public_key)
    chain = verify(weak, ISSUING, public_key=None)
    assert codes(chain) == [("weak_key", 1)]
    assert says in str(chain.faults[0])


@pytest.mark.parametrize(
    "private_key",
    [
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
    ],
    ids=["Ed25519", "RSA", "P-384"],
)
def test_authorities_of_every_kind_of_key_work(
    private_key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
) -> None:
    root = issue("Private Root", own_key=private_key, ca=True)
    leaf = issue("leaf.example.org", issuer=root, own_key=private_key)
    chain = verify(leaf, root, public_key=public_bytes(private_key))
    assert codes(chain) == []
    forged = issue("leaf.example.org", issuer=root, own_key=private_key, signer=key("forger"))
    assert codes(verify(forged, root, public_key=None)) == [("wrong_signer", 2)]


def test_a_kind_of_key_that_is_rare_works_too() -> None:
    public_key = ed448.Ed448PrivateKey.generate().public_key()
    leaf = issue("leaf.example.org", issuer=ISSUING, subject_key=public_key)
    assert codes(verify(leaf, ISSUING, public_key=None)) == []


def test_a_root_that_did_not_sign_itself_is_refused() -> None:
    broken = issue("Root", own_key=ROOT.key, signer=key("forger"), ca=True)
    leaf = issue("leaf.example.org", issuer=broken)
    assert codes(verify(leaf, broken)) == [("wrong_signer", 2)]


def test_what_is_not_well_formed_is_refused_and_the_rest_still_checked() -> None:
    odd = make_der("Odd", version=bytes.fromhex("a003020107"), not_after=NOW - DAY)
    chain = verify_chain([odd, LEAF.der, ISSUING.der], public_key=None, now=NOW, rules=RULES)
    assert codes(chain) == [("surplus", 1)]
    chain = verify_chain([odd], public_key=LEAF.public_key, now=NOW, rules=RULES)
    assert {code for code, _ in codes(chain)} >= {"malformed", "key_mismatch", "expired"}
