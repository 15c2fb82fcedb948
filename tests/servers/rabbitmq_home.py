"""Where a private RabbitmqNode lives: its directory, ports, secrets and configuration files."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.servers.folders import server_folder
from tests.servers.ports import LOOPBACK, free_port
from tests.servers.rabbitmq_control import SCRIPT

# Not the programs of the same name in /usr/sbin: those switch to the system's rabbitmq user, drop
# this environment and leave an epmd behind that listens on every interface.
PROGRAMS = Path("/usr/lib/rabbitmq/bin")

ORDINARY_WATERMARK = "0.4"

_CONFIGURATION = """\
listeners.tcp.1 = {address}:{port}
default_user = {user}
default_pass = {password}
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.relative = {watermark}
"""

# Erlang's distribution would listen on every interface.
_LOOPBACK_ONLY = "-kernel inet_dist_use_interface {127,0,0,1}"
_WITH_CONTROL = "-eval {ok,_}=file:script(control)"


@dataclass(frozen=True, kw_only=True)
class RabbitmqHome:
    """A directory that only its owner can enter, and all that a node needs in it."""

    directory: Path
    amqp_port: int
    distribution_port: int
    epmd_port: int
    user: str
    password: str

    @classmethod
    def make(cls, settings: Mapping[str, int | str]) -> Self:
        """Choose ports and secrets, and write the configuration into a new directory.

        ``settings`` are settings of the Erlang application ``rabbit`` by their Erlang names; a text
        is an Erlang term.
        """
        home = cls(
            directory=server_folder("rabbitmq-"),
            amqp_port=free_port(),
            distribution_port=free_port(),
            epmd_port=free_port(),
            user=f"user-{secrets.token_hex(4)}",
            password=secrets.token_urlsafe(16),
        )
        rows = ",".join(f"{{{name},{value}}}" for name, value in settings.items())
        home._write("advanced.config", f"[{{rabbit,[{rows}]}}].\n")
        home._write("enabled_plugins", "[].\n")
        home._write(".erlang.cookie", secrets.token_hex(20))
        home._write("control", SCRIPT.read_text(encoding="utf-8"))
        home._write(
            "rabbitmq.conf",
            _CONFIGURATION.format(
                address=LOOPBACK,
                port=home.amqp_port,
                user=home.user,
                password=home.password,
                watermark=ORDINARY_WATERMARK,
            ),
        )
        return home

    @property
    def log(self) -> Path:
        """Everything the node says, from its first start on."""
        return self.directory / "node.log"

    @property
    def control_socket(self) -> Path:
        """Where the node takes orders once it has started."""
        return self.directory / "control.socket"

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of the node, its epmd and its control programs.

        Nothing is inherited but the search path: variables of a system broker do no harm. The
        node's name holds an address, so that no name has to be looked up.
        """
        here = self.directory
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(here),  # the place of the cookie
            "ERL_CRASH_DUMP_BYTES": "0",
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_EPMD_PORT": str(self.epmd_port),
            "RABBITMQ_NODENAME": f"rabbit@{LOOPBACK}",
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(self.amqp_port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{_LOOPBACK_ONLY} {_WITH_CONTROL}",
            "RABBITMQ_CTL_ERL_ARGS": _LOOPBACK_ONLY,
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(here / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(here / "generated"),
            "RABBITMQ_PLUGINS_EXPAND_DIR": str(here / "plugins"),
            "RABBITMQ_SCHEMA_DIR": str(here / "schema"),
            "RABBITMQ_MNESIA_BASE": str(here / "data"),
            "RABBITMQ_LOG_BASE": str(here / "log"),
            "RABBITMQ_LOGS": "-",
            # Makes the start script become the node instead of waiting for it: one process id.
            "detached": "true",
        }

    def _write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
