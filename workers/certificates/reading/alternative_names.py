"""The first name in a certificate's subjectAltName extension (RFC 5280 §4.2.1.6). Pure."""

from ipaddress import ip_address

from workers.certificates.reading.der import OCTET_STRING, Element, MalformedError, read_element

_SUBJECT_ALTERNATIVE_NAME = bytes.fromhex("551d11")  # 2.5.29.17
_EMAIL, _DNS, _URI, _ADDRESS = 0x81, 0x82, 0x86, 0x87


def first_alternative_name(extensions: Element | None) -> str | None:
    """Return the first DNS name, address, e-mail address or URI; None if there is none to be read.

    ``extensions`` is the [3] of a certificate, which may hold anything: nothing here depends on it
    but a label.
    """
    if extensions is None:
        return None
    try:
        for extension in next(extensions.children()).children():
            kind, *_, value = extension.children()
            if kind.content == _SUBJECT_ALTERNATIVE_NAME and value.tag == OCTET_STRING:
                names = map(_readable, read_element(value.content).children())
                return next((name for name in names if name), None)
    except (MalformedError, StopIteration, ValueError):
        pass
    return None


def _readable(name: Element) -> str | None:
    if name.tag in (_EMAIL, _DNS, _URI):
        return name.content.decode("latin-1")
    if name.tag == _ADDRESS:
        return str(ip_address(name.content))
    return None
