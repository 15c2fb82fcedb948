"""Asking a private RabbitMQ node to do something inside itself, in a millisecond or so.

``rabbitmqctl`` takes half a second, and ``erl_call`` fails where the host's name is unknown.
"""

import json
import socket
import struct
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_suffix(".erl")
"""What answers, run by the node when it has started."""

_TIMEOUT_SECONDS = 60
_LENGTH = struct.Struct(">I")


def evaluate(control_socket: Path, expression: str) -> Any:
    """Evaluate an Erlang expression on a node and return its value, which must have a JSON form.

    Raises:
        OSError: the node does not answer.
        RuntimeError: the expression is wrong or has failed; the text says how.
    """
    request = expression.encode()
    with socket.socket(socket.AF_UNIX) as node:
        node.settimeout(_TIMEOUT_SECONDS)
        node.connect(str(control_socket))
        node.sendall(_LENGTH.pack(len(request)) + request)
        with node.makefile("rb") as stream:
            answer = stream.read()
    if len(answer) < _LENGTH.size:
        raise ConnectionResetError("The node ended while it evaluated an expression.")
    outcome = json.loads(answer[_LENGTH.size :])
    if "error" in outcome:
        raise RuntimeError(f"{expression} failed: {outcome['error']}")
    return outcome["value"]
