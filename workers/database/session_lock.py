"""One of many at work, by a lock that ends with its holder's connection. SQL only."""

from workers.database.pool import Connection


def take_session_lock(connection: Connection, number: int) -> bool:
    """Take the lock ``number`` for as long as ``connection`` lasts; False: somebody else has it.

    Where the holder's machine vanishes without a word, the server finds out within half a minute.
    """
    row = connection.execute(
        """
        SELECT pg_try_advisory_lock(%(number)s),
               set_config('tcp_keepalives_idle', '10', false),
               set_config('tcp_keepalives_interval', '5', false),
               set_config('tcp_keepalives_count', '3', false)
        """,
        {"number": number},
    ).fetchone()
    assert row is not None
    return bool(row[0])
