"""The whole system over TLS with a private authority alone, made as the documentation says."""

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.keywright_command import Keywright, Running, done
from tests.integration.notifications.household import household
from tests.servers.certificates import NAME
from tests.servers.ports import LOOPBACK, free_port
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.smtp import SmtpSink
from tests.servers.tls_postgres import TlsPostgres
from tests.servers.waiting import until
from workers.database.pool import connect, database_clock
from workers.settings import load_settings

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "tls.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the page's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the commands of the page were run, as they stand."""
    folder = tmp_path_factory.mktemp("authority")
    for block in blocks("sh"):
        ran = subprocess.run(
            ["/bin/sh", "-euc", block],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "NAME": NAME},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
    return folder


@pytest.fixture(scope="module")
def rabbitmq(made: Path) -> Iterator[tuple[RabbitmqNode, int]]:
    """A node with the page's configuration, and the port of its one encrypted listener."""
    [configuration] = [block for block in blocks("ini") if "listeners.ssl" in block]
    port = free_port()
    configuration = configuration.replace("/etc/rabbitmq", str(made))
    configuration = configuration.replace("default = 5671", f"1 = {LOOPBACK}:{port}")
    # The tests themselves look in by the other door.
    configuration = configuration.replace("listeners.tcp = none\n", "")
    node = RabbitmqNode()
    with (node.home.directory / "rabbitmq.conf").open("a", encoding="utf-8") as file:
        file.write(configuration)
    with node:
        yield node, port


@pytest.fixture
def mail(made: Path) -> Iterator[SmtpSink]:
    """A mail server that takes nothing before STARTTLS and a log-in."""
    certificate = (made / "server.pem", made / "server.key")
    with SmtpSink(
        credentials=("user", "password"), security="starttls", certificate=certificate
    ) as sink:
        yield sink


@pytest.fixture
def keywright(
    made: Path, rabbitmq: tuple[RabbitmqNode, int], mail: SmtpSink, tmp_path: Path
) -> Iterator[Keywright]:
    """The command, with nothing but servers that are reached over TLS."""
    node, port = rabbitmq
    certificate = (made / "server.pem", made / "server.key")
    broker = urlsplit(node.url(node.create_vhost()))
    login = broker.netloc.rpartition("@")[0]
    with TlsPostgres(certificate) as server, server.database() as database:
        yield Keywright(
            tmp_path / "data",
            {
                "KEYWRIGHT_CA_FILE": str(made / "ca.pem"),
                "KEYWRIGHT_DATABASE_URL": server.url(database, sslmode="verify-full"),
                "KEYWRIGHT_BROKER_URL": f"amqps://{login}@{NAME}:{port}{broker.path}",
                "KEYWRIGHT_SMTP_URL": f"{mail.url}?tls=required".replace(LOOPBACK, NAME),
            },
        )


def start(keywright: Keywright) -> list[Running]:
    """Start a scheduler and a worker."""
    return [
        keywright.start("-m", "workers.cli", *words)
        for words in (("scheduler", "--now"), ("worker", "--processes", "1"))
    ]


def owe_a_notice(keywright: Keywright) -> None:
    """Let a certificate end within days, and a member be there to be told."""
    url = load_settings(keywright.settings).database_url
    assert url is not None
    with connect(url.get_secret_value(), name="test") as connection:
        now: datetime = database_clock(connection)
        acme = household(connection, sending_hour=0)
        acme.member("Ada", administrator=True, holder=True)
        acme.version("www", not_after=now + timedelta(days=3))


def test_a_job_is_done_and_a_notice_delivered_with_the_private_authority_alone(
    keywright: Keywright, mail: SmtpSink
) -> None:
    done(keywright, "database", "create")
    owe_a_notice(keywright)
    running = start(keywright)
    try:
        assert "succeeded" in done(keywright, "enqueue", "system.ping", "--wait")
        [received] = mail.wait_for(1, timeout=60)
        assert "www" in str(received.message)
        until(lambda: keywright.run("status").returncode == 0, "everything to be well")
        status = keywright.json("status")
        assert (status["notes"], status["broker"]) == ([], "reachable")
    finally:
        for process in running:
            process.terminate()
        said = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], said


@pytest.mark.parametrize("variable", ["DATABASE", "BROKER"])
def test_without_the_authority_no_server_is_believed(keywright: Keywright, variable: str) -> None:
    settings = {k: v for k, v in keywright.settings.items() if k != "KEYWRIGHT_CA_FILE"}
    if variable == "BROKER":
        done(keywright, "database", "create")
        ca_file = keywright.settings["KEYWRIGHT_CA_FILE"]
        settings["KEYWRIGHT_DATABASE_URL"] += f"&sslrootcert={ca_file}"
    status = Keywright(keywright.data_dir, settings).run("status", "--quiet")
    assert status.returncode == 1
    assert "a certificate of an authority that is not trusted here" in status.stdout
    assert "KEYWRIGHT_CA_FILE" in status.stdout


def test_an_address_that_would_not_be_encrypted_is_refused_at_the_start(tmp_path: Path) -> None:
    settings = {"KEYWRIGHT_BROKER_URL": "amqp://user:hush@mq.example.org/keywright"}
    refused = Keywright(tmp_path / "data", settings).run("status")
    assert refused.returncode == 1
    assert refused.stderr.startswith("keywright: KEYWRIGHT_BROKER_URL: amqp:// to another machine")
    assert refused.stderr.count("\n") == 1
    assert "hush" not in refused.stderr


def test_a_file_of_authorities_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    settings = {"KEYWRIGHT_CA_FILE": str(tmp_path / "missing.pem")}
    refused = Keywright(tmp_path / "data", settings).run("status")
    assert refused.returncode == 1
    assert refused.stderr.startswith("keywright: KEYWRIGHT_CA_FILE: cannot be read")
    assert refused.stderr.count("\n") == 1
