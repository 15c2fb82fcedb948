"""What can be chosen for a run; kept with it as JSON."""

from dataclasses import asdict, dataclass, field
from typing import Any

from workers.errors import InvalidRequestError
from workers.reencryption.pacing import Limits

MOST_WORKERS = 64


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How many jobs are at work at a time, what they may do to the database, and when to stop.

    With more than ``most_quarantined`` values that do not open, the run pauses: most likely a key
    is missing.
    """

    workers: int = 2
    limits: Limits = field(default_factory=Limits)
    most_quarantined: int = 10_000

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= MOST_WORKERS:
            raise InvalidRequestError(f"workers: 1 to {MOST_WORKERS}.")

    def to_json(self) -> dict[str, Any]:
        """Return them as the run's row keeps them."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "RunOptions":
        """Read what ``to_json`` wrote."""
        return cls(**{**value, "limits": Limits(**value["limits"])})
