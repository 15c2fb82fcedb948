"""Stand-ins for AWS KMS, which cannot be had here: moto's server, and one that refuses everything.

moto keeps keys, wraps with them and honours the encryption context. It is more lenient than AWS: it
lets everybody in and goes on using a key that is disabled. What AWS answers then comes from
``RefusingKms``.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3

from tests.servers.deathwatch import watch_over
from tests.servers.ports import LOOPBACK, free_port, listening_sockets
from tests.servers.waiting import until

REGION = "eu-central-1"

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What a client needs in its environment; moto takes anything."""


class KmsServer:
    """A running moto server with keys."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://{LOOPBACK}:{port}"
        self.client: Any = boto3.client(
            "kms",
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def create_key(self, alias: str | None = None, **options: str) -> str:
        """Make a key, symmetric if no option says otherwise, and return its ARN."""
        arn: str = self.client.create_key(**options)["KeyMetadata"]["Arn"]
        if alias is not None:
            self.client.create_alias(AliasName=alias, TargetKeyId=arn)
        return arn

    def setting(self, key: str) -> str:
        """Return the value of KEYWRIGHT_ROOT_KEY for an ARN or an alias."""
        region = "" if key.startswith("arn:") else f"region={REGION}&"
        return f"aws-kms:{key}?{region}endpoint={self.endpoint}"


@contextmanager
def kms_server(port: int | None = None) -> Iterator[KmsServer]:
    """Run moto's server on loopback in a process of its own, which ends with ours."""
    port = port or free_port()
    directory = Path(tempfile.mkdtemp(prefix="kms-"))
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    watch = watch_over(server.pid, directory)
    try:
        until(
            lambda: server.poll() is not None or (LOOPBACK, port) in listening_sockets(server.pid),
            "the KMS server to listen",
        )
        assert server.poll() is None, (directory / "log").read_text()
        yield KmsServer(port)
    finally:
        server.kill()
        server.wait()
        watch.kill()
        watch.wait()
        shutil.rmtree(directory)


class RefusingKms:
    """Answers every request as AWS answers those it refuses, and counts them."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.endpoint = f"http://{LOOPBACK}:{server.server_port}"
        self.code = "ThrottlingException"
        self.status = 400
        self.requests = 0


@contextmanager
def refusing_kms() -> Iterator[RefusingKms]:
    """Run such a server on loopback, in a thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            kms.requests += 1
            body = json.dumps({"__type": kms.code, "message": "a secret that nobody may see"})
            self.send_response(kms.status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((LOOPBACK, free_port()), Handler) as server:
        kms = RefusingKms(server)
        thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
        thread.start()
        try:
            yield kms
        finally:
            server.shutdown()
            thread.join()
