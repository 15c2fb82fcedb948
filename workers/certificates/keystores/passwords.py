"""Which passwords a keystore may be written with (rule 30). Pure."""

import re
import unicodedata

from workers.certificates.keystores.entries import Format
from workers.certificates.keystores.errors import KeystoreError

MIN_CHARACTERS = 8
MAX_CHARACTERS = 1_000
_PRINTABLE_ASCII = re.compile(r"[ -~]*")


def check_password(password: str, store_format: Format) -> str:
    """Return the password as it goes into the file; no error repeats it.

    Raises:
        KeystoreError: it is too short or too long, or some program could not read the file.
    """
    # What looks alike has to open the file, whatever keyboard it was typed on.
    password = unicodedata.normalize("NFC", password)
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise KeystoreError(
            f"password: {MIN_CHARACTERS} to {MAX_CHARACTERS:,} characters; better 20 random ones."
        )
    if store_format == "jks":
        # Java's characters are UTF-16; a lone surrogate is no character.
        if any(unicodedata.category(each) in ("Cc", "Cs") for each in password):
            raise KeystoreError("password: no control characters; leave them out.")
    elif not _PRINTABLE_ASCII.fullmatch(password):
        # Java refuses others, and programs differ in how they encode them.
        raise KeystoreError(
            "password: a PKCS #12 or PEM file takes letters without accents, digits, blanks and"
            " punctuation only (ASCII), since Java reads no others; choose another."
        )
    return password
