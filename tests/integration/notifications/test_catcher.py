"""The local mail catcher: what is sent to it lies there as files."""

import smtplib
import stat
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path

import pytest

from workers.notifications.catcher import MailCatcher
from workers.notifications.mail_server import SmtpServer
from workers.notifications.message import Message
from workers.notifications.smtp import SmtpSession

MESSAGE = Message(
    sender="keywright@example.com",
    content=b"Subject: Hello\r\nTo: ann@example.org\r\n\r\n.dot\r\nend\r\n",
)


def send(catcher: MailCatcher, *recipients: str) -> None:
    session = SmtpSession(SmtpServer.from_url(catcher.url))
    for recipient in recipients:
        assert session.send(MESSAGE, recipient).state == "accepted"
    session.close()


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_every_message_becomes_a_numbered_file(tmp_path: Path) -> None:
    with MailCatcher(tmp_path / "mail") as catcher:
        send(catcher, "ann@example.org", "bob@example.org", "ann@example.org")
    assert names(catcher.directory) == [
        "0001-ann@example.org.eml",
        "0002-bob@example.org.eml",
        "0003-ann@example.org.eml",
    ]
    content = (catcher.directory / "0001-ann@example.org.eml").read_bytes()
    assert content == MESSAGE.content
    assert message_from_bytes(content)["Subject"] == "Hello"


def test_the_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        with MailCatcher(tmp_path) as catcher:
            send(catcher, "ann@example.org", "bob@example.org")
    (tmp_path / "0004-bob@example.org.eml").rename(tmp_path / "10000-bob@example.org.eml")
    with MailCatcher(tmp_path) as catcher:
        send(catcher, "eve@example.org")
    assert [name.partition("-")[0] for name in names(tmp_path)] == [
        "0001",
        "0002",
        "0003",
        "10000",
        "10001",
    ]


def test_files_and_folder_are_for_their_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "mail"
    with MailCatcher(directory) as catcher:
        send(catcher, "ann@example.org")
    [file] = directory.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_address_leads_out_of_the_folder(tmp_path: Path) -> None:
    directory = tmp_path / "mail"
    long = "x" * 63
    with MailCatcher(directory) as catcher:
        send(catcher, "../../ann/../x'{}@example.org", f"{long}@{long}.{long}.example")
        send(catcher, "jürgen@example.org")
    assert names(tmp_path) == ["mail"]
    assert names(directory) == [
        "0001-.._.._ann_.._x_@example.org.eml",
        f"0002-{long}@{'x' * 16}.eml",
        "0003-j_rgen@example.org.eml",
    ]


def test_a_message_to_several_is_one_file(tmp_path: Path) -> None:
    with MailCatcher(tmp_path) as catcher, smtplib.SMTP(catcher.url.removeprefix("smtp://")) as raw:
        raw.sendmail("x@example.org", ["ann@example.org", "bob@example.org"], b"Hello")
    assert names(tmp_path) == ["0001-ann@example.org+1.eml"]


def test_a_huge_message_is_refused(tmp_path: Path) -> None:
    with MailCatcher(tmp_path) as catcher, smtplib.SMTP(catcher.url.removeprefix("smtp://")) as raw:
        with pytest.raises(smtplib.SMTPResponseException) as caught:
            raw.sendmail("x@example.org", ["ann@example.org"], b"x" * 70 + b"\r\n" * 6_000_000)
        assert caught.value.smtp_code == 552
    assert names(tmp_path) == []


def test_a_full_disk_defers_the_message(tmp_path: Path) -> None:
    directory = tmp_path / "mail"
    with MailCatcher(directory) as catcher:
        directory.rename(tmp_path / "elsewhere")
        session = SmtpSession(SmtpServer.from_url(catcher.url))
        outcome = session.send(MESSAGE, "ann@example.org")
        assert (outcome.state, outcome.code) == ("deferred", 452)
        (tmp_path / "elsewhere").rename(directory)
        assert session.send(MESSAGE, "ann@example.org").state == "accepted"
        session.close()
    assert names(directory) == ["0001-ann@example.org.eml"]


def test_it_stops_while_somebody_is_still_connected(tmp_path: Path) -> None:
    with MailCatcher(tmp_path) as catcher:
        session = SmtpSession(SmtpServer.from_url(catcher.url))
        assert session.send(MESSAGE, "ann@example.org").state == "accepted"
    session.close()
    assert not catcher.is_running


def test_nothing_of_its_innards_reaches_the_terminal(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from workers.notifications.catcher import MailCatcher
import smtplib
with MailCatcher(Path({str(tmp_path)!r})) as catcher:
    with smtplib.SMTP(catcher.url.removeprefix("smtp://")) as raw:
        raw.sendmail("x@example.org", ["ann@example.org"], b"Hello")
"""
    done = subprocess.run(
        [sys.executable, "-W", "always::DeprecationWarning", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert len(names(tmp_path)) == 1
