"""Whether what was announced stands in the catalogue: by Python, by SQL, or by a trigger."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from workers.contract.announcements import BY_KIND
from workers.database.pool import Connection

_VARIABLE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{64}|\d+")


@contextmanager
def announced_as_the_catalogue_says(conninfo: str) -> Iterator[None]:
    """Check at the end of the block all that was announced in the database."""
    yield
    with psycopg.connect(conninfo) as connection:
        check_announcements(connection)


def check_announcements(connection: Connection) -> set[str]:
    """Fail if an announcement is of no known kind, about something else, or says other things.

    Return the kinds that there are.
    """
    kinds = set()
    for kind, subject, data in connection.execute(
        "SELECT kind, subject, data FROM keywright.announcement"
    ).fetchall():
        known = BY_KIND[kind]
        known.data.model_validate(data)
        assert _shape(subject) == _shape(known.subject), (kind, subject)
        kinds.add(kind)
    return kinds


def _shape(subject: str) -> str:
    return _VARIABLE.sub("*", subject)
