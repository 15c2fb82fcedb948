"""What the jobs on certificates work with."""

from dataclasses import dataclass

from workers.certificates.private_keys import PrivateKeys
from workers.contract.certificates import LifetimeCaps
from workers.database.pool import Pool
from workers.encryption import FieldCipher
from workers.keys.unsealing import Unsealer


@dataclass(frozen=True, kw_only=True)
class CertificateTools:
    """What seals and opens values, private keys kept that way, and connections to the ledger.

    ``unsealer`` opens secrets among a job's arguments.

    ``lifetime_caps`` says what to do about a TLS server's certificate that lasts longer than the
    CA/Browser Forum allows, where nobody asked for something else.
    """

    cipher: FieldCipher
    private_keys: PrivateKeys
    ledger: Pool
    unsealer: Unsealer
    lifetime_caps: LifetimeCaps = "warn"
