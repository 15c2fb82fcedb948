"""What a person is told about a certificate, by OpenSSL's number for what is wrong with it."""

import ssl

import pytest

from workers.tls import distrust_in_words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "is not valid yet; compare the clocks"),
        (10, "has expired; give it a new one"),
        (18, "of an authority that is not trusted here; name a file"),
        (19, "of an authority that is not trusted here; name a file"),
        (20, "of an authority that is not trusted here; name a file"),
        (62, "for another host name; write a name that stands in the certificate into THE_URL"),
        (64, "for another host name; write a name that stands in the certificate into THE_URL"),
        (68, "that is not trusted (CA signature digest algorithm too weak)"),
    ],
)
def test_every_reason_has_its_fix(code: int, words: str) -> None:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_code = code
    error.verify_message = "CA signature digest algorithm too weak"
    said = distrust_in_words(error, "THE_URL")
    assert said.startswith("has a certificate ")
    assert words in said
    assert "\n" not in said
