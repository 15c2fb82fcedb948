"""Reading the URI of a key in a PKCS #11 token (RFC 7512); what we do not honour is refused."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from workers.errors import InvalidRequestError

_IN_PATH = {"token", "serial", "object", "id", "type"}
_IN_QUERY = {"module-path", "pin-source", "pin-value"}
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNRESERVED = (
    ":[]@!$'()*+,=/&"  # beside letters and digits: pk11-pchar but for the separator (§2.3)
)
_EXAMPLE = (
    "pkcs11:token=NAME;object=LABEL?module-path=/usr/lib/softhsm/libsofthsm2.so"
    "&pin-source=file:/etc/keywright/pin"
)


@dataclass(frozen=True, kw_only=True)
class TokenPlace:
    """Where a key is: the token's library, the token, the key in it, and the file of the PIN."""

    module: Path
    pin_file: Path
    token: str | None = None
    serial: bytes | None = None
    label: str | None = None
    key_id: bytes | None = None

    @property
    def identifier(self) -> str:
        """The shortest URI that tells the key: it stays the same when the way to it changes."""
        token = _write("token", self.token) if self.token else _write("serial", self.serial)
        key = _write("object", self.label) if self.label else _write("id", self.key_id)
        return f"pkcs11:{token};{key}"


def parse_uri(text: str, *, variable: str) -> TokenPlace:
    """Return what ``pkcs11:…`` names; ``text`` is the part after the first colon.

    Raises:
        InvalidRequestError: it does not name a key, its library and the file of its PIN, or holds
            what we do not know; the text repeats no value, for one may be a PIN.
    """
    path, _, query = text.partition("?")
    named = _attributes(path, ";", _IN_PATH, variable)
    reached = _attributes(query, "&", _IN_QUERY, variable)
    if "pin-value" in reached:
        raise InvalidRequestError(
            f"{variable}: a PIN has no place in a setting; write it to a file, and name that by"
            " pin-source=file:/path."
        )
    if named.get("type", b"secret-key") != b"secret-key":
        raise InvalidRequestError(f"{variable}: a root key is of type=secret-key.")
    if not (named.keys() & {"token", "serial"} and named.keys() & {"object", "id"}):
        raise InvalidRequestError(
            f"{variable}: the URI needs token= (or serial=) and object= (or id=), as in {_EXAMPLE}."
        )
    serial = named.get("serial")
    return TokenPlace(
        token=_text(named, "token", variable),
        serial=serial,
        label=_text(named, "object", variable),
        key_id=named.get("id"),
        module=_file(reached, "module-path", variable),
        pin_file=_file(reached, "pin-source", variable),
    )


def _attributes(
    text: str, separator: str, known: Collection[str], variable: str
) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for pair in text.split(separator) if text else ():
        name, equals, value = pair.partition("=")
        if name not in known:
            # Not repeated: it may be what follows an ampersand in the middle of a PIN.
            allowed = ", ".join(sorted(set(known) - {"pin-value"}))
            raise InvalidRequestError(
                f"{variable}: the URI has an attribute that keywright does not know there; there"
                f" are {allowed}, as in {_EXAMPLE}."
            )
        if not equals or not value or name in found or _PERCENT.search(value):
            raise InvalidRequestError(
                f"{variable}: attribute {name} of the URI is empty, given twice or not properly"
                " percent-encoded (RFC 7512)."
            )
        found[name] = unquote_to_bytes(value)
    return found


def _text(attributes: dict[str, bytes], name: str, variable: str) -> str | None:
    value = attributes.get(name)
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError(
            f"{variable}: attribute {name} of the URI is not UTF-8, percent-encoded."
        ) from None


def _file(attributes: dict[str, bytes], name: str, variable: str) -> Path:
    text = (_text(attributes, name, variable) or "").removeprefix("file:")
    path = text.removeprefix("//") if text.startswith("///") else text
    if not path.startswith("/") or path.startswith("//") or "\0" in path:
        raise InvalidRequestError(
            f"{variable}: {name} of the URI must be the absolute path of a file, as in {_EXAMPLE}."
        )
    return Path(path)


def _write(name: str, value: str | bytes | None) -> str:
    return f"{name}={quote(value or b'', safe=_UNRESERVED)}"
