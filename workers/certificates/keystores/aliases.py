"""The names of entries in keystores that are written: such as every reader agrees on. Pure.

Java compares them without regard to case, stores JKS aliases in lower case and reads modified
UTF-8, so that an alias with a rare character can make a whole file unreadable.
"""

import re
from collections.abc import Sequence

from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.names import assign_unique_names, unique_name_from

_ALIAS = re.compile(r"[a-z0-9._-]{1,64}", re.ASCII)


def aliases_for(unique_names: Sequence[str]) -> list[str]:
    """Return an alias for each name, in order: lower case, no two alike, each a unique name too.

    A unique name gives itself in lower case; of several that then are alike, the later ones get
    ``_2``, ``_3`` …; anything else is made a unique name first.
    """
    return assign_unique_names([unique_name_from(name).lower() for name in unique_names], ())


def check_aliases(aliases: Sequence[str]) -> None:
    """Refuse what Java could not tell apart or not read.

    Raises:
        KeystoreError: an alias is not of that kind, or stands there twice.
    """
    seen: set[str] = set()
    for alias in aliases:
        if not _ALIAS.fullmatch(alias):
            raise KeystoreError(
                f"The alias {alias[:80]!r} is not safe for Java; use 1 to 64 of the characters"
                " a-z 0-9 . _ and -."
            )
        if alias in seen:
            raise KeystoreError(
                f"The alias {alias!r} would stand in the keystore twice; give one another name."
            )
        seen.add(alias)
