"""The contract says the truth about the code behind it."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import partial
from typing import Any, get_type_hints

import pytest
from psycopg_pool import ConnectionPool

import workers
from workers.composition import usual_handlers
from workers.contract import JOB_REQUESTS, JobRequest
from workers.contract.request import COMMON_PROBLEMS
from workers.errors import KeywrightError
from workers.settings import load_settings

every_kind = pytest.mark.parametrize("request_type", JOB_REQUESTS, ids=lambda each: each.kind)


@pytest.fixture(scope="module")
def handlers() -> dict[type[JobRequest], Any]:
    settings = load_settings({"KEYWRIGHT_SMTP_URL": "smtp://localhost"})
    return dict(usual_handlers(settings, "", ConnectionPool(open=False)))


@every_kind
def test_a_handler_returns_what_the_contract_says(
    request_type: type[JobRequest], handlers: dict[type[JobRequest], Any]
) -> None:
    handle = handlers[request_type]
    while isinstance(handle, partial):
        handle = handle.func
    returned = get_type_hints(inspect.unwrap(handle))["return"]
    assert returned == (request_type.result or type(None))


@every_kind
def test_every_problem_that_the_contract_names_can_occur(request_type: type[JobRequest]) -> None:
    known = {each.code for each in errors()}
    assert {*COMMON_PROBLEMS, *request_type.problems} - known == set()


@every_kind
def test_what_requesters_may_ask_for_is_no_inner_work(request_type: type[JobRequest]) -> None:
    if request_type.queue == "maintenance" and request_type.kind != "system.ping":
        assert not request_type.for_requesters


def errors() -> Iterator[type[KeywrightError]]:
    """Yield every kind of error that there is."""
    for module in pkgutil.walk_packages(workers.__path__, "workers."):
        if module.name not in ("workers.main", "workers.cli.__main__"):
            importlib.import_module(module.name)
    waiting: list[type[KeywrightError]] = [KeywrightError]
    while waiting:
        kind = waiting.pop()
        yield kind
        waiting += kind.__subclasses__()
