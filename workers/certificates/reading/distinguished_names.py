"""Names in certificates (X.501): as RFC 4514 text, and the value people know them by. Pure.

Lenient on purpose: mislabelled character sets and overlong or empty values are common in old
certificates and no reason to leave their end unnoticed.
"""

import unicodedata
from typing import NamedTuple

from workers.certificates.reading.der import OID, SEQUENCE, SET, Element, MalformedError, oid_text

_COMMON_NAME = "2.5.4.3"
# RFC 4514 §3; other types are written in their dotted form.
_KEYWORDS = {
    _COMMON_NAME: "CN",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.6": "C",
    "2.5.4.9": "STREET",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
}
_ENCODINGS = {
    0x0C: "utf-8",  # UTF8String
    0x12: "ascii",  # NumericString
    0x13: "latin-1",  # PrintableString; many hold what they must not, such as "@" or "ä"
    0x14: "latin-1",  # TeletexString: T.61 on paper, Latin-1 in practice
    0x16: "latin-1",  # IA5String
    0x1A: "latin-1",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}
_MAX_TEXT = 2000
_MAX_HEX_BYTES = 64


class ReadName(NamedTuple):
    """A name as ``text``, its most specific common name, and most specific value of any type."""

    text: str
    common_name: str | None
    first_value: str | None


def read_name(name: Element) -> ReadName:
    """Read a certificate's subject or issuer.

    Raises:
        MalformedError: it is no sequence of relative distinguished names.
    """
    parts: list[str] = []
    common_name = first_value = None
    for relative in name.children():
        if relative.tag != SET:
            raise MalformedError("a name in it cannot be read")
        pairs = []
        for attribute in relative.children():
            kind, value = _read_attribute(attribute)
            text = _text(value)
            if text:
                # The most specific part stands last, and is therefore the one that remains.
                first_value = text
                common_name = text if kind == _COMMON_NAME else common_name
            pairs.append(f"{_KEYWORDS.get(kind, kind)}={_written(value, text)}")
        parts.append("+".join(pairs))
    text = ",".join(reversed(parts))
    return ReadName(
        text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…", common_name, first_value
    )


def _read_attribute(attribute: Element) -> tuple[str, Element]:
    parts = list(attribute.children()) if attribute.tag == SEQUENCE else []
    if [part.tag for part in parts[:1]] != [OID] or len(parts) != 2:  # noqa: PLR2004  # type, value
        raise MalformedError("a name in it cannot be read")
    return oid_text(parts[0].content), parts[1]


def _text(value: Element) -> str | None:
    encoding = _ENCODINGS.get(value.tag)
    return None if encoding is None else value.content.decode(encoding, errors="replace")


def _written(value: Element, text: str | None) -> str:
    """Write a value as RFC 4514 §2.4 has it; control and direction marks are escaped as well."""
    if text is None:
        return "#" + value.encoded[:_MAX_HEX_BYTES].hex()
    escaped = "".join(_escaped(each) for each in text[:_MAX_TEXT])
    if escaped.startswith(("#", " ")):
        escaped = "\\" + escaped
    if escaped.endswith(" ") and escaped != "\\ ":
        escaped = escaped[:-1] + "\\ "
    return escaped


def _escaped(character: str) -> str:
    if character in '\\"+,;<>':
        return "\\" + character
    # These could forge lines, or turn the text around, where a name is shown.
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return "".join(f"\\{byte:02x}" for byte in character.encode(errors="replace"))
    return character
