"""How the connection to a database is verified, unless its address says so itself."""

import os
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from workers.tls import is_this_machine, system_ca_file

VERIFYING = ("verify-ca", "verify-full")


def with_verification(conninfo: str, ca_file: Path | None = None) -> str:
    """Return a connection string or URL that verifies the server, where it leaves this machine.

    What the string says itself about ``sslmode`` and ``sslrootcert`` stays as it is. Otherwise a
    server that is reached neither by a Unix socket nor by loopback must show a certificate for its
    name (``verify-full``), of an authority in ``ca_file`` or else of one that the system trusts. A
    string that cannot be read is returned as it is: who connects with it is told.
    """
    try:
        said = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        return conninfo
    missing: dict[str, str] = {}
    mode = said.get("sslmode")
    if mode is None and leaves_this_machine(conninfo):
        missing["sslmode"] = mode = "verify-full"
    if mode in VERIFYING and "sslrootcert" not in said:
        # Not "system": libpq may bring an OpenSSL that does not know where the system has them.
        missing["sslrootcert"] = str(ca_file.absolute()) if ca_file else system_ca_file()
    if not missing:
        return conninfo
    if "://" not in conninfo.partition("=")[0]:
        return make_conninfo(conninfo, **missing)
    return f"{conninfo}{'&' if '?' in conninfo else '?'}{urlencode(missing, quote_via=quote)}"


def leaves_this_machine(conninfo: str) -> bool:
    """Tell whether a server of this connection string may be another machine.

    Raises:
        psycopg.ProgrammingError: it cannot be read.
    """
    said = conninfo_to_dict(conninfo)
    if "service" in said:
        return True  # the host stands in a file of libpq's
    # PGHOST and PGHOSTADDR fill in for what is not there; a name counts before its address.
    usual = {
        option.keyword.decode(): os.fsdecode(option.val)
        for option in pq.Conninfo.get_defaults()
        if option.val
    }
    hosts = ""
    for name in ("host", "hostaddr"):
        hosts = str(said.get(name) or usual.get(name) or "")
        if hosts:
            break
    return not all(_is_near(host) for host in hosts.split(","))


def _is_near(host: str) -> bool:
    # Empty means libpq's default, a socket; @ begins the name of an abstract one.
    return not host or host.startswith(("/", "@")) or is_this_machine(host)
