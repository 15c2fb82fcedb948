"""Jobs on master keys. Key material is never an argument: exports and imports are no jobs."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from workers.contract.request import JobRequest, Queue

KeyNumber = Annotated[int, Field(ge=1, le=2**32 - 1)]


class RotationOutcome(BaseModel):
    """The number of the active key by now; ``rotated`` False: somebody else was faster."""

    number: int
    former: int | None
    rotated: bool
    reencryption_job: int | None = None


class Rewrapped(BaseModel):
    """How many keys got a wrap under the root key in use."""

    wrapped: int


class Reviewed(BaseModel):
    """How many jobs a review asked for that nobody had asked for yet."""

    rotations: int
    destructions: int


class Destroyed(BaseModel):
    """Whether the job destroyed the key; else it was not to be destroyed any more, or not yet."""

    destroyed: bool


class RotateMasterKey(JobRequest):
    """Archive the organization's active master key and make the next one, in one step.

    ``expected_number`` is the key that is to give way: where another is active by now, somebody
    else has rotated, and there is nothing left to do. With ``reencrypt``, a run moves every
    encrypted field to the new key.
    """

    kind: ClassVar[str] = "master_key.rotate"
    queue: ClassVar[Queue] = Queue.ENCRYPTION
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = RotationOutcome
    problems: ClassVar[tuple[str, ...]] = ("rotation-overtaken",)

    expected_number: KeyNumber
    reencrypt: bool = False
    reason: Annotated[str, Field(min_length=1, max_length=500)] = "asked for"


class ReviewMasterKeys(JobRequest):
    """Ask for what is due: rotations by policy or by wear, and scheduled destructions."""

    kind: ClassVar[str] = "master_key.review"
    queue: ClassVar[Queue] = Queue.MAINTENANCE
    result: ClassVar[type[BaseModel] | None] = Reviewed

    sealing_key_days: Annotated[int, Field(ge=1, le=3650)] = 90


class RotateSealingKey(JobRequest):
    """Publish another key to seal secrets to; the one before opens what it was sealed to a while.

    Where ``expected`` is not published any more, somebody else was faster, and nothing is done.
    """

    kind: ClassVar[str] = "sealing_key.rotate"
    queue: ClassVar[Queue] = Queue.ENCRYPTION

    expected: Annotated[str, Field(pattern="^[a-z0-9]{8,32}$")]


class RewrapMasterKeys(JobRequest):
    """Wrap every master key under the root key in use, too; the older wraps stay."""

    kind: ClassVar[str] = "master_key.rewrap"
    queue: ClassVar[Queue] = Queue.ENCRYPTION
    result: ClassVar[type[BaseModel] | None] = Rewrapped
    problems: ClassVar[tuple[str, ...]] = ("keys-left-behind",)
    time_limit_seconds: ClassVar[float] = 3600


class DestroyMasterKey(JobRequest):
    """Destroy an archived master key whose time has come, unless something still needs it."""

    kind: ClassVar[str] = "master_key.destroy"
    queue: ClassVar[Queue] = Queue.ENCRYPTION
    result: ClassVar[type[BaseModel] | None] = Destroyed
    problems: ClassVar[tuple[str, ...]] = ("key-still-needed",)
    time_limit_seconds: ClassVar[float] = 3600

    key_number: KeyNumber
