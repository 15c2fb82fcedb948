"""The page of the kinds of job."""

import inspect
import json

from docs.pages.markdown import page, table
from workers.contract import JOB_REQUESTS, JobRequest

_INTRODUCTION = """
What may be asked of keywright. Ask with [`keywright enqueue`](commands.md#keywright-enqueue), or
[from other systems](../how-to/enqueue-from-other-systems.md). Arguments are checked against the
JSON Schema when a job is asked for, and again when a worker takes it.

A transient error is tried again after a wait that doubles up to its cap and is stretched by up to a
half at random. A permanent error, or the last attempt, makes the job `failed`.
"""


def jobs_page() -> str:
    """Describe every kind of job."""
    return page("Kinds of job", _INTRODUCTION, *(_section(each) for each in JOB_REQUESTS))


def _section(request: type[JobRequest]) -> str:
    schema = request.model_json_schema()
    del schema["title"], schema["description"]
    limits = table(
        ("Queue", "Attempts", "Time limit", "Wait before a retry"),
        [
            (
                request.queue.value,
                str(request.max_attempts),
                f"{request.time_limit_seconds:g} s",
                f"{request.retry_base_seconds:g} s, doubling up to {request.retry_cap_seconds:g} s",
            )
        ],
    )
    return "\n\n".join(
        [
            f"## {request.kind}",
            inspect.cleandoc(request.__doc__ or ""),
            limits,
            f"Arguments:\n\n```json\n{json.dumps(schema, indent=2)}\n```",
        ]
    )
