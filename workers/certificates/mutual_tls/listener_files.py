"""The files of a bundle: certificates in PEM, and snippets for nginx, HAProxy and Envoy. Pure."""

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from ssl import DER_cert_to_PEM_cert

from workers.certificates.configuration_templates import render, word
from workers.certificates.mutual_tls.bundle import Bundle
from workers.certificates.mutual_tls.decision import TEXTS, Refusal

AUTHORITIES = "client-ca.pem"
CURRENT = "current"
_NOBODY = "0" * 64

TEMPLATES = (
    "nginx-http.conf",
    "nginx-server.conf",
    "haproxy.cfg",
    "haproxy-clients.txt",
    "envoy-listener.yaml",
    "envoy-clients.yaml",
)


@dataclass(frozen=True, kw_only=True)
class Listener:
    """What the snippets say of the listener; the folder is where the bundle lies."""

    folder: PurePosixPath
    listen: str = ":8443"
    server_certificate: str = "/etc/ssl/private/server.pem"
    """PEM with the listener's own chain and key, as HAProxy wants it."""
    backend: str = "api"

    def check(self) -> None:
        """Pass if all of it can be written into every snippet.

        Raises:
            InvalidRequestError: one has characters that it must not have.
        """
        for each in (str(self.folder), self.listen, self.server_certificate, self.backend):
            word(each)


def listener_files(bundle: Bundle, listener: Listener) -> dict[str, bytes]:
    """Return the files by name; the authorities are missing where there are none."""
    folder = listener.folder / CURRENT
    values = {
        "prefix": f"keywright_{bundle.organization_id}",
        "folder": str(listener.folder),
        "authorities": str(folder / AUTHORITIES),
        "haproxy_clients": str(folder / "haproxy-clients.txt"),
        "envoy_clients": str(folder / "envoy-clients.yaml"),
        "listener": listener,
        "clients": bundle.clients,
        # An empty list would mean that Envoy accepts every certificate.
        "hashes": [each.sha256 for each in bundle.clients] or [_NOBODY],
        "none_text": TEXTS[Refusal.NO_CLIENT_CERTIFICATE],
        "unknown_text": TEXTS[Refusal.UNKNOWN_CERTIFICATE],
    }
    files = {name: render(f"listener/{name}.j2", values).encode() for name in TEMPLATES}
    files["clients.json"] = _as_json(bundle)
    files["clients.pem"] = b"".join(
        f"# {each.unique_name}, version {each.version_number}\n".encode() + _pem(each.certificate)
        for each in bundle.clients
    )
    if bundle.authorities:
        files[AUTHORITIES] = b"".join(_pem(der) for der in bundle.authorities)
    return files


def _pem(der: bytes) -> bytes:
    return DER_cert_to_PEM_cert(der).encode("ascii")


def _as_json(bundle: Bundle) -> bytes:
    clients = [
        {
            "unique_name": each.unique_name,
            "version_number": each.version_number,
            "member_id": each.member_id,
            "issuer": each.issuer,
            "serial": each.serial,
            "sha256": each.sha256,
            "not_after": each.not_after.isoformat(),
        }
        for each in bundle.clients
    ]
    document = {"organization_id": bundle.organization_id, "clients": clients}
    return (json.dumps(document, indent=2) + "\n").encode("ascii")
