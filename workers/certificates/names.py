"""Labels and unique names of certificates: rules 1 to 4 of the model. Pure."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from itertools import count

from workers.errors import InvalidRequestError

MAX_LENGTH = 64

_UNIQUE_NAME = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9])*", re.ASCII)
_NAMELESS = "certificate"


def check_label(label: str) -> str:
    """Return ``label`` as a person gave it, if it is one.

    Raises:
        InvalidRequestError: it is empty, too long or holds control characters.
    """
    if not (0 < len(label) <= MAX_LENGTH and label == label_from(label)):
        raise InvalidRequestError(
            f"label: 1 to {MAX_LENGTH} characters, no control characters, no superfluous blanks."
        )
    return label


def check_unique_name(name: str) -> str:
    """Return ``name`` as a person gave it, if it is one.

    Raises:
        InvalidRequestError: it breaks rule 2.
    """
    if not (len(name) <= MAX_LENGTH and _UNIQUE_NAME.fullmatch(name)):
        raise InvalidRequestError(
            f"unique_name: 1 to {MAX_LENGTH} letters, digits and single underscores; it begins with"
            " a letter and does not end with an underscore."
        )
    return name


def label_from(text: str) -> str:
    """Make a label of what a certificate calls itself: one line, shortened to fit, never empty."""
    visible = "".join(_visible(each) for each in text)
    return " ".join(visible.split())[:MAX_LENGTH].rstrip() or _NAMELESS


def unique_name_from(label: str) -> str:
    """Derive a unique name from a label (rule 4); the same label always gives the same name."""
    letters = unicodedata.normalize("NFKD", label.replace("*", " wildcard ").replace("ß", "ss"))
    unaccented = "".join(each for each in letters if not unicodedata.combining(each))
    plain = re.sub(r"[^A-Za-z0-9]+", "_", unaccented).strip("_")
    if not plain[:1].isalpha():
        plain = f"{_NAMELESS}_{plain}"
    return plain[:MAX_LENGTH].rstrip("_")


def assign_unique_names(wanted: Sequence[str], taken: Collection[str]) -> list[str]:
    """Give each wanted name, in order, or that name with the lowest free suffix ``_2``, ``_3`` ….

    ``taken`` are the names in use, in lower case: whether two names differ is told without case.
    """
    used = set(taken)
    suffixes: dict[str, count[int]] = {}
    assigned = []
    for base in wanted:
        name = base
        while name.lower() in used:
            # Kept per base, so that a thousand of one name are not compared with each other.
            name = suffixed(base, next(suffixes.setdefault(base.lower(), count(2))))
        used.add(name.lower())
        assigned.append(name)
    return assigned


def suffixed(base: str, number: int) -> str:
    """Return ``base`` with a number behind it, shortened to stay within the limit."""
    suffix = f"_{number}"
    return base[: MAX_LENGTH - len(suffix)].rstrip("_") + suffix


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cf", "Cs"):  # marks of direction and other formatting could disguise a name
        return ""
    return " " if category in ("Cc", "Zl", "Zp") else character
