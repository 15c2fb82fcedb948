"""Mutual TLS and API clients, as an operator runs them with ``keywright``."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.keywright_command import Keywright, done
from tests.integration.certificates.mutual_tls.listeners import (
    echo,
    nginx_reload,
    running_nginx,
    serving,
)
from tests.integration.certificates.mutual_tls.partners import (
    ISSUING,
    PARTNER,
    ROOT,
    SERVER_CERTIFICATE,
    STRANGER,
    private_pem,
    write_identity,
)
from tests.servers.waiting import until
from workers.database.pool import Connection

ACME = ("-o", "Acme")


@pytest.fixture
def keywright(connection: Connection, tmp_path: Path) -> Keywright:
    """The command, on a database of this test."""
    return Keywright.on(connection.info.dsn, tmp_path)


def refused(keywright: Keywright, *arguments: str) -> str:
    ran = keywright.run(*arguments)
    assert ran.returncode == 1, ran.stdout
    return ran.stderr or ran.stdout


def write(path: Path, content: bytes) -> str:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return str(path)


def test_from_switching_it_on_to_a_client_that_nginx_accepts_and_then_does_not(
    keywright: Keywright, tmp_path: Path
) -> None:
    root = write(tmp_path / "root.pem", ROOT.pem)
    chain = write(tmp_path / "partner.pem", PARTNER.pem + ISSUING.pem)
    key = write(tmp_path / "partner.key", private_pem(PARTNER))
    done(keywright, "organization", "add", "Acme")
    done(
        keywright,
        *("member", "add", "ana@example.org", *ACME, "--name", "Ana"),
        *("--permission", "enforce_mutual_tls"),
    )
    # Rule 31: one clear line until it is enabled.
    off = refused(keywright, "mutual-tls", "upload", chain, *ACME)
    assert off.count("\n") == 1
    assert "`keywright mutual-tls enable`" in off
    done(keywright, "mutual-tls", "enable", *ACME)
    assert "no PEM file" not in refused(keywright, "mutual-tls", "upload", chain, *ACME)
    [added] = keywright.json("mutual-tls", "root", "add", root, *ACME)
    assert added["is_public"] is False
    [listed] = keywright.json("mutual-tls", "root", "list", *ACME)
    assert listed["fingerprint"] == added["fingerprint"]
    faults = refused(keywright, "mutual-tls", "check", write(tmp_path / "der", PARTNER.der), *ACME)
    assert "this is no PEM file" in faults
    assert "Acceptable" in done(keywright, "mutual-tls", "check", chain, *ACME)
    uploaded = keywright.json("mutual-tls", "upload", chain, *ACME, "--member", "ana@example.org")
    assert (uploaded["unique_name"], uploaded["warnings"]) == ("partner", [])
    [row] = keywright.json("mutual-tls", "list", *ACME)
    assert (row["issuer"], row["withdrawn_at"]) == ("CN=Partner Issuing", None)

    asked = ("mutual-tls", "decide", *ACME, "--member", "ana@example.org", "--port")
    assert "MUTUAL_AUTHENTICATION_FAILED" in refused(keywright, *asked, "443")
    accepted = keywright.json(*asked, "8443", "--certificate", chain)
    assert accepted["certificate"]["unique_name"] == "partner"

    bundle, nginx = tmp_path / "bundle", tmp_path / "nginx"
    written = keywright.json("mutual-tls", "bundle", *ACME, "--output", str(bundle))
    assert written == {"clients": 1, "changed": True, "reloaded": False}
    server = write_identity(tmp_path / "server", SERVER_CERTIFICATE)
    with serving(echo) as service, running_nginx(nginx, bundle, server, service) as port:
        client = tmp_path / "curl"
        done(
            keywright,
            *("api-client", "configure", "partner", *ACME, "--for", "curl"),
            *("--url", f"https://localhost:{port}/v1", "--server-ca", root, "--key-file", key),
            *("--output", str(client), "--place", "nightly export"),
        )
        command = ["/usr/bin/curl", "--config", str(client / "curl.conf")]

        def calls() -> "subprocess.CompletedProcess[str]":
            return subprocess.run(command, capture_output=True, text=True, check=False)

        assert json.loads(calls().stdout)["path"] == "/v1"
        watching = keywright.start(
            *("-m", "workers.cli", "mutual-tls", "bundle", *ACME, "--output", str(bundle)),
            *("--watch", "--every", "1", "--", *nginx_reload(nginx)),
        )
        try:
            until((bundle / ".reloaded").exists, "the watcher")
            done(keywright, "mutual-tls", "withdraw", "partner", *ACME)
            until(lambda: calls().returncode == 22, "curl to be refused")
        finally:
            watching.send_signal(signal.SIGTERM)
            said, _ = watching.communicate(timeout=30)
    assert watching.returncode == 0, said
    assert "0 client certificates, written, listener reloaded." in said
    shown = keywright.json("usage", "list", *ACME)
    assert [(use["place_kind"], use["place"]) for use in shown] == [
        *[("api_client", "nightly export")]
    ]


def test_java_gets_a_keystore_whose_password_stands_nowhere(
    keywright: Keywright, tmp_path: Path
) -> None:
    done(keywright, "organization", "add", "Acme")
    chain = write(tmp_path / "partner.pem", PARTNER.pem + ISSUING.pem)
    done(keywright, "certificate", "import", chain, *ACME, "--chain")
    configure = ("api-client", "configure", "partner", *ACME, "--for", "java", "--output")
    folder, url = tmp_path / "java", ("--url", "https://api.example.org:8443/")
    assert "--password-file" in refused(keywright, *configure, str(folder), *url)
    password = ("--password-file", write(tmp_path / "password", b"a good password\n"))
    strange = write(tmp_path / "stranger.key", private_pem(STRANGER))
    assert "another certificate" in refused(
        keywright, *configure, str(folder), *url, *password, "--key-file", strange
    )
    own = write(tmp_path / "partner.key", private_pem(PARTNER))
    configured = keywright.json(*configure, str(folder), *url, *password, "--key-file", own)
    assert configured["files"] == ["ApiClient.java", "keystore.p12"]
    listed = subprocess.run(
        [
            *("openssl", "pkcs12", "-in", str(folder / "keystore.p12"), "-nokeys"),
            *("-passin", f"file:{password[1]}"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.count("BEGIN CERTIFICATE") == 2
    assert b"a good password" not in (folder / "ApiClient.java").read_bytes()
    hostile = ("--url", 'https://api.example.org/"; System.exit(1); "')
    assert "--url" in refused(keywright, *configure, str(tmp_path / "x"), *hostile, *password)
    assert not (tmp_path / "x").exists()
