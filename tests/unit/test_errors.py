"""Errors as problem documents: each kind has a name of its own."""

import importlib
import pkgutil
import re
from collections import Counter

import pytest

import workers
from workers.errors import (
    ConflictError,
    InvalidRequestError,
    KeywrightError,
    NotFoundError,
    PermanentError,
    TransientError,
)

WITH_EFFECTS = {"workers.main", "workers.cli.__main__"}


def every_kind() -> list[type[KeywrightError]]:
    """Return each class of error that the workers know."""
    for module in pkgutil.walk_packages(workers.__path__, "workers."):
        if module.name not in WITH_EFFECTS:
            importlib.import_module(module.name)
    found: list[type[KeywrightError]] = [KeywrightError]
    for kind in found:
        found += [each for each in kind.__subclasses__() if each not in found]
    return [kind for kind in found if kind.__module__.startswith("workers.")]


def test_a_problem_names_its_kind_the_reason_and_the_occurrence() -> None:
    problem = ConflictError("The name is taken; choose another.").problem("urn:keywright:job:7")
    assert problem == {
        "type": "urn:keywright:problem:conflict",
        "title": "The request contradicts the present state",
        "detail": "The name is taken; choose another.",
        "instance": "urn:keywright:job:7",
    }


def test_a_kind_derived_without_a_name_keeps_that_of_its_root() -> None:
    class OutOfPaperError(TransientError):
        """The printer has no paper."""

    assert OutOfPaperError("x").problem("urn:x")["type"] == "urn:keywright:problem:transient"


@pytest.mark.parametrize("kind", [InvalidRequestError, NotFoundError, ConflictError])
def test_wrong_requests_are_permanent(kind: type[KeywrightError]) -> None:
    assert issubclass(kind, PermanentError)
    assert not issubclass(kind, TransientError)


def test_no_kind_is_both_permanent_and_transient() -> None:
    roots = (PermanentError, TransientError)
    assert [kind for kind in every_kind() if all(issubclass(kind, root) for root in roots)] == []


def test_codes_are_words_and_no_two_kinds_share_one_by_accident() -> None:
    own = [kind.__dict__["code"] for kind in every_kind() if "code" in kind.__dict__]
    assert [code for code in own if not re.fullmatch(r"[a-z]+(-[a-z]+)*", code)] == []
    assert [code for code, times in Counter(own).items() if times > 1] == []


def test_who_has_a_code_of_its_own_has_a_title_of_its_own() -> None:
    titles = [kind.__dict__.get("title") for kind in every_kind() if "code" in kind.__dict__]
    assert None not in titles
    assert len(set(titles)) == len(titles)
