"""How to reach the mail server: the address in ``KEYWRIGHT_SMTP_URL``, read and checked once."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from workers.errors import InvalidRequestError, TransientError
from workers.tls import client_context, is_this_machine

Encryption = Literal["implicit", "required", "opportunistic", "none"]

_DEFAULT_TIMEOUT_SECONDS = 30.0
_MAX_TIMEOUT_SECONDS = 300.0
_PARAMETERS = ("tls", "ca_file", "timeout")


class MailServerUnavailableError(TransientError):
    """No mail can be sent at the moment, to nobody; the text names the server and what failed."""

    code = "mail-server-unavailable"
    title = "The mail server cannot be used right now"


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """A mail server, with all that is needed to open a connection to it.

    ``encryption``: ``implicit`` is TLS from the first byte; ``required`` and ``opportunistic`` are
    STARTTLS, the latter only where it is offered. ``tls`` is there unless encryption is ``none``.
    """

    host: str
    port: int
    encryption: Encryption
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_seconds: float = _DEFAULT_TIMEOUT_SECONDS
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        """Return ``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def unavailable(self, what: str) -> MailServerUnavailableError:
        """Return the error that says ``what`` this server did, such as ``did not answer``."""
        return MailServerUnavailableError(f"The mail server {self} {what.rstrip('.')}.")

    @classmethod
    def from_url(cls, url: str, *, authorities: Path | None = None) -> Self:
        """Read ``smtp[s]://user:password@host:port?tls=…&ca_file=…&timeout=…``.

        ``smtps`` is TLS from the first byte (port 465). ``smtp`` means STARTTLS, which ``tls``
        makes ``required`` (the default), ``opportunistic`` or ``none`` (the default on this machine
        itself); its port is 587 with a user and 25 without. Certificates are always verified:
        against ``ca_file`` (PEM) alone, or else against what the system trusts and the PEM file
        ``authorities``. ``timeout`` is in seconds.

        Raises:
            InvalidRequestError: something is wrong with the URL; the text names the part of it and
                never holds the password.
        """
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError:
            _refuse("this is not a URL; percent-encode special signs in user and password")
        host = _host(parts)
        parameters = _parameters(parts)
        user, password = _credentials(parts)
        encryption = _encryption(parts.scheme, host, parameters.get("tls"))
        ca_file = parameters.get("ca_file")
        default_port = 465 if encryption == "implicit" else 587 if user else 25
        return cls(
            host=host,
            port=default_port if port is None else port,
            encryption=encryption,
            user=user,
            password=password,
            timeout_seconds=_timeout(parameters.get("timeout")),
            tls=None if encryption == "none" else _tls_context(ca_file, authorities),
        )


def _refuse(reason: str) -> NoReturn:
    raise InvalidRequestError(f"KEYWRIGHT_SMTP_URL: {reason}.") from None


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not host or parts.path not in ("", "/") or parts.fragment:
        _refuse(
            "must look like smtp://user:password@host:587, with special signs in user and password"
            " percent-encoded"
        )
    try:
        host.encode("idna")  # what the look-up of the name does
    except UnicodeError:
        _refuse("the name of the host is not one")
    return host


def _parameters(parts: SplitResult) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _PARAMETERS or name in parameters:
            _refuse(f"the parameters are {', '.join(_PARAMETERS)}, each at most once")
        parameters[name] = value
    return parameters


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    if not parts.username and not parts.password:
        return None, None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not user or not password:
        _refuse("a user needs a password, and the other way round")
    if not (user + password).isascii() or not (user + password).isprintable():
        _refuse("user and password must be printable ASCII")
    return user, password


def _encryption(scheme: str, host: str, wanted: str | None) -> Encryption:
    match scheme, wanted:
        case "smtps", None | "required":
            return "implicit"
        case "smtps", _:
            _refuse("smtps:// is always encrypted; use smtp:// or leave tls out")
        case "smtp", "required" | "opportunistic" | "none":
            return wanted
        case "smtp", None:
            return "none" if is_this_machine(host) else "required"
        case "smtp", _:
            _refuse("tls must be required, opportunistic or none")
    _refuse("must begin with smtp:// or smtps://")


def _timeout(text: str | None) -> float:
    if text is None:
        return _DEFAULT_TIMEOUT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _MAX_TIMEOUT_SECONDS:
        _refuse(f"timeout must be a number of seconds up to {_MAX_TIMEOUT_SECONDS:g}")
    return seconds


def _tls_context(ca_file: str | None, authorities: Path | None) -> ssl.SSLContext:
    if ca_file is None:
        return client_context(authorities, besides_the_system=True)
    try:
        return client_context(ca_file)
    except ValueError:
        _refuse("ca_file must be a readable PEM file with at least one certificate")
