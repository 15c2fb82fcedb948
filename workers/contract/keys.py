"""Jobs on master keys. Key material is never an argument: exports and imports are no jobs."""

from typing import Annotated, ClassVar

from pydantic import Field

from workers.contract.request import JobRequest, Queue

KeyNumber = Annotated[int, Field(ge=1, le=2**32 - 1)]


class RotateMasterKey(JobRequest):
    """Archive the organization's active master key and make the next one, in one step.

    ``expected_number`` is the key that is to give way: where another is active by now, somebody
    else has rotated, and there is nothing left to do. With ``reencrypt``, a run moves every
    encrypted field to the new key.
    """

    kind: ClassVar[str] = "master_key.rotate"
    queue: ClassVar[Queue] = Queue.ENCRYPTION

    expected_number: KeyNumber
    reencrypt: bool = False
    reason: Annotated[str, Field(min_length=1, max_length=500)] = "asked for"


class ReviewMasterKeys(JobRequest):
    """Ask for what is due: rotations by policy or by wear, and scheduled destructions."""

    kind: ClassVar[str] = "master_key.review"
    queue: ClassVar[Queue] = Queue.MAINTENANCE


class RewrapMasterKeys(JobRequest):
    """Wrap every master key under the root key in use, too; the older wraps stay."""

    kind: ClassVar[str] = "master_key.rewrap"
    queue: ClassVar[Queue] = Queue.ENCRYPTION
    time_limit_seconds: ClassVar[float] = 3600


class DestroyMasterKey(JobRequest):
    """Destroy an archived master key whose time has come, unless something still needs it."""

    kind: ClassVar[str] = "master_key.destroy"
    queue: ClassVar[Queue] = Queue.ENCRYPTION
    time_limit_seconds: ClassVar[float] = 3600

    key_number: KeyNumber
