"""pysaml2 on both sides: it signs sign-on requests, and checks them as an identity provider does.

In a process of its own, which is asked in lines of JSON: pysaml2 leaves files open, and warns.
"""

import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.certificates.saml.service_provider import CONSUMER, ENTITY_ID
from tests.servers.ending import ended

ROOT = Path(__file__).parents[4]
IDP = "https://idp.example/metadata"


class Partner:
    """The process, as a test speaks with it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def sign(self, files: dict[str, str]) -> str:
        """Return a sign-on request signed with a private key."""
        return str(self._ask({"do": "sign", "files": files}))

    def load(self, metadata: bytes) -> dict[str, Any]:
        """Let the identity provider have metadata; return what it took from it."""
        loaded: dict[str, Any] = self._ask({"do": "load", "metadata": metadata.decode()})
        return loaded

    def accepts(self, request: str) -> bool:
        """Whether the identity provider lets a signed request in."""
        return bool(self._ask({"do": "check", "request": request}))

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def partner() -> Iterator[Partner]:
    """Run the process."""
    command = [sys.executable, "-W", "ignore", "-m", __name__]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with ended(process):
        yield Partner(process)


def _answers() -> Iterator[Any]:
    from saml2 import BINDING_HTTP_POST  # noqa: PLC0415 - only in the process
    from saml2.client import Saml2Client  # noqa: PLC0415
    from saml2.config import IdPConfig, SPConfig  # noqa: PLC0415
    from saml2.response import IncorrectlySigned  # noqa: PLC0415
    from saml2.server import Server  # noqa: PLC0415

    server: Any = None
    for line in sys.stdin:
        question = json.loads(line)
        match question["do"]:
            case "sign":
                consumers = {"assertion_consumer_service": [(CONSUMER, BINDING_HTTP_POST)]}
                role = {"authn_requests_signed": True, "endpoints": consumers}
                settings = {"entityid": ENTITY_ID, "service": {"sp": role}, **question["files"]}
                _, request = Saml2Client(SPConfig().load(settings)).create_authn_request(
                    f"{IDP}/sso",
                    sign=True,
                    sign_alg="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                    digest_alg="http://www.w3.org/2001/04/xmlenc#sha256",
                )
                yield str(request)
            case "load":
                doors = {"single_sign_on_service": [(f"{IDP}/sso", BINDING_HTTP_POST)]}
                role = {"want_authn_requests_signed": True, "endpoints": doors}
                settings = {"entityid": IDP, "service": {"idp": role}}
                settings["metadata"] = {"inline": [question["metadata"]]}
                server = Server(config=IdPConfig().load(settings))
                [service] = server.metadata.assertion_consumer_service(ENTITY_ID)
                certificates = server.metadata.certs(ENTITY_ID, "spsso", "signing")
                yield {"certificates": len(certificates), "consumer": service["location"]}
            case "check":
                encoded = b64encode(question["request"].encode()).decode()
                try:
                    server.parse_authn_request(encoded, BINDING_HTTP_POST)
                    yield True
                except IncorrectlySigned:
                    yield False


if __name__ == "__main__":
    for answer in _answers():
        print(json.dumps(answer), flush=True)  # noqa: T201
