"""A leaf and its issuers, put together (rule 15 of the model)."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.unit.certificates.certificate_maker import BEGINNING, END, make_der, name, pem, tlv
from workers.certificates.reading.chains import MAX_CHAIN
from workers.certificates.reading.paths import read_paths

Issued = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def issue(common_name: str, issuer: Issued | None = None, *, lives: int = 1) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number() | 1 << 158)
        .not_valid_before(BEGINNING)
        .not_valid_after(END + timedelta(days=lives))
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return certificate, key


def der(issued: Issued) -> bytes:
    return issued[0].public_bytes(Encoding.DER)


ROOT = issue("root")
MIDDLE = issue("middle", ROOT)
LEAF = issue("leaf", MIDDLE)
FALSE_MIDDLE = issue("middle", ROOT)


def write(path: Path, *certificates: bytes) -> Path:
    path.write_bytes(b"".join(pem(each) for each in certificates))
    return path


@pytest.mark.parametrize(
    "certificates",
    [[LEAF], [LEAF, MIDDLE], [LEAF, MIDDLE, ROOT], [ROOT]],
    ids=["leaf", "without root", "with root", "root"],
)
def test_a_leaf_takes_its_issuers_along(tmp_path: Path, certificates: list[Issued]) -> None:
    encoded = [der(each) for each in certificates]
    reading = read_paths([write(tmp_path / "chain.pem", *encoded)], chain=True)
    assert not reading.faults
    [found] = reading.certificates
    assert found.der == encoded[0]
    assert list(found.chain) == encoded[1:]


def test_the_earliest_end_of_a_chain_counts_and_is_said(tmp_path: Path) -> None:
    root = issue("root", lives=-9)
    middle = issue("middle", root, lives=-20)
    path = write(tmp_path / "chain.pem", *map(der, (issue("leaf", middle), middle, root)))
    [found] = read_paths([path], chain=True).certificates
    assert found.not_after == END - timedelta(days=20)
    assert found.leaf_not_after == END + timedelta(days=1)
    assert found.ends_first == "CN=middle"
    [found] = read_paths([write(path, der(LEAF), der(MIDDLE))], chain=True).certificates
    assert (found.not_after, found.leaf_not_after) == (END + timedelta(days=1), None)
    assert found.ends_first is None


def test_without_chain_every_certificate_stands_for_itself(tmp_path: Path) -> None:
    reading = read_paths([write(tmp_path / "chain.pem", der(LEAF), der(MIDDLE))])
    assert [(each.common_name, each.chain) for each in reading.certificates] == [
        ("leaf", ()),
        ("middle", ()),
    ]


@pytest.mark.parametrize(
    ("certificates", "position", "what"),
    [
        ([MIDDLE, LEAF], 2, "not the issuer of entry 1, which says it is from “CN=root”"),
        ([LEAF, ROOT], 2, "not the issuer of entry 1"),
        ([LEAF, MIDDLE, MIDDLE], 3, "not the issuer of entry 2"),
        ([LEAF, FALSE_MIDDLE, ROOT], 2, "its key did not sign it"),
    ],
    ids=["wrong order", "gap", "doubled", "wrong key"],
)
def test_a_chain_that_does_not_hold_is_a_fault_that_says_where(
    tmp_path: Path, certificates: list[Issued], position: int, what: str
) -> None:
    path = write(tmp_path / "chain.pem", *(der(each) for each in certificates))
    reading = read_paths([path], chain=True)
    assert not reading.certificates
    [fault] = reading.faults
    assert fault.position == position
    assert what in fault.what


def test_a_signature_that_cannot_be_checked_is_a_fault(tmp_path: Path) -> None:
    leaf = make_der("leaf", issuer=name("issuer"), version=tlv(0xA0, tlv(0x02, b"\3")))
    path = write(tmp_path / "chain.pem", leaf, make_der("issuer"))
    [fault] = read_paths([path], chain=True).faults
    assert "cannot be checked" in fault.what


def test_a_broken_certificate_spoils_its_chain_and_no_other(tmp_path: Path) -> None:
    write(tmp_path / "a.pem", der(LEAF), der(MIDDLE)[:-5])
    write(tmp_path / "b.pem", der(MIDDLE), der(ROOT))
    reading = read_paths([tmp_path], chain=True)
    assert [each.common_name for each in reading.certificates] == ["middle"]
    assert [Path(fault.source).name for fault in reading.faults] == ["a.pem"]


def test_a_chain_of_more_than_ten_is_refused(tmp_path: Path) -> None:
    issued = [issue("0")]
    for number in range(MAX_CHAIN):
        issued.append(issue(str(number + 1), issued[-1]))
    encoded = [der(each) for each in reversed(issued)]
    [fault] = read_paths([write(tmp_path / "chain.pem", *encoded)], chain=True).faults
    assert fault.position == MAX_CHAIN + 1
    assert read_paths([write(tmp_path / "chain.pem", *encoded[1:])], chain=True).certificates


def test_a_negative_serial_number_does_not_break_a_chain(tmp_path: Path) -> None:
    root = x509.load_der_x509_certificate(der(ROOT))
    encoded = der(ROOT)
    serial = root.serial_number.to_bytes(20, "big")
    odd = encoded.replace(serial, b"\x80" + serial[1:], 1)
    path = write(tmp_path / "chain.pem", der(MIDDLE), odd)
    [found] = read_paths([path], chain=True).certificates
    assert found.chain == (odd,)
    assert odd != encoded
