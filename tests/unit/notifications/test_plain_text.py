"""Text of others, made fit for one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.notifications.plain_text import plain, shorten


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("SAML signing", "SAML signing"),
        ("Zoë 🔑 Ключ", "Zoë 🔑 Ключ"),
        ("one\r\nBcc: eve@example.org", "one Bcc: eve@example.org"),
        ("\u202eevil\u202c", "evil"),
        ("a\u200bb\ufeffc\x00d\x1b[31m", "abcd[31m"),
        ("  much \t\u00a0\u2028 space ", "much space"),
        ("\u200b\u2066", ""),
    ],
)
def test_what_cannot_be_seen_is_left_out(given_text: str, expected: str) -> None:
    assert plain(given_text) == expected


@given(st.text())
def test_the_result_is_one_printable_line(text: str) -> None:
    assert plain(text).isprintable()
    assert plain(plain(text)) == plain(text)


@given(st.text(), st.integers(min_value=1, max_value=30))
def test_a_shortened_text_is_never_too_long(text: str, length: int) -> None:
    assert len(shorten(text, length)) <= length


def test_a_shortened_text_says_so() -> None:
    assert shorten("SAML signing key", 6) == "SAML…"
    assert shorten("SAML", 4) == "SAML"
