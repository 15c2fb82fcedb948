"""What openssl refuses we refuse, and what it takes we take; and faults add up."""

import subprocess
from pathlib import Path
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP192R1, generate_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.certificates.signing.authority import (
    CLIENT,
    DAY,
    ISSUING,
    MIDDLE,
    NOW,
    ROOT,
    SERVER,
    Issued,
    dns,
    extended,
    issue,
    key,
    key_usage,
    public_bytes,
)
from tests.unit.certificates.signing.verdicts import codes, verify
from workers.certificates.signing.rules import ChainRules, Name

FOR_SERVERS = ChainRules(usages=frozenset({SERVER}))
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
HOST = "leaf.example.org"
WEAK_KEY = generate_private_key(SECP192R1())


def issuing(*extensions: x509.ExtensionType, ca: bool = True, **given: object) -> Issued:
    return issue("Issuing", *extensions, issuer=MIDDLE, ca=ca, **given)  # type: ignore[arg-type]


def leaf(issuer: Issued, *extensions: x509.ExtensionType, **given: object) -> Issued:
    return issue(HOST, *extensions, issuer=issuer, **given)  # type: ignore[arg-type]


FORBIDDING = issuing(x509.NameConstraints([x509.DNSName("example.com")], None))
BELOW = issue("Below", issuer=ISSUING, ca=True)
EXPIRED, LEAF_AS_CA = issuing(not_after=NOW - DAY), issuing(ca=False)
NO_SIGNER, FOR_CLIENTS = issuing(key_usage(crl_sign=True)), issuing(extended(CLIENT))
CHAINS = {
    "right": (leaf(ISSUING, extended(SERVER), dns(HOST)), ISSUING, MIDDLE),
    "no usage": (leaf(ISSUING), ISSUING, MIDDLE),
    "expired leaf": (leaf(ISSUING, not_after=NOW - DAY), ISSUING, MIDDLE),
    "leaf of tomorrow": (leaf(ISSUING, not_before=NOW + DAY), ISSUING, MIDDLE),
    "forged leaf": (leaf(ISSUING, signer=key("forger")), ISSUING, MIDDLE),
    "leaf for clients": (leaf(ISSUING, extended(CLIENT)), ISSUING, MIDDLE),
    "expired issuer": (leaf(EXPIRED), EXPIRED, MIDDLE),
    "leaf as issuer": (leaf(LEAF_AS_CA), LEAF_AS_CA, MIDDLE),
    "issuer that may not sign": (leaf(NO_SIGNER), NO_SIGNER, MIDDLE),
    "issuer for clients": (leaf(FOR_CLIENTS), FOR_CLIENTS, MIDDLE),
    "issuer too many": (leaf(BELOW), BELOW, ISSUING, MIDDLE),
    "forbidden name": (leaf(FORBIDDING, dns(HOST)), FORBIDDING, MIDDLE),
    "allowed name": (leaf(FORBIDDING, dns("www.example.com")), FORBIDDING, MIDDLE),
    "strange extension": (
        leaf(ISSUING, STRANGE, critical=[x509.UnrecognizedExtension]),
        ISSUING,
        MIDDLE,
    ),
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_openssl_comes_to_the_same_verdict(chain: tuple[Issued, ...], tmp_path: Path) -> None:
    for name, certificates in (("leaf", chain[:1]), ("others", chain[1:]), ("root", (ROOT,))):
        (tmp_path / name).write_bytes(b"".join(each.pem for each in certificates))
    done = subprocess.run(
        [
            *("openssl", "verify", "-attime", str(int(NOW.timestamp())), "-purpose", "sslserver"),
            *("-CAfile", "root", "-untrusted", "others", "leaf"),
        ],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    faults = codes(verify(*chain, ROOT, rules=FOR_SERVERS))
    assert (done.returncode == 0) == (faults == []), (done.stderr, faults)


TROUBLES = (
    *("expired", "wrong_signer", "extended_key_usage", "missing_name", "key_mismatch"),
    *("surplus", "not_a_ca", "path_length", "weak_key"),
)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(TROUBLES)), st.randoms(use_true_random=False))
def test_whatever_is_wrong_together_is_told_together(troubles: set[str], random: Random) -> None:
    middle = issue(
        "Middle", issuer=ROOT, ca=True, path_length=0 if "path_length" in troubles else 1
    )
    authority = issue("Issuing", issuer=middle, ca="not_a_ca" not in troubles)
    usage = CLIENT if "extended_key_usage" in troubles else SERVER
    weak = WEAK_KEY.public_key() if "weak_key" in troubles else None
    bottom = issue(
        HOST,
        extended(usage),
        dns("other.example.org" if "missing_name" in troubles else "www.example.org"),
        issuer=authority,
        subject_key=weak,
        signer=key("forger") if "wrong_signer" in troubles else None,
        not_after=NOW - DAY if "expired" in troubles else NOW + DAY,
    )
    bag = [bottom, authority, middle, ROOT]
    if "surplus" in troubles:
        bag.append(issue("Strange Root", ca=True))
    random.shuffle(bag)
    wanted = public_bytes(key("another")) if "key_mismatch" in troubles else None
    rules = ChainRules(usages=frozenset({SERVER}), names=(Name("dns", "www.example.org"),))
    chain = verify(*bag, rules=rules, public_key=wanted)
    assert {code for code, _ in codes(chain)} == troubles
    assert (chain.found is None) == bool(troubles)
