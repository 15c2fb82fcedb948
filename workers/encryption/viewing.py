"""Who sees encrypted fields unmasked (rule 47 of the model). SQL only."""

from workers.database.pool import Connection


def may_view(connection: Connection, *, organization_id: int, member_id: int) -> bool:
    """Whether a member sees encrypted data: active, with the permission to view it, and here.

    No other permission and no profile implies it, Modify All Data least of all.
    """
    row = connection.execute(
        """
        SELECT active AND 'view_encrypted_data' = ANY (permissions)
          FROM keywright.member
         WHERE organization_id = %(organization_id)s AND member_id = %(member_id)s
        """,
        {"organization_id": organization_id, "member_id": member_id},
    ).fetchone()
    return row is not None and bool(row[0])
