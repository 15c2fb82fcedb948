"""The life of a private RabbitMQ node: start, stop, kill, freeze."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.servers.deathwatch import watch_over
from tests.servers.ports import LOOPBACK
from tests.servers.rabbitmq_control import evaluate
from tests.servers.rabbitmq_home import PROGRAMS, RabbitmqHome

_START_SECONDS = 90
_STOP_SECONDS = 60
_POLL_SECONDS = 0.05
_TAIL_LINES = 80


class RabbitmqProcess:
    """A node and its epmd, which end with the calling process, however that ends.

    Raises RuntimeError, with the end of the node's log, when the node does not do as it is told.
    """

    def __init__(self, settings: Mapping[str, int | str] | None = None) -> None:
        if not PROGRAMS.is_dir():
            raise RuntimeError("RabbitMQ is not installed; run tests/install-packages.")
        self.home = RabbitmqHome.make(settings or {})
        port = str(self.home.epmd_port)
        self._epmd = subprocess.Popen(
            ["epmd", "-address", LOOPBACK, "-port", port],
            env=self.home.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.home.directory,
            process_group=0,
        )
        self._deathwatch = watch_over(self._epmd.pid, self.home.directory)
        self._node: subprocess.Popen[bytes] | None = None
        self._frozen = False

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The AMQP port, the same for the whole life of this object."""
        return self.home.amqp_port

    @property
    def running(self) -> bool:
        """Whether the node's process is there, frozen or not."""
        return self._node is not None and self._node.poll() is None

    def start(self) -> None:
        """Start the node, with the data it has; return once it takes connections."""
        if self.running:
            raise RuntimeError("The node is running already.")
        with self.home.log.open("ab") as log:
            self._node = subprocess.Popen(
                [PROGRAMS / "rabbitmq-server"],
                env=self.home.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home.directory,
                process_group=self._epmd.pid,
            )
        self._wait("start", self._is_ready, _START_SECONDS)

    def stop(self) -> None:
        """Stop the node in the orderly way; its data stays."""
        if not self.running:
            return
        self.resume()
        self._process.send_signal(signal.SIGTERM)
        self._wait("stop", lambda: not self.running, _STOP_SECONDS)

    def restart(self) -> None:
        """Stop the node in the orderly way and start it again."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """End the node at once, as a loss of power would; its data stays."""
        self._end()

    def pause(self) -> None:
        """Freeze the node: connections stay open and nothing answers."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)
        self._frozen = True

    def resume(self) -> None:
        """Let a frozen node go on."""
        self._process.send_signal(signal.SIGCONT)
        self._frozen = False

    def close(self) -> None:
        """End the node and its epmd and remove its directory; fine if that was done before."""
        self._end()
        for companion in (self._epmd, self._deathwatch):
            companion.kill()
            companion.wait()
        shutil.rmtree(self.home.directory, ignore_errors=True)

    def _end(self) -> None:
        if self.running:
            self._process.kill()
            self._process.wait()
        self._frozen = False

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        if self._node is None or self._node.poll() is not None:
            raise RuntimeError("The node is not running.")
        return self._node

    def _is_ready(self) -> bool:
        """Whether orders are taken and the protocol header of AMQP is answered with a frame."""
        if not self.running:
            raise RuntimeError(f"The node ended while it started:\n{self._log_tail()}")
        with suppress(OSError):
            evaluate(self.home.control_socket, "ok")
            with socket.create_connection((LOOPBACK, self.port), 1) as client:
                client.sendall(b"AMQP\x00\x00\x09\x01")
                return client.recv(1) == b"\x01"
        return False

    def _wait(
        self, for_what: str, condition: Callable[[], bool], seconds: float = _STOP_SECONDS
    ) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"The node did not {for_what} in {seconds} s:\n{self._log_tail()}"
                )
            time.sleep(_POLL_SECONDS)

    def _log_tail(self) -> str:
        lines = self.home.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])
