"""The versions that give way, and those that may take their place. SQL only."""

from collections.abc import Collection
from typing import Any

from psycopg.rows import dict_row

from workers.certificates.locking import no_such_certificate
from workers.certificates.replacement.plan import VersionRef
from workers.certificates.replacement.successor import Candidate
from workers.database.pool import Connection
from workers.errors import InvalidRequestError, NotFoundError


def find_successor(connection: Connection, organization_id: int, ref: VersionRef) -> int:
    """Return the id of the version that ``ref`` names; without a number, of the newest signed one.

    Raises:
        NotFoundError: there is no such certificate or version.
    """
    versions = _versions(connection, organization_id, ref)
    for version in versions:
        if version["is_signed"] or ref.version_number is not None:
            return int(version["version_id"])
    raise NotFoundError(
        f"“{ref.unique_name}” has no signed version; `keywright certificate show` lists its"
        " versions."
    )


def find_outgoing(
    connection: Connection, organization_id: int, ref: VersionRef, *, successor: int
) -> int:
    """Return the id of the version that is to be replaced.

    Without a number it is the one that places have; with no usages at all, the newest signed one
    apart from the successor.

    Raises:
        NotFoundError: there is no such certificate or version.
        InvalidRequestError: places have several; the text lists them.
    """
    versions = [
        version
        for version in _versions(connection, organization_id, ref)
        if (version["is_signed"] and version["version_id"] != successor)
        or ref.version_number is not None
    ]
    used = [version for version in versions if version["usages"]]
    if ref.version_number is None and len(used) > 1:
        listed = ", ".join(f"{each['version_number']} ({each['usages']} places)" for each in used)
        raise InvalidRequestError(
            f"Places have several versions of “{ref.unique_name}”; replace one at a time and say"
            f" which (--old-version): {listed}."
        )
    if not versions:
        raise NotFoundError(
            f"“{ref.unique_name}” has no other signed version that could be replaced; name the"
            " certificate that takes its place, or have it rekeyed (--rekey)."
        )
    return int((used or versions)[0]["version_id"])


def load_candidates(connection: Connection, version_ids: Collection[int]) -> dict[int, Candidate]:
    """Return what decides whether these versions can be used, by their ids."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            SELECT version_id, certificate_id, unique_name, version_number, not_before, not_after,
                   key_algorithm, key_size, private_key IS NOT NULL AS has_private_key,
                   replaced_at IS NOT NULL AS is_replaced, deleted_at IS NOT NULL AS is_deleted,
                   EXISTS (SELECT FROM keywright.retired_default AS retired
                            WHERE retired.fingerprint = version.fingerprint) AS is_retired_default,
                   certificate_der
              FROM keywright.certificate_version AS version
              JOIN keywright.certificate USING (organization_id, certificate_id)
             WHERE version_id = ANY (%(version_ids)s)
            """,
            {"version_ids": list(version_ids)},
        ).fetchall()
    return {row["version_id"]: _candidate(row) for row in rows}


def _candidate(row: dict[str, Any]) -> Candidate:
    ref = VersionRef(unique_name=row.pop("unique_name"), version_number=row.pop("version_number"))
    return Candidate(ref=ref, **row)


def _versions(
    connection: Connection, organization_id: int, ref: VersionRef
) -> list[dict[str, Any]]:
    """Return the versions that ``ref`` may mean, newest first, with how many places have each."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            SELECT version_id, version_number, not_after IS NOT NULL AS is_signed,
                   (SELECT count(*) FROM keywright.usage
                     WHERE usage.version_id = version.version_id) AS usages
              FROM keywright.certificate
              LEFT JOIN keywright.certificate_version AS version
                     USING (organization_id, certificate_id)
             WHERE organization_id = %(organization_id)s AND deleted_at IS NULL
               AND lower(unique_name) = lower(%(unique_name)s)
             ORDER BY version_number DESC
            """,
            {"organization_id": organization_id, "unique_name": ref.unique_name},
        ).fetchall()
    if not rows:
        raise no_such_certificate(ref.unique_name)
    found = [
        row
        for row in rows
        if row["version_id"] is not None and ref.version_number in (None, row["version_number"])
    ]
    if not found:
        raise NotFoundError(
            f"“{ref.unique_name}” has no version {ref.version_number}; `keywright certificate show`"
            " lists its versions."
        )
    return found
