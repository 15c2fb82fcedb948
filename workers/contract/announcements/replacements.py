"""What is announced while one certificate takes the place of another."""

from typing import ClassVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from workers.contract.announcements.happened import Happened, Moment


class NamedVersion(BaseModel):
    """A version by its certificate's name and its number; the default certificate has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unique_name: str
    version_number: int | None


class _Replacement(Happened):
    about: ClassVar[str] = "replacement/3"


class _BetweenTwo(_Replacement):
    old: NamedVersion
    new: NamedVersion
    actor: str


class _Moved(_BetweenTwo):
    place_kind: str
    place: str
    from_: str = Field(serialization_alias="from", validation_alias=AliasChoices("from", "from_"))
    to: str


class ReplacementStarted(_BetweenTwo):
    """A certificate is to take the place of another; nothing has been switched yet."""

    of_kind: ClassVar[str] = "certificate.replacement_started"

    places: int
    switch_by: Moment


class ReplacementMoved(_Moved):
    """A place has come a step further in a replacement, or gone back one."""

    of_kind: ClassVar[str] = "certificate.replacement_moved"


class CertificateSwitched(_Moved):
    """A place uses the other certificate of a replacement now."""

    of_kind: ClassVar[str] = "certificate.switched"


class ReplacementOverdue(_Replacement):
    """A place is late with its next step in a replacement."""

    of_kind: ClassVar[str] = "certificate.replacement_overdue"

    place_kind: str
    place: str
    state: str
    due_at: Moment


class CertificateReplaced(_BetweenTwo):
    """A replacement is complete: no place uses the old certificate."""

    of_kind: ClassVar[str] = "certificate.replaced"


class ReplacementRolledBack(_BetweenTwo):
    """A replacement was given up: every place uses the old certificate."""

    of_kind: ClassVar[str] = "certificate.replacement_rolled_back"
