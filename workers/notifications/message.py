"""From a rendered mail to the bytes that go over the wire, and to whom. Pure."""

import binascii
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.header import Header
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from uuid import UUID

from workers.errors import InvalidRequestError, PermanentError
from workers.notifications.plain_text import plain
from workers.notifications.rendering import RenderedMail

_CRLF = "\r\n"
_MAX_LINE = 76
_MAX_7BIT_LINE = 998
# Never part of a body in quoted-printable, which has no “=_” (RFC 2045 §6.7).
_BOUNDARY = "=_alternative"


class UnsendableError(PermanentError):
    """This recipient can have no mail; the text says why and does not hold the address."""

    code = "unsendable"
    title = "The message cannot be sent to this recipient"


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Who notices come from."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """Of the address; Message-IDs end in it."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, kw_only=True)
class Message:
    """A complete message (RFC 5322) with CRLF line ends, and the address that it comes from."""

    sender: str
    content: bytes


@lru_cache(maxsize=8)
def parse_sender(text: str) -> Sender:
    """Read such as ``keywright <keywright@example.org>``.

    Raises:
        InvalidRequestError: it is not one address that every mail server understands.
    """
    name, address = parseaddr(text)
    try:
        address = wire_address(address)
    except UnsendableError as error:
        raise InvalidRequestError(
            "KEYWRIGHT_MAIL_FROM: must look like keywright <keywright@example.org>."
        ) from error
    if not address.isascii():
        raise InvalidRequestError("KEYWRIGHT_MAIL_FROM: the address must be plain ASCII.")
    return Sender(name=plain(name), address=address)


def message_id(digest_id: int, *, local_day: date, installation_id: UUID, domain: str) -> str:
    """Return the Message-ID of a digest: the same at every attempt to send it, and no other's.

    The installation tells it from those of others that send from the same domain, the day from one
    of the same number that was sent before the database was restored.
    """
    return f"<expiry-digest-{digest_id}-{local_day:%Y%m%d}.{installation_id.hex[-12:]}@{domain}>"


def compose_message(
    mail: RenderedMail,
    *,
    sender: str,
    recipient_name: str,
    recipient_email: str,
    message_id: str,
    date: datetime,
) -> Message:
    """Address a rendered mail; text and HTML become alternatives of each other.

    The parts are put together here because ``EmailMessage`` takes more than ten times as long. No
    ``Precedence: bulk``: this is no mass mail, and filters would take it for that.

    Raises:
        UnsendableError: no mail can go to this address.
    """
    recipient = wire_address(recipient_email)
    who = parse_sender(sender)
    lines = [
        _mailbox("From", who.name, who.address),
        _mailbox("To", plain(recipient_name), recipient),
        f"Subject: {_header_text('Subject', plain(mail.subject))}",
        f"Date: {format_datetime(date.astimezone(UTC))}",
        f"Message-ID: {message_id}",
        "Auto-Submitted: auto-generated",  # RFC 3834 §5: vacation programs keep silent
        "X-Auto-Response-Suppress: OOF, AutoReply",  # the same for Exchange; failures may come back
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"',
        "",
        *_part("text/plain", mail.text),
        *_part("text/html", mail.html),
        f"--{_BOUNDARY}--",
        "",
    ]
    return Message(sender=who.address, content=_CRLF.join(lines).encode())


def wire_address(address: str) -> str:
    """Return an address as mail servers know it, its domain in ASCII (IDNA).

    Raises:
        UnsendableError: it is not one that a message can be addressed to.
    """
    local, _, domain = address.rpartition("@")
    if not _LOCAL_PART.fullmatch(local) or not local.isprintable():
        raise UnsendableError(
            "The e-mail address of this member has signs before the “@” that mail cannot carry;"
            " correct the member."
        )
    if not domain.isascii():
        domain = _ascii_domain(domain)
    if not _DOMAIN.fullmatch(domain):
        raise UnsendableError(
            "The e-mail address of this member has an impossible domain; correct the member."
        )
    return f"{local}@{domain}"


# RFC 5321 §4.1.2 (Dot-string, more tolerant about the dots) and RFC 6531 §3.3.
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-\u00a1-\U0010ffff]{1,64}")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ \-]+")
_DOMAIN = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.\-]{0,252}[A-Za-z0-9])?")


def _ascii_domain(domain: str) -> str:
    try:
        encoded = domain.encode("idna")
        faithful = encoded.decode("idna") == domain.lower()
    except UnicodeError:
        faithful = False
    if not faithful:
        # The codec knows IDNA 2003, which turns “ß” into “ss”: the domain of somebody else.
        raise UnsendableError(
            "The domain of this member's e-mail address cannot be put into ASCII; give it in its"
            " “xn--” form."
        )
    return encoded.decode("ascii")


def _mailbox(header: str, name: str, address: str) -> str:
    if not name:
        return f"{header}: <{address}>"
    if not _encoded_word_needed(name) and not _ATOMS.fullmatch(name):
        name = '"' + name.replace("\\", r"\\").replace('"', r"\"") + '"'
    line = f"{header}: {_header_text(header, name)}"
    fits = len(line.rpartition(_CRLF)[2]) + len(address) + 3 <= _MAX_LINE
    return line + (" " if fits else _CRLF + " ") + f"<{address}>"


def _header_text(header: str, text: str) -> str:
    """Return ``text`` encoded (RFC 2047) and folded where it needs to be."""
    if _encoded_word_needed(text):
        return Header(text, "utf-8", _MAX_LINE, header).encode(linesep=_CRLF)
    if len(header) + 2 + len(text) > _MAX_LINE:
        return Header(text, "us-ascii", _MAX_LINE, header).encode(linesep=_CRLF)
    return text


def _encoded_word_needed(text: str) -> bool:
    # Text that looks encoded would be decoded by the reader's client, and could hide anything.
    return not text.isascii() or "=?" in text


def _part(content_type: str, body: str) -> tuple[str, ...]:
    """Return the lines of a body part: as it is where it may go so, else quoted-printable."""
    lines = f"{body}\n".replace("\n", _CRLF)  # b2a_qp breaks lines the way the first line ends
    encoding = "7bit"
    if not _is_plain(body):
        encoding = "quoted-printable"
        lines = binascii.b2a_qp(lines.encode(), istext=True).decode("ascii")
    return (
        f"--{_BOUNDARY}",
        f"Content-Type: {content_type}; charset=utf-8",
        f"Content-Transfer-Encoding: {encoding}",
        "",
        lines,
    )


def _is_plain(body: str) -> bool:
    """Whether a body is 7bit data (RFC 2045 §2.7) that does not contain the boundary."""
    return (
        body.isascii()
        and "\r" not in body
        and "\0" not in body
        and _BOUNDARY not in body
        and max(map(len, body.split("\n"))) <= _MAX_7BIT_LINE
    )
