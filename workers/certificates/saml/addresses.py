"""Entity ids and URLs of SAML configurations. Pure."""

import re
from urllib.parse import urlsplit

from workers.errors import InvalidRequestError

MAX_ENTITY_ID = 1024  # SAML metadata 2.0 §2.2.1
MAX_URL = 2048

# RFC 3986 appendix A: no other character stands in a URI, so no blank and no control character.
_URI = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_URN = re.compile(r"urn:[A-Za-z0-9][A-Za-z0-9-]{1,30}:.+", re.IGNORECASE)  # RFC 8141 §2


def check_entity_id(entity_id: str) -> str:
    """Return the entity id if it is one.

    Raises:
        InvalidRequestError: it is neither an https URL nor a URN.
    """
    _check_characters("entity_id", entity_id, most=MAX_ENTITY_ID)
    if not _URN.fullmatch(entity_id):
        _check_https("entity_id", entity_id, also=", or a URN")
    return entity_id


def check_assertion_consumer_url(url: str) -> str:
    """Return the URL to which assertions are sent, if it is one.

    Raises:
        InvalidRequestError: it is no https URL; assertions must not travel in the clear.
    """
    _check_characters("assertion_consumer_url", url, most=MAX_URL)
    _check_https("assertion_consumer_url", url)
    return url


def _check_characters(field: str, text: str, *, most: int) -> None:
    if not (len(text) <= most and _URI.fullmatch(text)):
        raise InvalidRequestError(
            f"{field}: 1 to {most} characters of a URI (RFC 3986), in ASCII; others are"
            " percent-encoded."
        )


def _check_https(field: str, url: str, *, also: str = "") -> None:
    try:
        parts = urlsplit(url)
        # Read for its check: a port is a number below 65536.
        wrong = (
            parts.scheme.lower() != "https" or not parts.hostname or "@" in parts.netloc
        ) or parts.port == 0
    except ValueError:
        wrong = True
    if wrong or "#" in url:
        raise InvalidRequestError(
            f"{field}: a URL that begins with https:// and names a host, without user or"
            f" fragment{also}."
        )
