"""The demo's application: a table of made-up patients in a schema of its own. SQL only."""

from typing import Any

from workers.database.pool import Connection

SCHEMA, TABLE = "keywright_demo", "patient"
PATIENTS = 50_000


def make_patients(connection: Connection) -> bool:
    """Make the table with its rows; False: it is there from an earlier run.

    ``fillfactor`` leaves room on each page for a row's next version (HOT updates).
    """
    with connection.transaction():
        found: Any = connection.execute(
            "SELECT to_regclass(%(name)s)", {"name": f"{SCHEMA}.{TABLE}"}
        ).fetchone()
        if found[0] is not None:
            return False
        connection.execute(
            """
            CREATE SCHEMA keywright_demo;
            CREATE TABLE keywright_demo.patient (
                patient_id  bigint PRIMARY KEY,
                name        text   NOT NULL,
                note        bytea,
                card        text
            ) WITH (fillfactor = 90)
            """
        )
        connection.execute(
            """
            INSERT INTO keywright_demo.patient (patient_id, name, note, card)
            SELECT i, 'Patient ' || i,
                   convert_to(rpad('Visit ' || i || ': sleeps well, is to come again. ', 64, '. '),
                              'UTF8'),
                   '4000 00' || to_char(i %% 100, 'FM00') || ' ' || to_char(i / 10, 'FM0000')
                   || ' ' || to_char(i * 7919 %% 10000, 'FM0000')
              FROM generate_series(1, %(patients)s) AS i
            """,
            {"patients": PATIENTS},
        )
    return True


def tidy_up(connection: Connection) -> None:
    """Make the space of dead rows free again, and have the statistics known."""
    connection.execute("VACUUM (ANALYZE) keywright_demo.patient")


def find_patient(connection: Connection, patient_id: int) -> tuple[str, str]:
    """Return the name of a patient and the card number as it is stored."""
    row = connection.execute(
        "SELECT name, card FROM keywright_demo.patient WHERE patient_id = %(patient_id)s",
        {"patient_id": patient_id},
    ).fetchone()
    assert row is not None
    return str(row[0]), str(row[1])
