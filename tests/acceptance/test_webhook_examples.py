"""The lines and receivers in docs/how-to/webhooks.md work as they stand there."""

import os
import re
import shlex
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from scheduler.service import SchedulerService
from tests.acceptance.keywright_command import ROOT, Keywright, done, keywright_of_acme
from tests.faults.webhook_worker import WebhookWorker
from tests.integration.announcements.town_crier import tell
from tests.servers.ending import ended
from tests.servers.ports import LOOPBACK, free_port
from tests.servers.postgres import PostgresServer
from tests.servers.waiting import until

PAGE = (ROOT / "docs" / "how-to" / "webhooks.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the code blocks of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def keywright(postgres: PostgresServer, tmp_path: Path) -> Iterator[Keywright]:
    """The command, with a scheduler and a worker behind it."""
    with keywright_of_acme(postgres, tmp_path) as keywright:
        conninfo = keywright.settings["KEYWRIGHT_DATABASE_URL"]
        with (
            SchedulerService(conninfo, None, timetable=()),
            WebhookWorker(conninfo, None, root_key=tmp_path / "root.key"),
        ):
            yield keywright


def arguments(line: str, port: int = 0) -> list[str]:
    """Return what a line of the page says after ``keywright``, for a receiver on this machine."""
    words = shlex.split(line.replace("$URL", f"http://{LOOPBACK}:{port}/in"))
    assert words.pop(0) == "keywright"
    return [*words, "--allow-private"] if words[1] == "add" else words


@contextmanager
def receiving(language: str, folder: Path, port: int, secret: str) -> Iterator[Path]:
    """Run a receiver as the page has it; yield where what it prints goes."""
    program, name = ("node", "receiver.mjs") if language == "js" else ("python", "receiver.py")
    [text] = blocks(language)
    (folder / name).write_text(text, encoding="utf-8")
    path = Path(sys.executable).parent / program
    said = folder / "said.txt"
    with said.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [path, name],
            cwd=folder,
            env={**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port)},
            stdout=output,
            stderr=subprocess.STDOUT if language == "js" else None,
        )
    with ended(process):
        until(lambda: answers(port), "the receiver to listen")
        yield said


def answers(port: int) -> bool:
    """Return whether somebody listens."""
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=5):
        return True
    return False


def status_of_a_forgery(port: int) -> int:
    """Send what nobody signed rightly; return the answer."""
    request = urllib.request.Request(
        f"http://{LOOPBACK}:{port}/in",
        data=b"{}",
        headers={
            "webhook-id": "x",
            "webhook-timestamp": "1795780800",
            "webhook-signature": "v1,AAAA v2,AAAA",
        },
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    refused.value.close()
    return refused.value.code


@pytest.mark.parametrize("language", ["python", "js"])
def test_the_receivers_of_the_page_take_each_announcement_once(
    keywright: Keywright, tmp_path: Path, language: str
) -> None:
    port = free_port()
    add, test = blocks("sh")[0].splitlines()
    secret = keywright.json(*arguments(add, port))["secret"]
    with receiving(language, tmp_path, port, secret) as said:
        assert "accepted the test" in done(keywright, *arguments(test))
        assert status_of_a_forgery(port) == 401
        with psycopg.connect(
            keywright.settings["KEYWRIGHT_DATABASE_URL"], autocommit=True
        ) as connection:
            tell(connection, 1, "master-key/1/1", 7)  # a kind that it does not want
            connection.execute(
                "INSERT INTO keywright.announcement (kind, organization_id, subject, data)"
                " SELECT 'certificate.edited', 1, 'certificate/12', jsonb_build_object('n', n)"
                " FROM generate_series(1, 3) AS n"
            )
            until(lambda: waiting(keywright) == 0, "all to be told", seconds=30)
            [row] = keywright.json("webhook", "deliveries", "billing", "-o", "Acme", "--limit", "1")
            keywright.json(
                *("webhook", "retry", "billing", "-o", "Acme"),
                *("--announcement", str(row["sequence"])),
            )
            until(lambda: waiting(keywright) == 0, "the last to be told once more", seconds=30)
        lines = [re.sub(r"\s", "", line) for line in said.read_text().splitlines()]
    assert lines[0].startswith("keywright.webhook.tested.v1webhook/1")
    assert lines[1:] == [
        f'keywright.certificate.edited.v1certificate/12{{"n":{n}}}' for n in (1, 2, 3)
    ]


def waiting(keywright: Keywright) -> int:
    """Return how many messages are still to be sent."""
    [found] = keywright.json("webhook", "list", "-o", "Acme")
    return int(found["waiting"])


def test_the_other_lines_of_the_page_run(keywright: Keywright) -> None:
    port = free_port()
    first, *others = blocks("sh")
    keywright.json(*arguments(first.splitlines()[0], port))
    for line in "".join(others).splitlines():
        done(keywright, *arguments(line))
    assert keywright.json("webhook", "list", "-o", "Acme") == []
