"""A plugin of pytest: whatever hangs ends, and says where; what fails says so at once.

pytest-timeout lets go of a test as soon as something in it has failed, so that one can debug it. A
test that fails and then cleans up for ever would hold up the whole run without a word.
"""

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

CLEAN_UP_SECONDS = 120.0
LONGEST_SECONDS = 420.0  # more than the timeout of a test and the patience with its clean-up


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """End the run with a test that no exception can end."""
    watch = threading.Timer(LONGEST_SECONDS, _end_the_run, [item])
    watch.daemon = True
    watch.start()
    try:
        return (yield)
    finally:
        watch.cancel()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Go on with the next step of the clean-up when one takes too long."""

    def give_up(*_: object) -> None:
        pytest.fail(f"cleaning up takes more than {CLEAN_UP_SECONDS} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, CLEAN_UP_SECONDS, CLEAN_UP_SECONDS / 4)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class SaysAtOnce:
    """Writes what fails when it fails: should the run be cut off, there will be no summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write down a failure."""
        terminal = self._config.pluginmanager.getplugin("terminalreporter")
        if report.failed and terminal is not None:
            lines = report.longreprtext.splitlines()
            reason = next((line[1:].strip() for line in lines if line.startswith("E ")), "")
            terminal.write_line(f"\n{report.nodeid} failed in {report.when}: {reason}")
            terminal.flush()


def pytest_configure(config: pytest.Config) -> None:
    """Speak for the whole run, not for one process of several."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SaysAtOnce(config))


def _end_the_run(item: pytest.Item) -> None:
    item.config.pluginmanager.getplugin("capturemanager").suspend_global_capture(in_=True)
    assert sys.__stderr__ is not None
    print(f"\n{item.nodeid} hangs; its threads are at:", file=sys.__stderr__, flush=True)
    faulthandler.dump_traceback(sys.__stderr__)
    if hasattr(item.config, "workerinput"):
        os.kill(os.getppid(), signal.SIGINT)  # it would wait for the others, and may do so for ever
    os._exit(1)
