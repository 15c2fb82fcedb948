"""The page of the kinds of job."""

import inspect
import json

from pydantic import BaseModel

from docs.pages.markdown import code, page, table
from workers.contract import JOB_REQUESTS, JobRequest
from workers.contract.request import COMMON_PROBLEMS

_INTRODUCTION = """
What may be asked of keywright. Ask with [`keywright enqueue`](commands.md#keywright-enqueue), or
[from other systems](../how-to/enqueue-from-other-systems.md). Arguments are checked against the
JSON Schema when a job is asked for, and again when a worker takes it. The same schemas stand in
[the AsyncAPI document](asyncapi.json), which also describes what is [announced](announcements.md).

A transient error is tried again after a wait that doubles up to its cap and is stretched by up to a
half at random. A permanent error, or the last attempt, makes the job `failed`.
"""


def jobs_page() -> str:
    """Describe every kind of job."""
    return page("Kinds of job", _INTRODUCTION, *(_section(each) for each in JOB_REQUESTS))


def _section(request: type[JobRequest]) -> str:
    problems = {*COMMON_PROBLEMS, *request.problems}
    limits = table(
        ("Queue", "Asked for by", "Arguments", "Attempts", "Time limit", "Wait before a retry"),
        [
            (
                request.queue.value,
                "requesters, operators" if request.for_requesters else "keywright, operators",
                f"at most {request.most_bytes // 1024} KiB",
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
            f"Arguments:\n\n{_schema(request)}",
            _result(request),
            f"May fail with: {', '.join(map(code, sorted(problems)))}.",
        ]
    )


def _result(request: type[JobRequest]) -> str:
    if request.result is None:
        return "It has no result."
    return f"Result:\n\n{_schema(request.result)}"


def _schema(model: type[BaseModel]) -> str:
    schema = model.model_json_schema(mode="validation")
    schema.pop("title")
    schema.pop("description", None)
    return f"```json\n{json.dumps(schema, indent=2)}\n```"
