"""The test run itself: one that hangs ends, and says where."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

ROOT = Path(__file__).parents[2]

Run = Callable[..., "CompletedProcess[str]"]

BOUNDS = """
import tests.hanging
pytest_plugins = ("tests.hanging",)
tests.hanging.CLEAN_UP_SECONDS, tests.hanging.LONGEST_SECONDS = {clean_up}, {longest}
"""

CLEANS_UP_FOR_EVER = """
import threading
import pytest

@pytest.fixture
def never():
    yield
    {wait}

def test_hangs(never):
    assert False, "the cause"

def test_goes_on():
    pass
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run tests that clean up for ever, with short bounds."""

    def run(wait: str, *options: str, clean_up: float, longest: float) -> "CompletedProcess[str]":
        (tmp_path / "conftest.py").write_text(BOUNDS.format(clean_up=clean_up, longest=longest))
        (tmp_path / "test_it.py").write_text(CLEANS_UP_FOR_EVER.format(wait=wait))
        return subprocess.run(
            [sys.executable, "-m", "pytest", "--rootdir", tmp_path, *options, tmp_path],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "beside others"])
def test_a_clean_up_that_takes_for_ever_fails_and_the_rest_is_run(
    run: Run, options: list[str]
) -> None:
    done = run("threading.Event().wait()", *options, clean_up=1, longest=50)
    assert done.returncode == 1
    assert "test_hangs failed in call: AssertionError: the cause" in done.stdout
    assert "cleaning up takes more than 1 s" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert "1 error" in done.stdout


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "beside others"])
def test_what_no_exception_ends_ends_the_run(run: Run, options: list[str]) -> None:
    stubborn = (
        "while True:\n        try:\n            threading.Event().wait()\n"
        "        except BaseException:\n            pass"
    )
    done = run(stubborn, *options, clean_up=1, longest=3)
    assert done.returncode != 0
    assert "test_hangs failed in call: AssertionError: the cause" in done.stdout
    assert "test_hangs hangs; its threads are at:" in done.stderr
    assert " in never\n" in done.stderr
