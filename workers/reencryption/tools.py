"""What the jobs of a run work with."""

from dataclasses import dataclass

from workers.database.pool import Pool
from workers.encryption.connections import Connections
from workers.keys.keyring import KeyRing


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Keys, the databases that hold encrypted fields, and connections to keywright's own."""

    keyring: KeyRing
    connections: Connections
    ledger: Pool
