"""Running the command at a terminal, where it may ask and a person types."""

import subprocess
import sys
from collections.abc import Sequence

from tests.acceptance.keywright_command import ROOT, Keywright
from tests.servers.ending import ended

# A terminal of its own for the command: what it shows goes to our pipe, what we write is typed.
_TERMINAL = """
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""


def at_a_terminal(
    keywright: Keywright, *arguments: str, typing: Sequence[tuple[str, str]]
) -> tuple[int, str]:
    """Run to the end; after each prompt type the answer. Return exit code and screen.

    Where nothing is shown of the answer, the prompt has to be whole, with its space at the end:
    what is typed before that is thrown away.
    """
    started = subprocess.Popen(
        [sys.executable, "-c", _TERMINAL, sys.executable, "-m", "workers.cli", *arguments],
        env=keywright.environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    with ended(started) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        screen = b""
        for prompt, answer in typing:
            seen = len(screen)
            while prompt.encode() not in screen[seen:]:
                shown = process.stdout.read(4096)
                assert shown, f"it ended before it asked “{prompt}”: {screen.decode()}"
                screen += shown
            process.stdin.write(answer.encode() + b"\n")
        screen += process.stdout.read()
        process.stdin.close()
        process.wait()
    return process.returncode, screen.decode()
