"""Which roots are public, and which may be trusted at all."""

from pathlib import Path

import certifi
import pytest

from tests.unit.certificates.signing.authority import NOW, ROOT, issue, key_usage
from workers.certificates.mutual_tls.public_roots import public_roots
from workers.certificates.mutual_tls.root_checks import check_roots, is_public
from workers.certificates.reading.contents import read_certificates


def test_a_root_of_mozillas_list_is_public_and_ours_is_not() -> None:
    listed = read_certificates(Path(certifi.where()).read_bytes(), source="certifi").certificates
    assert is_public(listed[0], public_roots())
    [ours] = read_certificates(ROOT.der, source="ours").certificates
    assert not is_public(ours, public_roots())


def test_several_roots_are_taken_together_or_not_at_all() -> None:
    other = issue("Other", key_usage(key_cert_sign=True), ca=True)
    assert len(check_roots(ROOT.pem + other.pem, source="roots.pem", now=NOW).roots) == 2
    checked = check_roots(ROOT.pem + issue("leaf").pem, source="roots.pem", now=NOW)
    assert checked.roots == ()
    [fault] = checked.faults
    assert (fault.code, fault.position) == ("not_a_ca", 2)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (ROOT.der, "not_pem"),
        (issue("Signer", key_usage(digital_signature=True), ca=True).pem, "not_a_ca"),
        (issue("Below", issuer=ROOT, ca=True).pem, "not_a_root"),
        (issue("Old", ca=True, not_after=NOW).pem, "expired"),
    ],
)
def test_what_is_no_root_is_refused(data: bytes, code: str) -> None:
    later = NOW.replace(hour=13)
    assert code in {fault.code for fault in check_roots(data, source="x", now=later).faults}
