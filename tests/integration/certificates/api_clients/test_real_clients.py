"""Every generated configuration, run by the real program against a listener that demands it."""

import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.integration.certificates.mutual_tls.listeners import Answer, serving
from tests.integration.certificates.mutual_tls.partners import (
    END,
    ISSUING,
    PARTNER,
    ROOT,
    SERVER_CERTIFICATE,
    STRANGER,
    write_identity,
)
from tests.unit.certificates.signing.authority import Issued
from workers.certificates.api_clients.files import (
    CONFIGURATIONS,
    ClientRequest,
    Program,
    client_files,
)
from workers.certificates.api_clients.identity import Identity
from workers.certificates.api_clients.writing import write_files

# What shells, Java, JavaScript, Python and curl's own syntax would each make something of.
HOSTILE_FOLDER = (
    """it's "a\\u0022 $(touch pwned) `touch pwned` ${HOME}: {x} {{ 7 * 7 }} %0a \\ """
    "é\N{SNOWMAN}\N{GRINNING FACE}"
)
HOSTILE_PATH = "/it's/$(touch%20pwned)/`/..;a,b/%22+%5Cu0022".replace("`", "%60")
HOSTILE_QUERY = "?q='$(x)';&c=${HOME}".replace("{", "%7B").replace("}", "%7D")

COMMANDS = {
    Program.CURL: ["/usr/bin/curl", "--config"],
    Program.HTTPX: [sys.executable],
    Program.REQUESTS: [sys.executable],
    Program.JAVA: ["/usr/bin/java", "-XX:TieredStopAtLevel=1", "-Xshare:auto"],
    Program.NODE: ["/usr/bin/node"],
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A listener that demands a certificate, and answers with whose it was and what was asked."""

    def handle(request: BaseHTTPRequestHandler) -> Answer:
        assert isinstance(request.connection, ssl.SSLSocket)
        der = request.connection.getpeercert(binary_form=True)
        assert der is not None
        [name] = x509.load_der_x509_certificate(der).subject
        return 200, json.dumps([name.value, request.path])

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    identity = write_identity(tmp_path_factory.mktemp("server"), SERVER_CERTIFICATE)
    context.load_cert_chain(identity)
    # The root alone: a client that leaves out the issuing authority is refused.
    context.load_verify_locations(cadata=ROOT.pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(handle, context) as port:
        yield port


def identity_of(issued: Issued = PARTNER) -> Identity:
    return Identity(
        unique_name="partner",
        version_number=1,
        not_after=END,
        certificate=issued.der,
        chain=(ISSUING.der, ROOT.der),
        private_key=issued.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    )


def configure(
    folder: Path, program: Program, url: str, *, server_ca: bytes | None = ROOT.pem
) -> Path:
    """Write the configuration for a program; return the file that it reads."""
    folder.mkdir(parents=True, exist_ok=True)
    password_file = folder / "password"
    password_file.write_text("a good password\n", encoding="utf-8")
    request = ClientRequest(
        program=program,
        url=url,
        folder=PurePosixPath(folder),
        server_ca=server_ca,
        password="a good password",
        password_file=PurePosixPath(password_file),
    )
    write_files(folder, client_files(request, identity_of()), replace=False)
    return folder / CONFIGURATIONS[program]


def run(program: Program, configuration: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMANDS[program], str(configuration)],
        cwd=configuration.parent,
        env={**os.environ, "LC_ALL": "C.UTF-8", "REQUESTS_CA_BUNDLE": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("program", Program)
def test_the_program_presents_the_certificate_also_from_a_hostile_folder_to_a_hostile_address(
    program: Program, port: int, tmp_path: Path
) -> None:
    configuration = configure(
        tmp_path / HOSTILE_FOLDER, program, f"https://localhost:{port}{HOSTILE_PATH}{HOSTILE_QUERY}"
    )
    # Neither java nor node can be started from a folder of such a name; what is named is there.
    plain = tmp_path / configuration.name
    shutil.copyfile(configuration, plain)
    done = run(program, plain)
    assert done.returncode == 0, done.stderr
    name, asked = json.loads(done.stdout)
    assert name == "partner"
    assert unquote(asked) == unquote(HOSTILE_PATH + HOSTILE_QUERY)
    assert not list(tmp_path.rglob("pwned*"))
    for path in configuration.parent.iterdir():
        if path.name != "password":
            assert path.stat().st_mode & 0o777 == 0o600
            assert b"a good password" not in path.read_bytes()


@pytest.mark.parametrize("program", [each for each in Program if each is not Program.JAVA])
def test_the_program_trusts_no_listener_of_another_authority(
    program: Program, port: int, tmp_path: Path
) -> None:
    url = f"https://localhost:{port}/"
    done = run(program, configure(tmp_path / "strange", program, url, server_ca=STRANGER.pem))
    assert done.returncode != 0
    assert "partner" not in done.stdout
    done = run(program, configure(tmp_path / "system", program, url, server_ca=None))
    assert done.returncode != 0
    assert "partner" not in done.stdout
