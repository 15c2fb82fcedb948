"""Jobs that record where certificates are used."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from workers.contract.certificates import UniqueName, VersionNumber
from workers.contract.request import JobRequest, Queue

PlaceKind = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$", min_length=1, max_length=64)]
Place = Annotated[str, Field(min_length=1, max_length=200)]


class RegisteredUsage(BaseModel):
    """The usage that there is now."""

    usage_id: int


class RegisterUsage(JobRequest):
    """Register that a place uses a certificate, by default its newest signed version.

    Where it is registered so already, nothing changes.
    """

    kind: ClassVar[str] = "usage.register"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = RegisteredUsage

    certificate: UniqueName
    place_kind: PlaceKind
    place: Place
    version_number: VersionNumber | None = None


class MoveUsage(JobRequest):
    """Record that a place has switched to another certificate or version."""

    kind: ClassVar[str] = "usage.move"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True

    place_kind: PlaceKind
    place: Place
    certificate: UniqueName
    version_number: VersionNumber | None = None


class RemoveUsage(JobRequest):
    """Record that a place uses no certificate any more."""

    kind: ClassVar[str] = "usage.remove"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True

    place_kind: PlaceKind
    place: Place
