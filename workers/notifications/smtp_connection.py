"""Opening a connection to a mail server, and putting into words what a server or socket says."""

import re
import smtplib
import socket
import ssl

from workers.notifications.mail_server import MailServerUnavailableError, SmtpServer
from workers.notifications.plain_text import plain, shorten
from workers.tls import distrust_in_words

_MAX_REPLY_LENGTH = 200
_PERMANENT = 500


def open_connection(server: SmtpServer) -> smtplib.SMTP:
    """Connect, encrypt and log in as ``server`` says; the greeting was exchanged.

    Raises:
        MailServerUnavailableError: one of that failed.
    """
    try:
        connection = _connect(server)
    except OSError as error:
        raise server.unavailable(error_in_words(error)) from error
    try:
        _greet(connection)
        _encrypt(connection, server)
        if server.user is not None and server.password is not None:
            connection.login(server.user, server.password)
        connection.ehlo_or_helo_if_needed()
    except OSError as error:
        connection.close()
        raise server.unavailable(error_in_words(error)) from error
    except MailServerUnavailableError:
        connection.close()
        raise
    return connection


def reply_in_words(text: bytes) -> str:
    """Return what a server said as one short line, without addresses."""
    line = plain(text.decode("utf-8", "replace"))
    return shorten(re.sub(r"<?[^\s<>@]+@[^\s<>@]+>?", "(address)", line), _MAX_REPLY_LENGTH)


def error_in_words(error: OSError) -> str:
    """Say what went wrong, as what the server did: to follow “The mail server …”."""
    match error:
        case smtplib.SMTPAuthenticationError() if error.smtp_code >= _PERMANENT:
            what = f"refused user or password ({error.smtp_code}); check KEYWRIGHT_SMTP_URL"
        case smtplib.SMTPResponseException():
            said = error.smtp_error
            text = reply_in_words(said if isinstance(said, bytes) else said.encode())
            what = f"said {error.smtp_code} {text}"
        case smtplib.SMTPNotSupportedError():
            what = "offers no log-in that we know; check user and tls in KEYWRIGHT_SMTP_URL"
        case smtplib.SMTPServerDisconnected() if not isinstance(error.__context__, TimeoutError):
            what = "ended the connection"
        case smtplib.SMTPServerDisconnected() | TimeoutError():
            what = "did not answer in time"
        case ssl.SSLCertVerificationError():
            what = distrust_in_words(error, "KEYWRIGHT_SMTP_URL")
        case ssl.SSLError():
            what = f"could not agree on TLS ({error.reason}); check smtp or smtps and the port"
        case socket.gaierror():
            what = "has a name that cannot be resolved; check KEYWRIGHT_SMTP_URL"
        case _:
            what = f"cannot be reached: {error.strerror or type(error).__name__}"
    return what


def _connect(server: SmtpServer) -> smtplib.SMTP:
    # The name is replaced in the greeting: smtplib would look one up, however long the DNS takes.
    if server.encryption == "implicit":
        return smtplib.SMTP_SSL(
            server.host,
            server.port,
            local_hostname="localhost",
            timeout=server.timeout_seconds,
            context=server.tls,
        )
    return smtplib.SMTP(
        server.host, server.port, local_hostname="localhost", timeout=server.timeout_seconds
    )


def _greet(connection: smtplib.SMTP) -> None:
    """Say who we are: our end of the connection, as RFC 5321 §4.1.3 writes it."""
    if connection.sock is not None:
        address: str = connection.sock.getsockname()[0]
        connection.local_hostname = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    connection.ehlo_or_helo_if_needed()


def _encrypt(connection: smtplib.SMTP, server: SmtpServer) -> None:
    if server.encryption in ("implicit", "none"):
        return
    if connection.has_extn("starttls"):
        connection.starttls(context=server.tls)
    elif server.encryption == "required":
        raise server.unavailable("offers no STARTTLS; see tls=… in KEYWRIGHT_SMTP_URL")
    elif server.user is not None:
        raise server.unavailable("offers no STARTTLS, and a password may not travel in clear")
