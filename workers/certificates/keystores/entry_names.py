"""What entries are called where the file gives them no name of their own. Pure."""

from collections.abc import Sequence

from workers.certificates.names import assign_unique_names, unique_name_from
from workers.certificates.reading.der import MalformedError
from workers.certificates.reading.fields import read_certificate

_NAMELESS = "certificate"


def fill_in_names(given: Sequence[str | None], wanted: Sequence[str]) -> list[str]:
    """Return each given name, and where there is none the wanted one, with a number if taken."""
    free = iter(
        assign_unique_names(
            [name for name, own in zip(wanted, given, strict=True) if own is None],
            {name.lower() for name in given if name is not None},
        )
    )
    return [own if own is not None else next(free) for own in given]


def own_name(certificate: bytes) -> str:
    """Return a unique name made of what a certificate (DER) calls itself."""
    try:
        found = read_certificate(certificate, source="", position=1)
    except MalformedError:
        return _NAMELESS
    return unique_name_from(found.display_name).lower()
