"""What client certificates are refused for, all at once (rule 32), and warned of (rule 37)."""

from datetime import UTC, datetime

import pytest

from tests.unit.certificates.signing.authority import (
    CLIENT,
    DAY,
    NOW,
    SERVER,
    Issued,
    extended,
    issue,
    key_usage,
)
from workers.certificates.mutual_tls.client_checks import (
    CheckedClient,
    TrustedRoot,
    check_client,
)
from workers.certificates.reading.contents import read_certificates

ROOT = issue("Root", ca=True, not_after=NOW + 400 * DAY)
ISSUING = issue("Issuing", issuer=ROOT, ca=True, not_after=NOW + 200 * DAY)
OTHER_ROOT = issue("Other Root", ca=True)
GOOD = issue("good", extended(CLIENT), issuer=ISSUING, not_after=NOW + 90 * DAY)


def trusted(issued: Issued, *, is_public: bool = False) -> TrustedRoot:
    [found] = read_certificates(issued.der, source="root").certificates
    return TrustedRoot(found=found, is_public=is_public)


def check(
    *issued: Issued, data: bytes = b"", now: datetime = NOW, is_public: bool = False
) -> CheckedClient:
    return check_client(
        data or b"".join(each.pem for each in issued),
        source="client.pem",
        roots=[trusted(OTHER_ROOT), trusted(ROOT, is_public=is_public)],
        now=now,
    )


def faults(*issued: Issued, data: bytes = b"", now: datetime = NOW) -> set[str]:
    checked = check(*issued, data=data, now=now)
    assert checked.found is None
    return {fault.code for fault in checked.faults}


@pytest.mark.parametrize(
    "chain", [(GOOD, ISSUING), (ISSUING, GOOD), (GOOD, ISSUING, ROOT), (ROOT, ISSUING, GOOD)]
)
def test_rule_32_a_leaf_with_its_chain_is_accepted_in_any_order(chain: tuple[Issued, ...]) -> None:
    checked = check(*chain)
    assert checked.faults == ()
    assert checked.warnings == ()
    assert checked.found is not None
    assert checked.found.der == GOOD.der
    assert checked.found.chain == (ISSUING.der, ROOT.der)
    assert checked.root_fingerprint == trusted(ROOT).found.fingerprint


def test_rule_32_a_leaf_alone_is_accepted_if_a_trusted_root_issued_it() -> None:
    checked = check(issue("direct", extended(CLIENT), issuer=ROOT))
    assert checked.found is not None
    assert checked.found.chain == (ROOT.der,)


def test_rule_32_pem_only() -> None:
    assert faults(data=GOOD.der) == {"not_pem"}
    assert faults(data=b"") == {"not_pem"}
    assert faults(data=b"no certificate") == {"not_pem"}
    assert faults(data=b"x" * (1024 * 1024 + 1)) == {"too_large"}


def test_a_private_key_in_the_file_is_refused_and_not_repeated() -> None:
    secret = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ\n-----END PRIVATE KEY-----\n"
    checked = check(data=GOOD.pem + ISSUING.pem + secret)
    assert [fault.code for fault in checked.faults] == ["private_key"]
    assert "MC4CAQ" not in str(checked.faults)


def test_rule_32_a_self_signed_certificate_is_refused() -> None:
    assert faults(issue("alone", extended(CLIENT))) == {"self_signed"}


@pytest.mark.parametrize(
    "extensions",
    [(), (extended(SERVER),), (extended("2.5.29.37.0"),)],
    ids=["no usage", "servers only", "anything"],
)
def test_rule_32_a_leaf_that_is_not_for_clients_is_refused(extensions: tuple[object, ...]) -> None:
    leaf = issue("leaf", *extensions, issuer=ISSUING)  # type: ignore[arg-type]
    assert faults(leaf, ISSUING) == {"extended_key_usage"}


def test_rule_32_an_authority_that_may_not_certify_clients_is_refused() -> None:
    servers = issue("Servers", extended(SERVER), issuer=ROOT, ca=True)
    assert faults(issue("leaf", extended(CLIENT), issuer=servers), servers) == {
        "extended_key_usage"
    }


def test_rule_32_a_chain_that_ends_at_no_trusted_root_is_refused() -> None:
    assert faults(GOOD) == {"unknown_root"}
    strange = issue("Strange", ca=True)
    assert faults(issue("leaf", extended(CLIENT), issuer=strange), strange) == {"unknown_root"}
    [fault] = check(GOOD).faults
    assert "“CN=Issuing” is not here" in str(fault)


def test_a_root_of_the_same_name_with_another_key_is_no_trusted_root() -> None:
    forged_root = issue("Root", ca=True, own_key=OTHER_ROOT.key)
    forged = issue("leaf", extended(CLIENT), issuer=forged_root)
    assert faults(forged, forged_root) == {"unknown_root"}
    assert "unknown_root" in faults(forged)


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (NOW + 91 * DAY, "expired"),  # the leaf
        (NOW + 401 * DAY, "expired"),  # even the root, which was not uploaded
        (NOW - 11 * DAY, "not_yet_valid"),
    ],
)
def test_the_dates_of_the_whole_chain_count(now: datetime, code: str) -> None:
    assert code in faults(GOOD, ISSUING, now=now)


def test_a_root_that_ends_first_ends_the_whole_chain() -> None:
    leaf = issue("late", extended(CLIENT), issuer=ISSUING, not_after=NOW + 300 * DAY)
    checked = check(leaf, ISSUING)
    assert checked.found is not None
    assert checked.found.not_after == NOW + 200 * DAY
    assert checked.found.leaf_not_after == NOW + 300 * DAY
    assert [warning.code for warning in checked.warnings] == ["ends_first"]
    late = check(leaf, ISSUING, now=NOW + 401 * DAY).faults
    assert [fault.code for fault in late if fault.source == "root"] == ["expired"]


def test_all_faults_are_found_at_once_each_with_what_helps() -> None:
    bad = issue(
        "bad",
        extended(SERVER),
        key_usage(crl_sign=True),
        issuer=OTHER_ROOT,
        signer=ROOT.key,
        not_after=NOW - DAY,
    )
    checked = check(bad)
    assert {fault.code for fault in checked.faults} >= {
        *("extended_key_usage", "key_usage", "expired", "unknown_root")
    }
    assert all(fault.how_to_fix for fault in checked.faults)


BOTH = issue("both", extended(CLIENT, SERVER), issuer=ISSUING)


def test_rule_37_a_public_root_and_a_double_use_are_warned_of() -> None:
    assert check(BOTH, ISSUING).warnings == ()
    before = check(BOTH, ISSUING, is_public=True)
    assert before.found is not None
    assert [warning.code for warning in before.warnings] == ["public_authority", "dual_use"]
    assert "will issue no certificates for TLS clients after 2026-06-15" in str(before.warnings[0])
    after = check(BOTH, ISSUING, is_public=True, now=datetime(2026, 6, 15, tzinfo=UTC))
    assert "issues no certificates" in str(after.warnings[0])
    [only] = check(GOOD, ISSUING, is_public=True).warnings
    assert only.code == "public_authority"
