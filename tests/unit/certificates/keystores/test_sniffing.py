"""A keystore's format is told by its content."""

import pytest

from tests.unit.certificates.certificate_maker import make_der, oid, pem, sequence, tlv
from tests.unit.certificates.keystores.java_store_maker import VECTORS
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.sniffing import sniff_format


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("jdk25-rsa.jks", "jks"),
        ("jdk25.jceks", "jceks"),
        ("jdk25-multi.p12", "pkcs12"),
        ("jdk25-multi-named.jks", "pkcs12"),
    ],
)
def test_the_content_counts_and_not_the_name(name: str, kind: str) -> None:
    assert sniff_format((VECTORS / name).read_bytes()) == kind


@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "utf-16"])
def test_pem_is_known_in_every_encoding_and_with_text_before_it(encoding: str) -> None:
    text = "Bag Attributes: <none>\r\n" + pem(make_der()).decode()
    assert sniff_format(text.encode(encoding)) == "pem"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"hello", "no keystore of a known format"),
        (b"\0\0\0\2\0\0\0\24" + bytes(400), "no keystore of a known format"),  # BKS
        (make_der(), "a certificate; a single certificate is uploaded as such"),
        (sequence(tlv(2, b"\0"), sequence(oid("1.2.3")), tlv(4, bytes(300))), "a private key"),
        (make_der()[:-9], "is damaged: it is cut off"),
    ],
)
def test_rule_24_what_is_no_keystore_is_refused_with_what_it_is_instead(
    data: bytes, said: str
) -> None:
    with pytest.raises(KeystoreError, match=said):
        sniff_format(data)
