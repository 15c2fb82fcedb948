"""Taking back what is still to be told of a version: rule 57 of the model. SQL only."""

from collections.abc import Sequence

from workers.database.pool import Connection


def silence_versions(connection: Connection, version_ids: Sequence[int], *, reason: str) -> None:
    """Tell nothing more of these versions; notices that wait to be sent are cancelled.

    ``reason`` is kept with each cancelled notice: ``replaced``, ``acknowledged`` or ``deleted``.
    """
    # A scan may be planning notices of a version: we wait until it has committed, locking in its
    # order, and only a second statement sees what it planned.
    connection.execute(
        """
        WITH warning AS (
            SELECT version_id FROM keywright.certificate_version
             WHERE version_id = ANY (%(version_ids)s) AND next_notice_at IS NOT NULL
             ORDER BY next_notice_at
               FOR UPDATE
        )
        UPDATE keywright.certificate_version AS version SET next_notice_at = NULL
          FROM warning
         WHERE version.version_id = warning.version_id
        """,
        {"version_ids": list(version_ids)},
    )
    connection.execute(
        """
        UPDATE keywright.notice SET state = 'cancelled', reason = %(reason)s
         WHERE version_id = ANY (%(version_ids)s) AND state = 'planned'
        """,
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
