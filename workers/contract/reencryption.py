"""Jobs of bulk re-encryption. Only the first is asked for by others; it leads to the rest."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field

from workers.contract.request import JobRequest, Queue

FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,62}$")]
RunId = Annotated[int, Field(ge=1, lt=2**63)]


class Begun(BaseModel):
    """The run that a request led to."""

    run_id: int


class RunState(BaseModel):
    """What has become of a run."""

    state: Literal["starting", "rewriting", "verifying", "paused", "cancelled", "completed"]


class StartReencryption(JobRequest):
    """Begin a run that brings the organization's encrypted fields under its active master key.

    Without ``fields``, all of them. ``encrypt`` also takes what is plaintext yet, ``decrypt`` turns
    values back into plaintext; both want the fields named.
    """

    kind: ClassVar[str] = "reencryption.start"
    queue: ClassVar[Queue] = Queue.ENCRYPTION
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = Begun
    most_bytes: ClassVar[int] = 128 * 1024

    purpose: Literal["reencrypt", "encrypt", "decrypt"] = "reencrypt"
    fields: Annotated[tuple[FieldName, ...], Field(max_length=1000)] = ()


class PrepareReencryption(JobRequest):
    """Raise the write fence for a run and divide its tables into ranges."""

    kind: ClassVar[str] = "reencryption.prepare"
    queue: ClassVar[Queue] = Queue.ENCRYPTION
    result: ClassVar[type[BaseModel] | None] = RunState
    time_limit_seconds: ClassVar[float] = 900
    max_attempts: ClassVar[int] = 100
    retry_base_seconds: ClassVar[float] = 1
    retry_cap_seconds: ClassVar[float] = 30

    run_id: RunId


class WorkOnReencryption(JobRequest):
    """Rewrite or verify ranges of a run until none is left, or it is another job's turn.

    A run has as many of these jobs at a time as it has slots; each is followed by the next turn.
    """

    kind: ClassVar[str] = "reencryption.work"
    queue: ClassVar[Queue] = Queue.ENCRYPTION
    result: ClassVar[type[BaseModel] | None] = RunState
    time_limit_seconds: ClassVar[float] = 1200
    # What is done stays done, so trying again costs nothing.
    max_attempts: ClassVar[int] = 100
    retry_base_seconds: ClassVar[float] = 1
    retry_cap_seconds: ClassVar[float] = 30

    run_id: RunId
    slot: Annotated[int, Field(ge=0, lt=64)]
    turn: Annotated[int, Field(ge=0)] = 0


class ConcludeReencryption(JobRequest):
    """Take the census of a run: another pass, the verification, or the end."""

    kind: ClassVar[str] = "reencryption.conclude"
    queue: ClassVar[Queue] = Queue.ENCRYPTION
    result: ClassVar[type[BaseModel] | None] = RunState
    time_limit_seconds: ClassVar[float] = 3600
    max_attempts: ClassVar[int] = 100
    retry_base_seconds: ClassVar[float] = 1
    retry_cap_seconds: ClassVar[float] = 30

    run_id: RunId
