"""What keeps us from a database, in words, with what to do about it.

libpq says only that a certificate was not accepted. To tell why, the handshake is made once more.
"""

import socket
import ssl
import struct
from contextlib import suppress

import psycopg
from psycopg.conninfo import conninfo_to_dict

from workers.tls import client_context, distrust_in_words, system_ca_file

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL's “Message Formats”, SSLRequest
_TIMEOUT_SECONDS = 5


def trouble_in_words(
    conninfo: str, error: psycopg.OperationalError, *, variable: str, name: str = "the database"
) -> str:
    """Return one sentence about a connection that was not made, without the password.

    ``variable`` is what the address was read from, and ``name`` what we call the database.
    """
    said = str(error).strip()
    if "does not match host name" in said:
        return (
            f"Cannot connect to {name}: the server has a certificate for another host name; write a"
            f" name that stands in the certificate into {variable}, or have one issued for this"
            " name."
        )
    if "certificate verify failed" in said:
        return f"Cannot connect to {name}: the server {_distrust(conninfo, variable)}."
    if "server does not support SSL" in said:
        return (
            f"Cannot connect to {name}: the server offers no TLS; switch it on there (ssl = on), or"
            f" add sslmode=disable to {variable} where nobody else is on the network between."
        )
    reason = said.splitlines()[0] if said else type(error).__name__
    return f"Cannot connect to {name} ({reason}); check {variable}."


def _distrust(conninfo: str, variable: str) -> str:
    with suppress(psycopg.ProgrammingError):
        place = conninfo_to_dict(conninfo)
        hosts = str(place.get("host") or place.get("hostaddr") or "").split(",")
        addresses = str(place.get("hostaddr") or "").split(",")
        ports = str(place.get("port") or "5432").split(",")
        root = str(place.get("sslrootcert") or "system")
        for number, host in enumerate(hosts):
            address = addresses[number] if number < len(addresses) else ""
            port = ports[number] if number < len(ports) else ports[0]
            distrust = _shake_hands(host, address or host, int(port or 5432), root)
            if distrust is not None:
                return distrust_in_words(distrust, variable)
    return (
        "has a certificate that is not trusted; name a file with its authority's certificate in"
        " KEYWRIGHT_CA_FILE"
    )


def _shake_hands(
    host: str, address: str, port: int, root: str
) -> ssl.SSLCertVerificationError | None:
    """Return why a server's certificate is not accepted, if it is not."""
    try:
        context = client_context(system_ca_file() if root == "system" else root)
        with socket.create_connection((address, port), _TIMEOUT_SECONDS) as connection:
            connection.sendall(_SSL_REQUEST)
            if connection.recv(1) == b"S":
                context.wrap_socket(connection, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        return error
    except (OSError, ValueError):
        pass
    return None
