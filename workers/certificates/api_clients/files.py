"""The files that configure a client: from templates, beside certificate, key and keystore. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from workers.certificates.api_clients.addresses import check_url
from workers.certificates.api_clients.identity import Identity, private_key_pem
from workers.certificates.configuration_templates import render
from workers.certificates.keystores.entries import KeyEntry
from workers.certificates.keystores.writing import write_keystore
from workers.certificates.reading.contents import read_certificates
from workers.errors import ConflictError, InvalidRequestError

CHAIN = "certificate-chain.pem"
KEY = "private-key.pem"
KEYSTORE = "keystore.p12"
SERVER_CA = "server-ca.pem"


class Program(StrEnum):
    """What calls the API."""

    CURL = "curl"
    HTTPX = "httpx"
    REQUESTS = "requests"
    JAVA = "java"
    NODE = "node"


CONFIGURATIONS: Mapping[Program, str] = {
    Program.CURL: "curl.conf",
    Program.HTTPX: "httpx_client.py",
    Program.REQUESTS: "requests_client.py",
    Program.JAVA: "ApiClient.java",
    Program.NODE: "api_client.mjs",
}
"""The file that each program reads; its template has that name and ``.j2``."""


@dataclass(frozen=True, kw_only=True)
class ClientRequest:
    """How a client is to be configured.

    ``folder`` is where the files will lie when the program runs. ``key_file`` names a private key
    that is there already; None: the one of the identity is written beside the others.
    ``server_ca`` (PEM) is what the listener's certificate leads to; None: what the system trusts.
    For Java, ``password`` protects the keystore, and ``password_file`` is where it is read from.
    """

    program: Program
    url: str
    folder: PurePosixPath
    key_file: PurePosixPath | None = None
    server_ca: bytes | None = None
    password: str | None = field(default=None, repr=False)
    password_file: PurePosixPath | None = None


def client_files(request: ClientRequest, identity: Identity) -> dict[str, bytes]:
    """Return all files by name; those with secrets among them.

    Raises:
        InvalidRequestError, ConflictError: something is missing or cannot be written.
    """
    files: dict[str, bytes] = {}
    if request.server_ca is not None:
        files[SERVER_CA] = _check_server_ca(request.server_ca)
    if request.program is Program.JAVA:
        files[KEYSTORE] = _keystore(request, identity)
    else:
        files[CHAIN] = identity.presented_pem
        if request.key_file is None:
            files[KEY] = private_key_pem(_private_key(identity))
    name = CONFIGURATIONS[request.program]
    certificate = str(request.folder / CHAIN)
    values = {
        "name": f"{identity.unique_name}, version {identity.version_number}",
        "ends": f"{identity.not_after:%Y-%m-%d %H:%M} UTC",
        "url": check_url(request.url),
        "certificate": certificate,
        # What follows a colon would be a passphrase to curl(1), --cert.
        "curl_certificate": certificate.replace("\\", "\\\\").replace(":", "\\:"),
        "key": str(request.key_file or request.folder / KEY),
        "keystore": str(request.folder / KEYSTORE),
        "password_file": str(request.password_file),
        "server_ca": None if request.server_ca is None else str(request.folder / SERVER_CA),
    }
    files[name] = render(f"api_client/{name}.j2", values).encode("utf-8")
    return files


def _private_key(identity: Identity) -> bytes:
    if identity.private_key is None:
        raise ConflictError(
            f"The private key of “{identity.unique_name}” is not here; name the file that it is in"
            " (--key-file)."
        )
    return identity.private_key


def _keystore(request: ClientRequest, identity: Identity) -> bytes:
    if request.password is None or request.password_file is None:
        raise InvalidRequestError(
            "--password-file: Java reads the key from a keystore; name a file whose first line is"
            " to be its password."
        )
    entry = KeyEntry(
        alias=identity.unique_name.lower(),
        private_key=_private_key(identity),
        chain=identity.presented,
    )
    return write_keystore("pkcs12", keys=[entry], password=request.password)


def _check_server_ca(pem: bytes) -> bytes:
    reading = read_certificates(pem, source="--server-ca")
    if not reading.certificates or reading.faults or reading.holds_private_key:
        raise InvalidRequestError(
            "--server-ca: a PEM file with the certificates of authorities, and nothing else."
        )
    return pem
