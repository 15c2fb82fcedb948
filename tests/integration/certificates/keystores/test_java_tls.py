"""Java speaks mutually authenticated TLS with what keywright writes, as it stands."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import SHUT_RDWR, create_server, socket

from cryptography import x509

from tests.integration.certificates.keystores.java import StoreFile, compiled
from tests.unit.certificates.keystores.material import (
    KEY_TYPES,
    PASSWORD,
    der,
    key_entry,
    new_key,
    pkcs8,
    sign,
    trusted_entry,
)
from workers.certificates.keystores.entries import Format, KeyEntry
from workers.certificates.keystores.writing import write_file, write_keystore

UNKNOWN = "unknown"


@contextmanager
def tls_server(folder: Path) -> Iterator[int]:
    """Greet every client by the name in its certificate, which must be from the trusted root.

    The server's own key comes out of a PEM keystore, to which OpenSSL knows the password.
    """
    path = folder / "server.pem"
    write_file(path, write_keystore("pem", keys=[key_entry("p256")], password=PASSWORD))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, password=PASSWORD)
    context.load_verify_locations(cadata=trusted_entry().certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    with create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_greet, args=(listener, context), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(SHUT_RDWR)
        thread.join(10)
    assert not thread.is_alive()


def _greet(listener: socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    presented = x509.load_der_x509_certificate(secured.getpeercert(True) or b"")
                    greeting = f"hello {presented.subject.rfc4514_string()}\n"
                    secured.sendall(greeting.encode())
            except (ssl.SSLError, OSError):
                continue


def stranger() -> KeyEntry:
    """Make a client that nobody vouches for."""
    key = new_key("p256")
    certificate = sign(UNKNOWN, key, issuer=None)
    return KeyEntry(alias=UNKNOWN, private_key=pkcs8(key), chain=(der(certificate),))


def test_a_java_client_authenticates_itself_with_our_jks_and_our_pkcs_12(tmp_path: Path) -> None:
    files: dict[tuple[str, str], StoreFile] = {}
    kinds: tuple[Format, ...] = ("jks", "pkcs12")
    for kind in kinds:
        for entry in (*map(key_entry, KEY_TYPES), stranger()):
            path = tmp_path / f"{entry.alias}.{kind}"
            content = write_keystore(
                kind,
                keys=[entry],
                trusted=[trusted_entry()],
                password=PASSWORD,
            )
            write_file(path, content)
            files[kind, entry.alias] = StoreFile(store_format=kind, path=path, password=PASSWORD)
    with compiled() as java, tls_server(tmp_path) as port:
        answers = dict(zip(files, java.connect(port, list(files.values())), strict=True))
    for (_, alias), answer in answers.items():
        if alias == UNKNOWN:
            assert answer[0] == "error", answer
        else:
            assert answer == ["heard", "TLSv1.3", f"hello CN={alias}"]
