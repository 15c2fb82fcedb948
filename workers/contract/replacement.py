"""Jobs that replace certificates, place by place."""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from workers.contract.certificates import UniqueName, VersionNumber
from workers.contract.request import JobRequest, Queue
from workers.contract.usages import Place, PlaceKind

ReplacementId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Reason = Annotated[str, Field(min_length=1, max_length=500)]


class PlaceName(BaseModel):
    """A place that uses a certificate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place_kind: PlaceKind
    place: Place


Places = Annotated[tuple[PlaceName, ...], Field(max_length=1000)]


class ReplacementStarted(BaseModel):
    """The replacement; without one, ``waits_for_signature``: upload the new version's chain first.

    ``created`` False: the very same had been started before.
    """

    replacement_id: int | None
    created: bool
    waits_for_signature: bool
    new_version: int | None
    places: int
    remarks: tuple[str, ...] = ()


class PlacesMoved(BaseModel):
    """How many places took the step, had taken it before, or are too far behind to take it."""

    state: str
    moved: int
    there_already: int
    too_early: int


class StartReplacement(JobRequest):
    """Stage the replacement of a certificate version: its places are to move to another one.

    Without ``successor`` the newest signed version of the same certificate takes over; with
    ``rekey`` that version is made first. Deadlines that are not given lie well before the end.
    """

    kind: ClassVar[str] = "replacement.start"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = ReplacementStarted
    problems: ClassVar[tuple[str, ...]] = ("not-repeatable",)
    time_limit_seconds: ClassVar[float] = 300

    certificate: UniqueName
    version_number: VersionNumber | None = None
    successor: UniqueName | None = None
    successor_version: VersionNumber | None = None
    rekey: bool = False
    overlap_by: AwareDatetime | None = None
    switch_by: AwareDatetime | None = None
    retire_by: AwareDatetime | None = None
    reason: Reason = "asked for"


class AdvanceReplacement(JobRequest):
    """Let places take their next step: accept both, use the new one, or give up the old one.

    Without ``places`` all move that can. ``completed`` lets every place give up the old one and
    ends the replacement; ``without_overlap`` lets a place switch that does not accept both yet.
    """

    kind: ClassVar[str] = "replacement.advance"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = PlacesMoved
    problems: ClassVar[tuple[str, ...]] = ("place-busy",)
    most_bytes: ClassVar[int] = 512 * 1024

    replacement_id: ReplacementId
    to: Literal["overlapping", "switched", "retired", "completed"]
    places: Places = ()
    without_overlap: bool = False


class RollBackReplacement(JobRequest):
    """Let places go one step back; without ``places``, all to the old one, which ends it."""

    kind: ClassVar[str] = "replacement.roll_back"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = PlacesMoved
    problems: ClassVar[tuple[str, ...]] = ("place-busy",)
    most_bytes: ClassVar[int] = 512 * 1024

    replacement_id: ReplacementId
    places: Places = ()
