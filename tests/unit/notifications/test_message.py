"""The bytes of a message: as every mail program reads them, whatever the names in it."""

import email
import re
from datetime import UTC, date, datetime, timedelta, timezone
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import parseaddr
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import InvalidRequestError, PermanentError
from workers.notifications.message import (
    Message,
    UnsendableError,
    compose_message,
    message_id,
    parse_sender,
    wire_address,
)
from workers.notifications.plain_text import plain
from workers.notifications.rendering import RenderedMail

DAY = date(2026, 6, 1)
INSTALLATION = UUID(int=1)
NOW = datetime(2026, 11, 22, 7, tzinfo=UTC)
MAIL = RenderedMail(
    subject="[Acme] Certificate expires in 9 days: SAML signing",
    text="Hällo,\n.\nFrom here on: a=b\n" + "long " * 60 + "\ntrailing \n",
    html="<p>Hällo</p>\n",
)


def an_id(
    digest_id: int,
    *,
    local_day: date = DAY,
    installation_id: UUID = INSTALLATION,
) -> str:
    """Return the Message-ID of a digest."""
    return message_id(
        digest_id, local_day=local_day, installation_id=installation_id, domain="example.com"
    )


def compose(
    mail: RenderedMail = MAIL,
    *,
    name: str = "Ann Miller",
    address: str = "ann@example.org",
    sender: str = "keywright <keywright@example.com>",
) -> Message:
    return compose_message(
        mail,
        sender=sender,
        recipient_name=name,
        recipient_email=address,
        message_id=an_id(42),
        date=NOW,
    )


def parse(message: Message) -> EmailMessage:
    parsed = email.message_from_bytes(message.content, policy=default)
    assert not [defect for part in parsed.walk() for defect in part.defects]
    return parsed


def bodies(message: EmailMessage) -> list[str]:
    return [part.get_content().replace("\r\n", "\n") for part in message.iter_parts()]


def test_the_headers_say_who_what_and_when() -> None:
    parsed = parse(compose())
    assert parsed["From"] == "keywright <keywright@example.com>"
    assert parsed["To"] == "Ann Miller <ann@example.org>"
    assert parsed["Subject"] == MAIL.subject
    assert parsed["Date"].datetime == NOW
    assert parsed["Message-ID"] == "<expiry-digest-42-20260601.000000000001@example.com>"
    assert parsed["MIME-Version"] == "1.0"


def test_vacation_programs_are_asked_to_keep_silent_and_failures_may_come_back() -> None:
    parsed = parse(compose())
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert "Precedence" not in parsed


def test_text_and_html_are_alternatives_and_the_better_comes_last() -> None:
    parsed = parse(compose())
    assert parsed.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
    assert bodies(parsed) == [MAIL.text + "\n", MAIL.html + "\n"]


def test_a_message_is_the_same_at_every_attempt() -> None:
    assert compose() == compose()
    assert an_id(42) == an_id(42)
    assert an_id(42) != an_id(43)


def test_two_installations_and_a_restored_one_never_share_a_message_id() -> None:
    assert an_id(42) != an_id(42, installation_id=UUID(int=2))
    assert an_id(42) != an_id(42, local_day=date(2026, 6, 2))


def test_the_date_is_told_in_utc() -> None:
    message = compose_message(
        MAIL,
        sender="keywright@example.com",
        recipient_name="Ann",
        recipient_email="ann@example.org",
        message_id="<1@example.com>",
        date=NOW.astimezone(timezone(timedelta(hours=5))),
    )
    assert b"\r\nDate: Sun, 22 Nov 2026 07:00:00 +0000\r\n" in message.content


@given(st.text(), st.text(max_size=120), st.text(), st.text())
def test_nothing_in_a_name_or_a_text_breaks_the_message(
    subject: str, name: str, text: str, html: str
) -> None:
    text, html = (part.encode("utf-8", "replace").decode() for part in (text, html))
    text, html = (part.replace("\r", "") for part in (text, html))
    parsed = parse(compose(RenderedMail(subject=subject, text=text, html=html), name=name))
    assert len(parsed.keys()) == 9
    assert [address.addr_spec for address in parsed["To"].addresses] == ["ann@example.org"]
    assert bodies(parsed) == [text + "\n", html + "\n"]


@given(st.text(st.characters(exclude_categories=("C", "Z")), max_size=200))
def test_subjects_arrive_as_they_are(subject: str) -> None:
    assert parse(compose(RenderedMail(subject=subject, text="", html="")))["Subject"] == subject


