"""Whose certificates are trusted: a file of authorities, the system's, or both."""

import ssl
from pathlib import Path

import certifi

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # the BSDs, macOS
)


def check_ca_file(path: str | Path) -> None:
    """Pass if the file can be read and holds certificates (PEM).

    Raises:
        ValueError: it cannot, or holds none; the text goes after the name of the setting.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError("must be a PEM file with at least one certificate") from None
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    except ValueError:
        raise ValueError("must be the path of a PEM file") from None
    if not context.cert_store_stats()["x509"]:
        raise ValueError("must be a PEM file with at least one certificate")


def system_ca_file() -> str:
    """Return the file of the authorities that this system trusts.

    For libraries that bring an OpenSSL of their own, which looks for them where nothing is: libpq
    in the package ``psycopg[binary]`` does. SSL_CERT_FILE is heeded; the last resort is certifi.
    """
    usual = ssl.get_default_verify_paths().cafile
    return usual or next((each for each in _BUNDLES if Path(each).is_file()), certifi.where())


def client_context(
    ca_file: str | Path | None = None,
    *,
    besides_the_system: bool = False,
    cert_file: str | Path | None = None,
    key_file: str | Path | None = None,
) -> ssl.SSLContext:
    """Return what verifies a server's chain and name, with TLS 1.2 or later (RFC 9325 §3.1.1).

    Trusted are the authorities in ``ca_file``, or those of the system where none is named, or both
    with ``besides_the_system``. ``cert_file`` and ``key_file`` (PEM, the key without a password)
    are what we show to a server that asks.

    Raises:
        ValueError: a file cannot be used; the text begins with ``ca_file`` or ``cert_file``.
    """
    if ca_file is not None:
        try:
            check_ca_file(ca_file)
        except ValueError as error:
            raise ValueError(f"ca_file {error}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None or besides_the_system:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if not context.cert_store_stats()["x509_ca"]:
            context.load_verify_locations(system_ca_file())
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    if cert_file is not None:
        try:
            # A password would be asked for at the terminal, where nobody may be.
            context.load_cert_chain(cert_file, key_file, password="")
        except (OSError, ValueError):
            raise ValueError(
                "cert_file and key_file must be PEM files, the key belonging to the certificate and"
                " without a password"
            ) from None
    return context
