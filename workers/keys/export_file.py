"""The file that holds an exported master key: its text, read strictly and written alike. Pure.

The key in it is sealed; how is in ``workers.keys.export_sealing``. Every header is authenticated
together with the key, so a file that was altered anywhere does not open. There is one way only to
write each value: what reads differently is refused, not put right.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from workers.errors import PermanentError

LARGEST_BYTES = 16 * 1024
"""No export is nearly as large; more is not even looked at."""

MOST_SCRYPT_MEMORY_BYTES = 1024**3
"""What a file may make us spend, in memory and thereby in time, before it proves to be one."""

_BEGIN = "-----BEGIN KEYWRIGHT MASTER KEY-----"
_END = "-----END KEYWRIGHT MASTER KEY-----"
_LABEL = b"keywright master key export\n"
_LINE = 64

_NUMBER = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-f]{2})+", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_SCRYPT = re.compile(r"n=(\d{1,10}) r=(\d{1,4}) p=(\d{1,4})", re.ASCII)

_LARGEST_KEY_NUMBER = 2**32 - 1
_LARGEST_ORGANIZATION_ID = 2**63 - 1


class ExportFileError(PermanentError):
    """A file is no export of a master key, was altered, or does not open with what was given."""

    code = "export-file"
    title = "The export file cannot be used"


@dataclass(frozen=True, kw_only=True)
class ExportedKey:
    """Which master key a file holds. Times are aware, in UTC, and of whole seconds."""

    organization_id: int
    key_number: int
    check_value: bytes
    fingerprint: bytes
    created_at: datetime
    exported_at: datetime


@dataclass(frozen=True, kw_only=True)
class PassphraseProtection:
    """Sealed by AES-256-GCM under a key that scrypt (RFC 7914) makes of a passphrase."""

    n: int
    r: int
    p: int
    salt: bytes
    nonce: bytes


@dataclass(frozen=True, kw_only=True)
class CertificateProtection:
    """Sealed to an RSA public key, named by SHA-256 over its SubjectPublicKeyInfo."""

    recipient: bytes


@dataclass(frozen=True, kw_only=True)
class ExportFile:
    """An export as it stands in its file. Nothing in it is authentic before it was opened."""

    key: ExportedKey
    protection: PassphraseProtection | CertificateProtection
    sealed: bytes


# 32 bytes with a tag; or what an RSA key of 3072 to 8192 bits makes of one key, and KWP of another.
_SEALED_BYTES = {PassphraseProtection: range(48, 49), CertificateProtection: range(424, 1065)}


def authenticated_headers(
    key: ExportedKey, protection: PassphraseProtection | CertificateProtection
) -> bytes:
    """Return what is authenticated together with the key: every header line, under a label."""
    lines = "".join(f"{name}: {value}\n" for name, value in _headers(key, protection))
    return _LABEL + lines.encode("ascii")


def write_export(file: ExportFile) -> str:
    """Return the text of the file."""
    encoded = base64.b64encode(file.sealed).decode("ascii")
    return "\n".join(
        (
            _BEGIN,
            *(f"{name}: {value}" for name, value in _headers(file.key, file.protection)),
            "",
            *(encoded[start : start + _LINE] for start in range(0, len(encoded), _LINE)),
            _END,
            "",
        )
    )


def read_export(data: bytes) -> ExportFile:
    """Read the bytes of a file.

    Raises:
        ExportFileError: it is no export, or not written as ``write_export`` does.
    """
    if len(data) > LARGEST_BYTES:
        raise ExportFileError(
            f"The file is no keywright export: it has {len(data)} bytes, an export at most"
            f" {LARGEST_BYTES}."
        )
    try:
        # Mail and editors may have turned the line ends; nothing else is forgiven.
        text = data.decode("ascii").replace("\r\n", "\n").removesuffix("\n") + "\n"
    except UnicodeDecodeError:
        raise ExportFileError("The file is no keywright export: it is not plain text.") from None
    lines = text.split("\n")[:-1]
    if lines[0] != _BEGIN or lines[-1] != _END or "" not in lines:
        raise ExportFileError(
            f"The file is no whole keywright export; one goes from “{_BEGIN}” to “{_END}”."
        )
    blank = lines.index("")
    reader = _Headers(lines[1:blank])
    key, protection = reader.key(), reader.protection()
    reader.end()
    sealed = _sealed(lines[blank + 1 : -1])
    if len(sealed) not in _SEALED_BYTES[type(protection)]:
        raise ExportFileError("The export was altered: its base64 block has not the right length.")
    file = ExportFile(key=key, protection=protection, sealed=sealed)
    if write_export(file) != text:
        raise ExportFileError("The export was altered: its lines are not broken as keywright does.")
    return file


def _headers(
    key: ExportedKey, protection: PassphraseProtection | CertificateProtection
) -> Iterator[tuple[str, str]]:
    yield "Format", "1"
    yield "Organization", str(key.organization_id)
    yield "Key-Number", str(key.key_number)
    yield "Check-Value", key.check_value.hex()
    yield "Fingerprint", key.fingerprint.hex()
    yield "Created", f"{key.created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    yield "Exported", f"{key.exported_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(protection, PassphraseProtection):
        yield "Protection", "passphrase"
        yield "Scrypt", f"n={protection.n} r={protection.r} p={protection.p}"
        yield "Salt", protection.salt.hex()
        yield "Nonce", protection.nonce.hex()
    else:
        yield "Protection", "certificate"
        yield "Recipient", protection.recipient.hex()


class _Headers:
    """Takes the header lines one by one, in their one order."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = list(lines)
        self._position = 0

    def key(self) -> ExportedKey:
        number_of_format = self._next("Format")
        if number_of_format != "1":
            raise ExportFileError(
                "Format: this keywright knows format 1 only; import the file with the version that"
                " wrote it, or a later one."
            )
        return ExportedKey(
            organization_id=self._number("Organization", _LARGEST_ORGANIZATION_ID),
            key_number=self._number("Key-Number", _LARGEST_KEY_NUMBER),
            check_value=self._bytes("Check-Value", 5),
            fingerprint=self._bytes("Fingerprint", 32),
            created_at=self._time("Created"),
            exported_at=self._time("Exported"),
        )

    def protection(self) -> PassphraseProtection | CertificateProtection:
        kind = self._next("Protection")
        if kind == "passphrase":
            return self._passphrase()
        if kind == "certificate":
            return CertificateProtection(recipient=self._bytes("Recipient", 32))
        raise _altered("Protection")

    def end(self) -> None:
        if self._position != len(self._lines):
            raise ExportFileError(
                "The export was altered: it has a header that does not belong there."
            )

    def _passphrase(self) -> PassphraseProtection:
        written = self._next("Scrypt")
        found = _SCRYPT.fullmatch(written)
        if found is None or written != "n={} r={} p={}".format(*map(int, found.groups())):
            raise _altered("Scrypt")
        n, r, p = map(int, found.groups())
        if n < 2 or n & (n - 1) or r < 1 or p < 1:  # noqa: PLR2004  # RFC 7914 §2
            raise _altered("Scrypt")
        if 128 * n * r * p > MOST_SCRYPT_MEMORY_BYTES:
            raise ExportFileError(
                "Scrypt: to try a passphrase would take more than 1 GiB of memory or as much time;"
                " keywright writes no such file."
            )
        return PassphraseProtection(
            n=n, r=r, p=p, salt=self._bytes("Salt", 16), nonce=self._bytes("Nonce", 12)
        )

    def _next(self, name: str) -> str:
        line = self._lines[self._position] if self._position < len(self._lines) else ""
        found, separator, value = line.partition(": ")
        if found != name or not separator:
            raise ExportFileError(
                f"The export was altered: the header {name} is not where it belongs."
            )
        self._position += 1
        return value

    def _number(self, name: str, largest: int) -> int:
        value = self._next(name)
        if not _NUMBER.fullmatch(value) or int(value) > largest:
            raise _altered(name)
        return int(value)

    def _bytes(self, name: str, length: int) -> bytes:
        value = self._next(name)
        if not _HEX.fullmatch(value) or len(value) != 2 * length:
            raise _altered(name)
        return bytes.fromhex(value)

    def _time(self, name: str) -> datetime:
        value = self._next(name)
        try:
            if not _TIME.fullmatch(value):
                raise _altered(name)
            return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise _altered(name) from None


def _sealed(lines: Sequence[str]) -> bytes:
    try:
        return base64.b64decode("".join(lines), validate=True)
    except binascii.Error:
        raise ExportFileError("The export was altered: its base64 block is not whole.") from None


def _altered(header: str) -> ExportFileError:
    return ExportFileError(f"The export was altered: {header} is not written as keywright does.")
