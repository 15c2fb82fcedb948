"""What is read of one certificate: the same as others read, and more where they give up."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.unit.certificates.certificate_maker import (
    COMMON_NAME,
    END,
    attribute,
    make_der,
    name,
    oid,
    rsa_key,
    sequence,
    tlv,
)
from workers.certificates.reading.contents import read_certificates
from workers.certificates.reading.der import MalformedError
from workers.certificates.reading.fields import MAX_CERTIFICATE_BYTES, read_certificate
from workers.certificates.reading.found import FoundCertificate

MOZILLA = Path(certifi.where()).read_bytes()


def read(der: bytes) -> FoundCertificate:
    return read_certificate(der, source="file", position=1)


# The store has a root whose serial number is zero.
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_the_mozilla_trust_store_is_read_as_cryptography_reads_it() -> None:
    theirs = x509.load_pem_x509_certificates(MOZILLA)
    ours = read_certificates(MOZILLA, source="certifi").certificates
    assert len(ours) > 100
    assert [each.fingerprint for each in ours] == [
        each.fingerprint(hashes.SHA256()) for each in theirs
    ]
    for our, their in zip(ours, theirs, strict=True):
        assert our.not_before == their.not_valid_before_utc
        assert our.not_after == their.not_valid_after_utc
        assert our.serial == f"{their.serial_number:0{len(our.serial)}x}"
        assert our.subject == their.subject.rfc4514_string()
        assert our.issuer == their.issuer.rfc4514_string()
        assert our.is_self_issued == (their.subject == their.issuer)
        key = their.public_key()
        if our.key_algorithm == "RSA":
            assert our.key_size == getattr(key, "key_size", None)
        else:
            assert our.key_algorithm in ("EC P-256", "EC P-384", "EC P-521")


def openssl(*arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(
        ["openssl", *arguments], input=data, capture_output=True, check=True
    ).stdout


@pytest.mark.parametrize(
    ("algorithm", "named", "size"),
    [
        (["rsa", "-pkeyopt", "rsa_keygen_bits:3072"], "RSA", 3072),
        (["rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"], "RSA", 2048),
        (["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "EC P-256", None),
        (["ec", "-pkeyopt", "ec_paramgen_curve:secp521r1"], "EC P-521", None),
        (["ec", "-pkeyopt", "ec_paramgen_curve:brainpoolP384r1"], "EC brainpoolP384r1", None),
        (["ec", "-pkeyopt", "ec_paramgen_curve:sect233k1"], "EC 1.3.132.0.26", None),
        (
            ["ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"],
            "EC with explicit parameters",
            None,
        ),
        (["ed25519"], "Ed25519", None),
        (["ed448"], "Ed448", None),
    ],
)
def test_what_openssl_makes_is_read_as_openssl_reads_it(
    tmp_path: Path, algorithm: list[str], named: str, size: int | None
) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(openssl("genpkey", "-algorithm", *algorithm))
    der = openssl(
        "req", "-x509", "-key", str(key), "-days", "47", "-outform", "DER", "-utf8",
        "-subj", '/C=DE/O=Schäfer, Söhne/OU=IT \\/ "x"/CN= #1/emailAddress=a@example.org',
        "-set_serial", "0x0abc",
    )  # fmt: skip
    found = read(der)
    shown = openssl(
        "x509", "-inform", "DER", "-noout", "-serial", "-enddate", "-fingerprint", "-sha256",
        "-dateopt", "iso_8601", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8,oid", data=der,
    )  # fmt: skip
    lines = dict(line.split("=", 1) for line in shown.decode().splitlines())
    assert found.serial == lines["serial"].lower() == "0abc"
    assert found.not_after == datetime.fromisoformat(lines["notAfter"])
    assert found.fingerprint.hex(":") == lines["sha256 Fingerprint"].lower()
    assert [found.key_algorithm, found.key_size] == [named, size]
    for kind, keyword in {
        "2.5.4.6": "C",
        "2.5.4.10": "O",
        "2.5.4.11": "OU",
        "2.5.4.3": "CN",
    }.items():
        lines["subject"] = lines["subject"].replace(f"{kind}=", f"{keyword}=")
    assert found.subject == lines["subject"]
    assert found.common_name == " #1"
    assert found.is_self_issued


def test_a_dsa_certificate_tells_its_size(tmp_path: Path) -> None:
    parameters, key = tmp_path / "parameters.pem", tmp_path / "key.pem"
    parameters.write_bytes(
        openssl("genpkey", "-genparam", "-algorithm", "dsa", "-pkeyopt", "dsa_paramgen_bits:1024")
    )
    key.write_bytes(openssl("genpkey", "-paramfile", str(parameters)))
    found = read(openssl("req", "-x509", "-key", str(key), "-subj", "/CN=old", "-outform", "DER"))
    assert (found.key_algorithm, found.key_size) == ("DSA", 1024)


GENERALIZED, UTC_TIME = 0x18, 0x17
ODD_ALGORITHM = sequence(sequence(oid("1.2.3.4")), tlv(0x03, b"\0\1"))


@pytest.mark.parametrize(
    "odd",
    [
        make_der(version=tlv(0xA0, tlv(0x02, b"\3"))),
        make_der(version=b""),
        make_der(version=tlv(0xA0, tlv(0x02, b"\0"))),
        make_der(serial=b"\0\0\1"),
        make_der(rest=tlv(0xA3, b"\x30\x05\1")),
        make_der(rest=tlv(0xA3, sequence(sequence(oid("2.5.29.17"), tlv(4, b"\xff\xff"))))),
        make_der(rest=b"\xff\xff\xff"),
        make_der(signature=b""),
        make_der(signature=b"\x03\x00"),
        make_der(issuer=sequence(attribute(COMMON_NAME, 0x13, b"a@b_*"))),
        make_der(issuer=sequence(attribute(COMMON_NAME, 0x0C, b"\xff\xfe"))),
        make_der(issuer=sequence(attribute(COMMON_NAME, 0x1E, b"\0A\0"))),
        make_der(issuer=sequence(attribute("2.5.4.6", 0x13, b"Germany"))),
        make_der(not_after=tlv(UTC_TIME, b"2701010000Z")),
        make_der(not_after=tlv(UTC_TIME, b"270101013000+0130")),
        make_der(not_after=tlv(GENERALIZED, b"20270101000000.25Z")),
        make_der(not_after=tlv(GENERALIZED, b"2027010100")),
        make_der(key=ODD_ALGORITHM),
        make_der(key=sequence()),
    ],
)
def test_an_odd_certificate_is_read_where_its_oddity_does_not_matter(odd: bytes) -> None:
    found = read(odd)
    assert found.not_after == END
    assert found.serial == "01"
    assert found.subject == "CN=example"


@pytest.mark.parametrize(
    ("serial", "text"),
    [
        (b"\xff", "-01"),
        (b"\0", "00"),
        (b"\x80\0", "-8000"),
        (b"\0\xab\xcd", "abcd"),
        (b"\1" * 40, "01" * 40),
    ],
)
def test_a_serial_number_is_hexadecimal_whatever_its_sign_and_length(
    serial: bytes, text: str
) -> None:
    assert read(make_der(serial=serial)).serial == text


@pytest.mark.parametrize(
    ("not_after", "moment"),
    [
        (tlv(UTC_TIME, b"491231235959Z"), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (tlv(UTC_TIME, b"261231235960Z"), datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (tlv(GENERALIZED, b"20500101000000Z"), datetime(2050, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_date_is_read_in_its_own_century(not_after: bytes, moment: datetime) -> None:
    assert read(make_der(not_after=not_after)).not_after == moment


def test_a_certificate_without_end_can_still_be_shown_in_every_time_zone() -> None:
    found = read(make_der(not_after=tlv(GENERALIZED, b"99991231235959Z")))
    assert found.not_after == datetime(9999, 12, 30, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (make_der(serial=b""), "serial"),
        (make_der(serial=b"\1" * 65), "serial"),
        (make_der(not_after=tlv(UTC_TIME, b"270230000000Z")), "end date is no date"),
        (make_der(not_before=tlv(GENERALIZED, b"00000101000000Z")), "start date is no date"),
        (make_der(not_after=tlv(UTC_TIME, b"tomorrow")), "end date cannot be read"),
        (make_der(not_after=tlv(0x0C, b"270101000000Z")), "end date cannot be read"),
        (make_der(not_after=datetime(2025, 1, 1, tzinfo=UTC)), "ends before it begins"),
        (make_der(not_after=b""), "no dates"),
        (make_der(subject=sequence(tlv(0x0C, b"name"))), "name"),
        (make_der(subject=sequence(tlv(0x31, sequence(oid("2.5.4.3"))))), "name"),
        (make_der(subject=sequence(attribute("2.5.4.3", 0x0C, b"x")[:-1])), "cut off"),
        (make_der(rest=tlv(0x04, bytes(MAX_CERTIFICATE_BYTES))), "larger than 256 KiB"),
        (sequence(), "empty"),
        (sequence(sequence(tlv(0x02, b"\1"))), "lacks"),
        (make_der()[:-100], "cut off: .* of .* bytes"),
        (b"", "cut off"),
    ],
)
def test_a_certificate_without_what_is_needed_is_refused_by_name(
    broken: bytes, reason: str
) -> None:
    with pytest.raises(MalformedError, match=reason):
        read(broken)


def alternative_names(*names: bytes) -> bytes:
    extension = sequence(oid("2.5.29.17"), tlv(0x04, sequence(*names)))
    usage = sequence(oid("2.5.29.15"), tlv(0x01, b"\xff"), tlv(0x04, b"\x03\x02\x05\xa0"))
    return tlv(0xA3, sequence(usage, extension))


@pytest.mark.parametrize(
    ("der", "display_name"),
    [
        (make_der(rest=alternative_names(tlv(0x82, b"a.example"))), "example"),
        (
            make_der(subject=sequence(), rest=alternative_names(tlv(0x82, b"a.example"))),
            "a.example",
        ),
        (
            make_der(subject=sequence(), rest=alternative_names(tlv(0x87, b"\x7f\0\0\1"))),
            "127.0.0.1",
        ),
        (
            make_der(
                subject=sequence(), rest=alternative_names(tlv(0x88, b"*"), tlv(0x81, b"a@b"))
            ),
            "a@b",
        ),
        (
            make_der(
                subject=sequence(attribute("2.5.4.10", 12, b"O"), attribute("2.5.4.11", 12, b"U"))
            ),
            "U",
        ),
        (make_der(subject=sequence(), rest=alternative_names(tlv(0x87, b"\x7f"))), "serial 01"),
        (make_der(subject=sequence(), serial=b"\x0a\xbc"), "serial 0abc"),
        (
            make_der(
                subject=sequence(
                    attribute(COMMON_NAME, 12, b"Users"), attribute(COMMON_NAME, 12, b"Ada")
                )
            ),
            "Ada",
        ),
    ],
)
def test_every_certificate_has_a_name_to_show(der: bytes, display_name: str) -> None:
    assert read(der).display_name == display_name


def test_a_name_cannot_forge_lines_or_turn_text_around() -> None:
    found = read(make_der("a\nb\u202ec\0"))
    assert found.subject == r"CN=a\0ab\e2\80\aec\00"


def test_an_endless_name_is_shortened() -> None:
    found = read(make_der("x" * 5000))
    assert len(found.subject) == 2000
    assert found.subject.endswith("…")


def test_a_certificate_of_another_issuer_is_not_self_issued() -> None:
    assert not read(make_der(issuer=name("authority"))).is_self_issued


def test_a_key_of_unheard_of_kind_is_named_by_its_number() -> None:
    assert read(make_der(key=ODD_ALGORITHM)).key_algorithm == "unknown (1.2.3.4)"
    assert read(make_der(key=rsa_key(1024))).key_size == 1024
