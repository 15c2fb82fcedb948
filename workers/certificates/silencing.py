"""Taking back what is still to be told of a version: rule 57 of the model. SQL only.

What becomes of notices when usages change or certificates are deleted, triggers see to, so that it
is the same for plain SQL; here is the rest.
"""

from collections.abc import Sequence

from workers.database.pool import Connection


def silence_versions(connection: Connection, version_ids: Sequence[int], *, reason: str) -> None:
    """Tell nothing more of these versions; notices that wait to be sent are cancelled.

    ``reason`` is kept with each cancelled notice: ``replaced``, ``acknowledged`` or ``deleted``.
    """
    connection.execute(
        "SELECT keywright.silence_versions(%(version_ids)s::bigint[], %(reason)s)",
        {"version_ids": list(version_ids), "reason": reason},
    )


def silence_replaced_versions(connection: Connection, certificate_id: int) -> None:
    """Silence the versions of a certificate that were replaced and that no place has any more.

    A replaced version that is still in use keeps warning: replaced is not deployed. The caller
    holds the lock of the certificate.
    """
    rows = connection.execute(
        """
        SELECT version_id FROM keywright.certificate_version AS version
         WHERE certificate_id = %(certificate_id)s AND replaced_at IS NOT NULL
           AND NOT EXISTS (SELECT FROM keywright.usage
                            WHERE usage.version_id = version.version_id)
        """,
        {"certificate_id": certificate_id},
    ).fetchall()
    if rows:
        silence_versions(connection, [row[0] for row in rows], reason="replaced")
