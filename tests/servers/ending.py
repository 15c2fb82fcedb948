"""Processes that tests start and that are not to outlive them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import AnyStr


@contextmanager
def ended(process: subprocess.Popen[AnyStr]) -> Iterator[subprocess.Popen[AnyStr]]:
    """Lend a process; end it with the block, should it not have ended by itself."""
    with process:
        try:
            yield process
        finally:
            process.kill()
