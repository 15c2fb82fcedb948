"""A RabbitMQ node of one's own, to be used, killed, frozen and starved by tests and benchmarks."""

import secrets
import subprocess
import time
from typing import Any
from urllib.parse import quote

from tests.servers.ports import LOOPBACK
from tests.servers.rabbitmq_control import evaluate
from tests.servers.rabbitmq_home import ORDINARY_WATERMARK, PROGRAMS
from tests.servers.rabbitmq_process import RabbitmqProcess

_STARVING_WATERMARK = "0.00001"
_CONTROL_SECONDS = 60

# Quorum queues refresh the counters that rabbitmqctl shows only every five seconds. Asked itself
# just after a start, a queue of version 3.10 may answer before it has read its log to the end
# (https://github.com/rabbitmq/ra/pull/342); once it has done an errand, it has read it.
_QUEUE_DEPTHS = """\
maps:from_list([begin
  {{resource, _, _, Name}} = amqqueue:get_name(Queue),
  {{Name, case amqqueue:get_type(Queue) of
    rabbit_quorum_queue ->
      Leader = amqqueue:get_pid(Queue),
      {{ok, _, _}} = ra:process_command(Leader, rabbit_fifo:make_purge_nodes([])),
      Total = fun rabbit_fifo:query_messages_total/1,
      {{ok, Count, _}} = ra:consistent_query(Leader, Total),
      Count;
    _ ->
      [{{messages, Count}}] = rabbit_amqqueue:info(Queue, [messages]),
      Count
  end}}
end || Queue <- rabbit_amqqueue:list(<<"{vhost}">>)])
"""


class RabbitmqNode(RabbitmqProcess):
    """A node with its own data, user, cookie and epmd, listening on loopback only.

    It ends with the process that made it, however that ends, and its directory goes with it.
    ``settings`` are settings of the Erlang application ``rabbit`` by their Erlang names, such as
    ``{"consumer_timeout": 5000, "channel_tick_interval": 1000}`` (both in milliseconds).

    Raises RuntimeError, with the reason, when the node does not do as it is told.
    """

    def url(
        self,
        vhost: str = "/",
        *,
        user: str | None = None,
        password: str | None = None,
        port: int | None = None,
    ) -> str:
        """Return an AMQP URL; ``port`` may be that of a proxy in front of the node."""
        user = quote(user or self.home.user, safe="")
        password = quote(password or self.home.password, safe="")
        return f"amqp://{user}:{password}@{LOOPBACK}:{port or self.port}/{quote(vhost, safe='')}"

    def kill(self) -> None:
        """End the node at once, as a loss of power would; its data stays.

        Before version 4.0 a quorum queue declared in the last half second would be stuck for ever
        afterwards (https://github.com/rabbitmq/ra/pull/443), so its registration is saved first.
        """
        if self.running and not self._frozen:
            self.evaluate("lists:foreach(fun dets:sync/1, dets:all())")
        self._end()

    def create_vhost(self) -> str:
        """Make an empty virtual host that the node's user may use, and return its name."""
        name = f"vhost-{secrets.token_hex(4)}"
        user = self.home.user
        # Before version 3.12, deleting a virtual host may end the supervisor of at-least-once dead
        # lettering for good, and without it no quorum queue that uses it gets a leader.
        self.evaluate(
            "whereis(rabbit_fifo_dlx_sup) =/= undefined"
            " orelse element(1, supervisor:restart_child(rabbit_sup, rabbit_fifo_dlx_sup))"
        )
        self.evaluate(
            f'ok = rabbit_vhost:add(<<"{name}">>, <<"{user}">>), '
            f'ok = rabbit_auth_backend_internal:set_permissions(<<"{user}">>, <<"{name}">>, '
            f'<<".*">>, <<".*">>, <<".*">>, <<"{user}">>)'
        )
        return name

    def delete_vhost(self, name: str) -> None:
        """Remove a virtual host, its queues and its connections; fine if it is gone already."""
        self.evaluate(
            f'rabbit_vhost:exists(<<"{name}">>) '
            f'andalso rabbit_vhost:delete(<<"{name}">>, <<"{self.home.user}">>)'
        )

    def queue_depths(self, vhost: str = "/") -> dict[str, int]:
        """Count the messages in every queue right now, those held by a consumer included."""
        # A queue that is being declared or deleted at this moment has nobody to ask.
        deadline = time.monotonic() + 5
        while True:
            try:
                depths: dict[str, int] = self.evaluate(_QUEUE_DEPTHS.format(vhost=vhost))
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return depths

    def set_memory_alarm(self, on: bool) -> None:
        """Make the node believe, or no longer, that it is out of memory: it blocks publishers."""
        watermark = _STARVING_WATERMARK if on else ORDINARY_WATERMARK
        self.evaluate(f"vm_memory_monitor:set_vm_memory_high_watermark({watermark})")
        alarm = "lists:keymember({resource_limit, memory, node()}, 1, rabbit_alarm:get_alarms())"
        self._wait("change its memory alarm", lambda: self.evaluate(alarm) is on)

    def close_all_connections(self) -> int:
        """Have the node close every client connection, with an error; return how many."""
        count: int = self.evaluate(
            "Count = length(rabbit_networking:connections()), "
            'rabbit_networking:close_all_connections(<<"closed by a test">>), Count'
        )
        return count

    def heal(self) -> None:
        """Undo what a test of faults may have left behind: a dead, frozen or starved node."""
        if self.running:
            self.resume()
            self.set_memory_alarm(on=False)
        else:
            self.start()

    def evaluate(self, expression: str) -> Any:
        """Evaluate an Erlang expression on the node and return its value, as JSON has it.

        Raises OSError when the node is dead or frozen.
        """
        return evaluate(self.home.control_socket, expression)

    def ctl(self, *arguments: str) -> str:
        """Run ``rabbitmqctl --quiet`` with these arguments and return what it prints."""
        done = subprocess.run(
            [PROGRAMS / "rabbitmqctl", "--quiet", *arguments],
            env=self.home.environment,
            cwd=self.home.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CONTROL_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)} failed: {done.stderr}")
        return done.stdout
