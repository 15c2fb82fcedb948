"""What is handed over for jobs and by them: secrets by reference, and files that do not stay.

A job's row and message hold ids only. The values lie in the database as encrypted fields, and are
gone once they were used or their time is up.
"""

from workers.certificates.handover.artifacts import (
    Artifact,
    drop_artifact,
    fetch_artifact,
    keep_artifact,
    read_artifact,
)
from workers.certificates.handover.handed_secrets import hand_secret, mark_used, take_secret

__all__ = [
    "Artifact",
    "drop_artifact",
    "fetch_artifact",
    "hand_secret",
    "keep_artifact",
    "mark_used",
    "read_artifact",
    "take_secret",
]
