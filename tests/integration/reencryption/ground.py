"""What all tests of re-encryption share: databases, connections and a worker's tools."""

from dataclasses import dataclass
from pathlib import Path

from tests.integration.jobs.workbench import Workbench
from workers.database.pool import Connection, Pool


@dataclass
class Ground:
    """What all tests share: a database with our schema, another without, and a worker's tools."""

    conninfo: str
    other: str
    pool: Pool
    connection: Connection
    workbench: Workbench
    folder: Path
    stages: int = 0

    def clear(self) -> None:
        """Take away what an earlier test left."""
        self.connection.execute("DELETE FROM keywright.quarantine")
        self.connection.execute(
            "DELETE FROM keywright.encrypted_field WHERE table_schema <> 'keywright'"
        )
        self.connection.execute(
            "UPDATE keywright.job SET state = 'cancelled', finished_at = now(), claim = NULL,"
            " lease_until = NULL WHERE finished_at IS NULL"
        )
        self.stages += 1
