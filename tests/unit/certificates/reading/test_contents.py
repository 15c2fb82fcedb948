"""Whatever is in a file: every certificate comes out, and every fault is told with its place."""

import subprocess
from pathlib import Path

import certifi
import pytest

from tests.unit.certificates.certificate_maker import make_der, oid, pem, sequence, tlv
from workers.certificates.reading.contents import read_certificates
from workers.certificates.reading.found import FileReading

MOZILLA = Path(certifi.where()).read_bytes()
ONE, TWO, THREE = make_der("one"), make_der("two"), make_der("three")


def read(data: bytes) -> FileReading:
    return read_certificates(data, source="file")


def names(reading: FileReading) -> list[str | None]:
    return [each.common_name for each in reading.certificates]


def openssl(*arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(
        ["openssl", *arguments], input=data, capture_output=True, check=True
    ).stdout


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key in PEM."""
    path = tmp_path_factory.mktemp("key") / "key.pem"
    path.write_bytes(openssl("genpkey", "-algorithm", "ed25519"))
    return path


@pytest.fixture(scope="module")
def made(key: Path) -> bytes:
    """A certificate in PEM that openssl made."""
    return openssl("req", "-x509", "-key", str(key), "-subj", "/CN=made")


def bundle_of(certificates: bytes, form: str, tmp_path: Path) -> bytes:
    path = tmp_path / "certificates.pem"
    path.write_bytes(certificates)
    return openssl("crl2pkcs7", "-nocrl", "-certfile", str(path), "-outform", form)


def test_the_mozilla_trust_store_is_read_without_a_fault() -> None:
    reading = read(MOZILLA)
    assert len(reading.certificates) == MOZILLA.count(b"-----BEGIN CERTIFICATE-----")
    assert not reading.faults
    assert not reading.strangers
    assert [each.position for each in reading.certificates[:2]] == [1, 2]
    lines = MOZILLA.decode().splitlines()
    assert all(
        each.line and lines[each.line - 1] == "-----BEGIN CERTIFICATE-----"
        for each in reading.certificates
    )


@pytest.mark.parametrize(
    "data",
    [
        pem(ONE),
        pem(ONE).replace(b"\n", b"\r\n"),
        pem(ONE).replace(b"\n", b"\r"),
        pem(ONE).replace(b"\n", b" "),
        b"\xef\xbb\xbf" + pem(ONE),
        pem(ONE).decode().encode("utf-16"),
        b"Bag Attributes\n  friendlyName: \xe4\xff\n" + pem(ONE) + b"and more text",
        b"   " + pem(ONE).replace(b"\n", b"\n   "),
        pem(ONE, "X509 CERTIFICATE"),
        ONE,
        ONE + b"\r\n",
        b"\n".join(pem(ONE).splitlines()[1:-1]),
    ],
    ids=[
        "pem", "crlf", "cr", "one line", "byte order mark", "utf-16", "text around", "indented",
        "old label", "der", "der with line end", "bare base64",
    ],
)  # fmt: skip
def test_a_certificate_is_found_in_whatever_form(data: bytes) -> None:
    reading = read(data)
    assert [each.der for each in reading.certificates] == [ONE]
    assert not reading.faults
    assert not reading.strangers


def test_all_certificates_of_a_der_file_are_read() -> None:
    assert names(read(ONE + TWO + THREE)) == ["one", "two", "three"]


@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_a_pkcs7_bundle_is_read_in_its_order(form: str, tmp_path: Path) -> None:
    reading = read(bundle_of(MOZILLA, form, tmp_path))
    assert sorted(each.der for each in reading.certificates) == sorted(
        each.der for each in read(MOZILLA).certificates
    )
    assert [each.position for each in reading.certificates[:3]] == [1, 2, 3]


def without_stated_lengths(content: bytes) -> bytes:
    return b"\x30\x80" + content + b"\0\0"


def test_a_bundle_without_stated_lengths_is_read() -> None:
    signed_data = without_stated_lengths(
        tlv(0x02, b"\1") + tlv(0x31) + sequence(oid("1.2.840.113549.1.7.1"))
        + b"\xa0\x80" + ONE + TWO + b"\0\0" + tlv(0x31)
    )  # fmt: skip
    content = b"\xa0\x80" + signed_data + b"\0\0"
    reading = read(without_stated_lengths(oid("1.2.840.113549.1.7.2") + content))
    assert names(reading) == ["one", "two"]
    assert not reading.faults


def test_one_bad_certificate_in_a_bundle_leaves_the_others() -> None:
    signed_data = sequence(
        tlv(0x02, b"\1"), tlv(0x31), sequence(oid("1.2.840.113549.1.7.1")),
        tlv(0xA0, ONE, make_der(serial=b""), tlv(0xA1, b"attribute certificate"), TWO), tlv(0x31),
    )  # fmt: skip
    reading = read(sequence(oid("1.2.840.113549.1.7.2"), tlv(0xA0, signed_data)))
    assert names(reading) == ["one", "two"]
    [fault] = reading.faults
    assert fault.position == 2
    assert "serial number" in fault.what


def test_a_bundle_without_certificates_is_a_fault() -> None:
    signed_data = sequence(tlv(0x02, b"\1"), tlv(0x31), sequence(oid("1.2.840.113549.1.7.1")))
    data = sequence(oid("1.2.840.113549.1.7.2"), tlv(0xA0, signed_data))
    [fault] = read(pem(data, "PKCS7")).faults
    assert "holds no certificates" in fault.what


def test_what_trust_is_put_in_a_trusted_certificate_is_left_unread(made: bytes) -> None:
    trusted = openssl("x509", "-trustout", "-addtrust", "serverAuth", "-setalias", "me", data=made)
    assert b"TRUSTED" in trusted
    [found] = read(trusted).certificates
    assert found.der == read(made).certificates[0].der


def test_a_private_key_is_remarked_on_and_nothing_of_it_kept(key: Path, made: bytes) -> None:
    reading = read(key.read_bytes() + made)
    assert reading.holds_private_key
    assert names(reading) == ["made"]
    secret = key.read_text().splitlines()[1]
    assert secret not in repr(reading)
    assert not reading.faults


def test_key_parameters_beside_a_certificate_are_no_news(made: bytes) -> None:
    parameters = openssl(
        "genpkey", "-genparam", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"
    )
    reading = read(parameters + made)
    assert names(reading) == ["made"]
    assert not reading.strangers


@pytest.fixture(scope="module")
def strangers(key: Path, made: bytes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is found beside certificates, in DER where there is one, by what it is."""
    certificate = tmp_path_factory.mktemp("made") / "made.pem"
    certificate.write_bytes(made)
    rsa = openssl("genrsa", "2048")
    ec = openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout")
    crl = openssl(
        "ca", "-gencrl", "-config", "/dev/stdin", "-crldays", "1", "-keyfile", str(key),
        "-cert", str(certificate), "-name", "x",
        data=b"[x]\ndatabase=/dev/null\ndefault_md=sha256\n",
    )  # fmt: skip
    return {
        "certificate request": openssl(
            "req", "-new", "-key", str(key), "-subj", "/CN=x", "-outform", "DER"
        ),
        "revocation list": openssl("crl", "-outform", "DER", data=crl),
        "public key": openssl("pkey", "-pubout", "-outform", "DER", data=rsa),
        "a public key": openssl("rsa", "-RSAPublicKey_out", "-outform", "DER", data=rsa),
        "private key": openssl("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", data=rsa),
        "a private key": openssl("rsa", "-traditional", "-outform", "DER", data=rsa),
        "is a private key": openssl("ec", "-outform", "DER", data=ec),
        "this is a private key": openssl(
            "pkcs8", "-topk8", "-passout", "pass:x", "-outform", "DER", data=rsa
        ),
        "PKCS #12 keystore": openssl(
            "pkcs12", "-export", "-inkey", str(key), "-passout", "pass:x", "-in", str(certificate)
        ),
        "Java keystore": bytes.fromhex("feedfeed00000002"),
        "something other": sequence(sequence(sequence())) * 50,
        "is something other": b"just text",
        "this is something other": b"",
    }


@pytest.mark.parametrize(
    "what",
    [
        "certificate request", "revocation list", "public key", "a public key", "private key",
        "a private key", "is a private key", "this is a private key", "PKCS #12 keystore",
        "Java keystore", "something other", "is something other", "this is something other",
    ],
)  # fmt: skip
def test_what_is_no_certificate_is_called_by_its_name(
    what: str, strangers: dict[str, bytes]
) -> None:
    reading = read(strangers[what])
    [stranger] = reading.strangers
    assert what in stranger.what
    assert stranger.how_to_fix
    assert not reading.certificates
    assert not reading.faults


@pytest.mark.parametrize(
    ("label", "what"),
    [
        ("CERTIFICATE REQUEST", "certificate request"),
        ("NEW CERTIFICATE REQUEST", "certificate request"),
        ("X509 CRL", "revocation list"),
        ("PUBLIC KEY", "public key"),
        ("PGP MESSAGE", "“PGP MESSAGE”"),
        ("\x1b[2J", "“·[2J”"),
    ],
)
def test_a_foreign_block_is_called_by_its_name_and_place(label: str, what: str) -> None:
    reading = read(pem(ONE) + pem(b"anything", label))
    assert names(reading) == ["one"]
    [stranger] = reading.strangers
    assert what in stranger.what
    assert stranger.position == 2
    assert stranger.line == pem(ONE).count(b"\n") + 1


def test_a_request_that_is_labelled_as_a_certificate_is_a_fault(
    strangers: dict[str, bytes],
) -> None:
    [fault] = read(pem(strangers["certificate request"])).faults
    assert fault.what == "this is a certificate request (CSR)"


BROKEN = {
    "cut off": pem(ONE[:-20]),
    "character that base64 does not know": pem(ONE).replace(b"\nMII", b"\nM!I", 1),
    "base64 is incomplete": pem(ONE).replace(b"=", b"").replace(b"\n-----END", b"A\n-----END"),
    "END line is missing": pem(ONE).replace(b"-----END CERTIFICATE-----", b""),
    "END lines differ": pem(ONE).replace(b"END CERTIFICATE", b"END X509 CERTIFICATE"),
    "BEGIN line is missing": pem(ONE).replace(b"-----BEGIN CERTIFICATE-----", b""),
    "something other": pem(sequence(sequence())),
    "it is cut off": pem(b""),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_block_is_a_fault_with_its_place_and_its_neighbours_are_read(what: str) -> None:
    reading = read(pem(TWO) + BROKEN[what] + pem(THREE))
    assert names(reading) == ["two", "three"]
    [fault] = reading.faults
    assert what in fault.what
    assert fault.position == 2
    assert fault.line is not None
    assert fault.line > pem(TWO).count(b"\n")
    assert str(fault).startswith(f"file, line {fault.line}, entry 2: ")


def test_all_faults_of_a_file_are_told_at_once() -> None:
    reading = read(b"".join(BROKEN.values()))
    assert len(reading.faults) == len(BROKEN)
    assert [fault.position for fault in reading.faults] == list(range(1, len(BROKEN) + 1))


@pytest.mark.parametrize("length", [5, 300, len(ONE) - 1])
def test_a_der_file_that_is_cut_off_says_how_much_is_there(length: int) -> None:
    [fault] = read(ONE[:length]).faults
    assert f"cut off: {length:,} of {len(ONE):,} bytes" in fault.what


def test_what_follows_a_der_certificate_is_a_fault() -> None:
    reading = read(ONE + b"more")
    assert names(reading) == ["one"]
    assert [fault.position for fault in reading.faults] == [2]