@pytest.mark.parametrize(
    "name",
    [
        "Ann B. Miller, PhD",
        'Ann "the key" Miller\\',
        "Ann Müller-Lüdenscheidt zu Großkötz " * 3,
        "キーライト 株式会社 " * 8,
        "a" * 120,
        "=?utf-8?q?eve?=",
        "eve@example.net",
        "(comment) <eve@example.net>,",
    ],
)
def test_names_of_all_kinds_arrive_as_they_are(name: str) -> None:
    message = compose(name=name)
    [address] = parse(message)["To"].addresses
    assert address.addr_spec == "ann@example.org"
    # The newer parser of the standard library puts blanks between adjacent encoded words.
    header = email.message_from_bytes(message.content)["To"]
    assert str(make_header(decode_header(parseaddr(header)[0]))) == plain(name)


def test_text_that_looks_encoded_is_not_decoded_by_the_reader() -> None:
    trick = "=?utf-8?b?4oCuZXZpbA==?="  # would decode to a direction override and “evil”
    parsed = parse(compose(RenderedMail(subject=trick, text="", html="")))
    assert parsed["Subject"] == trick


def test_a_member_without_a_visible_name_still_gets_mail() -> None:
    assert b"\r\nTo: <ann@example.org>\r\n" in compose(name="\u200b").content


def test_lines_are_short_and_ascii_so_that_any_server_passes_them_on() -> None:
    mail = RenderedMail(subject="ü " * 100, text="ü" * 2000, html="x" * 5000)
    content = compose(mail, name="Ü" * 120).content
    assert content.isascii()
    assert max(len(line) for line in content.split(b"\r\n")) <= 78
    assert not re.search(rb"[^\r]\n|\r[^\n]", content)


def test_an_ascii_body_goes_as_it_is_and_can_be_read_in_the_file() -> None:
    message = compose(RenderedMail(subject="", text="CN=a\n.\n  b \n", html="<p class=x>\n"))
    assert b"\r\n\r\nCN=a\r\n.\r\n  b \r\n" in message.content
    assert bodies(parse(message)) == ["CN=a\n.\n  b \n\n", "<p class=x>\n\n"]


@pytest.mark.parametrize("text", ["x" * 999, "--=_alternative--", "a\rb", "a\0b", "ü"])
def test_a_body_that_cannot_go_as_it_is_arrives_all_the_same(text: str) -> None:
    message = compose(RenderedMail(subject="", text=text, html=""))
    assert bodies(parse(message)) == [text + "\n", "\n"]
    assert max(len(line) for line in message.content.split(b"\r\n")) <= 78


def test_an_internationalised_domain_is_put_into_ascii() -> None:
    message = compose(address="ann@bücher.example")
    assert b"<ann@xn--bcher-kva.example>" in message.content
    assert message.content.isascii()


def test_letters_outside_ascii_before_the_at_sign_stay_as_they_are() -> None:
    content = compose(address="jürgen@bücher.example").content
    assert "To: Ann Miller <jürgen@xn--bcher-kva.example>\r\n".encode() in content


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "ann@exa mple.org",
        "ann,eve@example.org",
        "ann@example.org>",
        "ann@eve@example.org",
        "ann\r\n@example.org",
        "ann\u202e@example.org",
        "ann@-",
        "ann@..",
        "ann@straße.example",  # would go to strasse.example under IDNA 2003
        "ann@\u200b.example",
        "ann@" + "ü" * 70 + ".example",
        "a" * 65 + "@example.org",
    ],
)
def test_an_address_that_mail_cannot_carry_is_refused_without_being_told(address: str) -> None:
    with pytest.raises(UnsendableError) as caught:
        compose(address=address)
    assert isinstance(caught.value, PermanentError)
    assert "example" not in str(caught.value)
    assert "correct the member" in str(caught.value) or "xn--" in str(caught.value)


@pytest.mark.parametrize(
    "address", ["o'neil+x@example.org", "a.b-c_d@localhost", "x@1.example", "ü@example.org"]
)
def test_unusual_addresses_are_taken(address: str) -> None:
    assert wire_address(address) == address


def test_a_sender_has_a_name_an_address_and_a_domain() -> None:
    sender = parse_sender('"Acme, keys" <keys@bücher.example>')
    assert (sender.name, sender.address) == ("Acme, keys", "keys@xn--bcher-kva.example")
    assert sender.domain == "xn--bcher-kva.example"
    assert parse_sender("keys@example.org").name == ""


@pytest.mark.parametrize("text", ["", "keywright", "jürgen@example.org", "a b@", "x <y>"])
def test_a_sender_that_is_no_address_is_refused_by_name_of_its_variable(text: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^KEYWRIGHT_MAIL_FROM: "):
        parse_sender(text)
