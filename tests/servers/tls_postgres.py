"""A PostgreSQL that takes encrypted connections only, apart from its administrator's socket."""

import shutil
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.integration.database.plain_postgres import PlainPostgres
from tests.servers.certificates import NAME
from tests.servers.ports import LOOPBACK, free_port

_RULES = """\
local   all all                trust
hostssl all all 127.0.0.1/32   scram-sha-256
"""

USER = "keywright"
PASSWORD = "not-so-secret"


class TlsPostgres(PlainPostgres):
    """A server with the certificate in two PEM files, and one user who comes by TCP."""

    def __init__(self, certificate: tuple[Path, Path], *, encrypted: bool = True) -> None:
        self.port = free_port()
        self._certificate = certificate
        self._encrypted = encrypted

    def prepare(self, cluster: Path) -> tuple[str, ...]:
        """Make it listen, for encrypted connections alone."""
        (cluster / "pg_hba.conf").write_text(_RULES)
        for source, name in zip(self._certificate, ("server.crt", "server.key"), strict=True):
            shutil.copy(source, cluster / name)
            (cluster / name).chmod(0o600)
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "ssl": "on" if self._encrypted else "off",
        }
        return tuple(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))

    def show(self, certificate: tuple[Path, Path]) -> None:
        """Show another certificate from now on."""
        cluster = self._folder / "postgres"
        for source, name in zip(certificate, ("server.crt", "server.key"), strict=True):
            # In place: the server must go on owning them.
            (cluster / name).write_bytes(source.read_bytes())
        with psycopg.connect(self._conninfo(), autocommit=True) as administrator:
            administrator.execute("SELECT pg_reload_conf()")

    def url(self, database: str, *, host: str = NAME, **parameters: str) -> str:
        """Return the address by TCP of a database whose connection string by socket is given.

        The user that it names owns the database from then on.
        """
        name = conninfo_to_dict(database)["dbname"]
        with psycopg.connect(database, autocommit=True) as administrator:
            administrator.execute(
                "DO $$ BEGIN IF to_regrole('keywright') IS NULL THEN"
                " CREATE ROLE keywright LOGIN PASSWORD 'not-so-secret'; END IF; END $$"
            )
            administrator.execute(f"ALTER DATABASE {name} OWNER TO {USER}")
        query = f"?{urlencode(parameters)}" if parameters else ""
        return f"postgresql://{USER}:{PASSWORD}@{host}:{self.port}/{name}{query}"

    def _conninfo(self, database: str = "postgres") -> str:
        return make_conninfo(super()._conninfo(database), port=self.port)
