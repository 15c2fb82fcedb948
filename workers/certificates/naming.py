"""Finding names that no certificate of an organization has yet: rules 3 and 4. SQL only."""

from collections.abc import Iterable, Sequence

from workers.certificates.names import assign_unique_names, suffixed
from workers.database.pool import Connection


def free_names(connection: Connection, organization_id: int, wanted: Sequence[str]) -> list[str]:
    """Give each wanted name, or that name with the lowest free suffix; all differ without case.

    The caller holds the lock of the organization, so that the names stay free until it commits.
    """
    taken: set[str] = set()
    asked: set[str] = set()
    reach = 2
    while True:
        names = assign_unique_names(wanted, taken)
        unasked = {name.lower() for name in names} - asked
        if not unasked:
            return names
        # A name with many namesakes is asked about further and further ahead, not one by one.
        crowded = {
            base.lower()
            for base, name in zip(wanted, names, strict=True)
            if name.lower() in unasked and base.lower() in taken
        }
        unasked |= {suffixed(base, number) for base in crowded for number in range(2, reach)}
        taken |= taken_names(connection, organization_id, unasked)
        asked |= unasked
        reach *= 8


def taken_names(connection: Connection, organization_id: int, names: Iterable[str]) -> set[str]:
    """Return those of ``names`` that a certificate has, in lower case."""
    rows = connection.execute(
        """
        SELECT unique_name
          FROM keywright.certificate
         WHERE organization_id = %(organization_id)s AND deleted_at IS NULL
           AND lower(unique_name) = ANY (ARRAY (SELECT lower(name)
                                                  FROM unnest(%(names)s::text[]) AS asked (name)))
        """,
        {"organization_id": organization_id, "names": list(names)},
    )
    return {row[0].lower() for row in rows}
