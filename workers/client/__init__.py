"""What a Python program needs to ask keywright for jobs in its own transactions.

Imports the contract and psycopg, and nothing else of keywright: it knows no key and no broker.
"""

from workers.client.calls import Job, cancel, enqueue, job_status, retry
from workers.client.errors import (
    InvalidArgumentsError,
    NoSuchJobError,
    WrongStateError,
)
from workers.errors import NotAllowedError, TooLargeError, TooManyOpenJobsError

__all__ = [
    "InvalidArgumentsError",
    "Job",
    "NoSuchJobError",
    "NotAllowedError",
    "TooLargeError",
    "TooManyOpenJobsError",
    "WrongStateError",
    "cancel",
    "enqueue",
    "job_status",
    "retry",
]
