"""The oldest PostgreSQL of this machine's packages, as it comes: no setting of ours."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from tests.servers.deathwatch import watch_over
from tests.servers.folders import server_folder
from tests.servers.waiting import until
from workers.database.identity import choose_identity
from workers.database.layout import Layout

_INSTALLED = Path("/usr/lib/postgresql")


def oldest_programs() -> Path:
    """Return the folder of its programs; ``tests/install-packages`` provides one."""
    found = sorted(_INSTALLED.glob("*/bin/postgres"), key=lambda each: int(each.parts[-3]))
    assert found, f"no PostgreSQL in {_INSTALLED}; install the package postgresql"
    return found[0].parent


class PlainPostgres:
    """A server of its own on a unix socket, gone at the end of the ``with`` block."""

    def prepare(self, cluster: Path) -> tuple[str, ...]:
        """Change what is needed before the first start; return the server's further options."""
        del cluster
        return ()

    def __enter__(self) -> Self:
        programs = oldest_programs()
        self._folder = server_folder("kw-plain-pg-")
        self._folder.chmod(0o755)
        identity = choose_identity(Layout(self._folder), programs / "postgres")
        cluster = self._folder / "postgres"
        cluster.mkdir(mode=0o700)
        identity.own(cluster)
        subprocess.run(
            [*identity.prefix, programs / "initdb", "-D", cluster, "-U", "postgres"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        socket = ("-c", f"unix_socket_directories={cluster}", "-c", "listen_addresses=")
        options = self.prepare(cluster)
        for path in cluster.iterdir():
            identity.own(path)
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*identity.prefix, programs / "postgres", "-D", cluster, *socket, *options],
                stderr=log,
                process_group=0,
            )
        self._watch = watch_over(self._process.pid, self._folder)
        until(self._answers, "the server to answer")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)
        self._watch.kill()
        self._watch.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yield the connection string of an empty database."""
        name = f"test_{secrets.token_hex(4)}"
        with psycopg.connect(self._conninfo(), autocommit=True) as administrator:
            administrator.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        yield self._conninfo(name)

    def _conninfo(self, database: str = "postgres") -> str:
        return make_conninfo(host=str(self._folder / "postgres"), user="postgres", dbname=database)

    def _answers(self) -> bool:
        assert self._process.poll() is None, os.fsdecode((self._folder / "log").read_bytes())
        try:
            psycopg.connect(self._conninfo()).close()
        except psycopg.OperationalError:
            return False
        return True
