"""What is announced of master keys and of re-encryption."""

from typing import ClassVar

from workers.contract.announcements.happened import Happened, Moment


class AboutMasterKey(Happened):
    """Any of the announcements about one master key."""

    about: ClassVar[str] = "master-key/7/2"

    number: int


class MasterKeyCreated(AboutMasterKey):
    """An organization has its first master key."""

    of_kind: ClassVar[str] = "master_key.created"


class MasterKeyRotated(AboutMasterKey):
    """Another master key is active."""

    of_kind: ClassVar[str] = "master_key.rotated"

    former_number: int
    reason: str


class MasterKeyCompromised(AboutMasterKey):
    """A master key counts as known to others; it decrypts, and encrypts nothing more."""

    of_kind: ClassVar[str] = "master_key.compromised"


class MasterKeyWorn(AboutMasterKey):
    """A master key has come near the number of encryptions that it may do."""

    of_kind: ClassVar[str] = "master_key.worn"

    uses: int
    limit: int


class MasterKeyExported(AboutMasterKey):
    """A master key left, sealed."""

    of_kind: ClassVar[str] = "master_key.exported"

    actor: str
    protection: str
    check_value: str


class MasterKeyImported(AboutMasterKey):
    """A master key that had been destroyed is back."""

    of_kind: ClassVar[str] = "master_key.imported"

    actor: str
    quarantined: int


class DestructionScheduled(AboutMasterKey):
    """A master key is to be destroyed."""

    of_kind: ClassVar[str] = "master_key.destruction_scheduled"

    at: Moment
    actor: str
    reason: str


class DestructionCancelled(AboutMasterKey):
    """A master key is not to be destroyed after all."""

    of_kind: ClassVar[str] = "master_key.destruction_cancelled"

    actor: str


class MasterKeyDestroyed(AboutMasterKey):
    """A master key is gone for good."""

    of_kind: ClassVar[str] = "master_key.destroyed"


class AboutRun(Happened):
    """Any of the announcements about one run of re-encryption."""

    about: ClassVar[str] = "reencryption-run/5"

    run_id: int
    purpose: str


class ReencryptionProgress(AboutRun):
    """A run has come further, of what was predicted: said every half minute at most."""

    of_kind: ClassVar[str] = "reencryption.progress"

    phase: str
    done: int
    total: int | None
    percent: int | None


class ReencryptionCompleted(AboutRun):
    """A run has rewritten, and checked, all that there was."""

    of_kind: ClassVar[str] = "reencryption.completed"

    rewritten: int
    quarantined: int


class ReencryptionCancelled(AboutRun):
    """A run was ended before it was complete; every value stays readable."""

    of_kind: ClassVar[str] = "reencryption.cancelled"
