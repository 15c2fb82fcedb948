"""The commands that run all the time, and the way from an empty folder to a first notice."""

import signal
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.acceptance.keywright_command import Keywright, Running
from tests.servers.waiting import until
from tests.unit.certificates.certificate_maker import make_found, pem


@pytest.fixture
def keywright(tmp_path: Path) -> Keywright:
    """The command with an empty data folder."""
    return Keywright(tmp_path / "data")


def stop(process: Running, how: signal.Signals = signal.SIGTERM) -> str:
    """Stop a process as an operator does; it must end well. Return what it had said."""
    process.send_signal(how)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return said


def test_it_says_its_version_and_starts_nothing(keywright: Keywright) -> None:
    done = keywright.run("--version")
    assert (done.returncode, done.stdout) == (0, f"keywright {version('keywright')}\n")
    assert not keywright.data_dir.exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_up_runs_everything_until_it_is_told_to_stop(
    keywright: Keywright, how: signal.Signals
) -> None:
    running = keywright.start("-m", "workers.cli", "up", "--processes", "1")
    try:
        done = keywright.run("enqueue", "system.ping", "--wait")
        assert (done.returncode, "succeeded" in done.stdout) == (0, True), done.stdout + done.stderr
        until(lambda: keywright.run("status").returncode == 0, "the first scan to have ended")
        said = stop(running, how)
    finally:
        running.kill()
    assert "keywright is up." in said
    assert "keywright has stopped." in said


def test_the_conventional_commands_work_as_well(keywright: Keywright, broker_url: str) -> None:
    keywright = Keywright(
        keywright.data_dir,
        {"KEYWRIGHT_BROKER_URL": broker_url, "KEYWRIGHT_SMTP_URL": "smtp://localhost:9"},
    )
    keywright.run("database", "create")
    scheduler = keywright.start("-m", "scheduler")
    workers = keywright.start(
        "-m", "dramatiq", "workers.main", "--processes", "1", "--threads", "2"
    )
    try:
        done = keywright.run("enqueue", "system.ping", "--wait")
        assert (done.returncode, "succeeded" in done.stdout) == (0, True), done.stdout + done.stderr
        stop(workers)
        stop(scheduler)
    finally:
        workers.kill()
        scheduler.kill()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_worker_without_a_mail_server_refuses_to_start_and_says_so_once(
    keywright: Keywright, processes: str
) -> None:
    done = keywright.run("worker", "--processes", processes)
    assert done.returncode == 1
    assert done.stderr.count("KEYWRIGHT_SMTP_URL is not set") == 1


def test_from_an_empty_folder_to_a_first_forecast(keywright: Keywright, tmp_path: Path) -> None:
    assert keywright.json("organization", "list") == []
    keywright.run("organization", "add", "Acme", "--time-zone", "Europe/Berlin")
    members = tmp_path / "members.csv"
    members.write_text(
        "name,email,profile,permissions\n"
        "Ada,ada@example.org,,receive_expiration_notices\n"
        "Bo,bo@example.org,system_administrator,\n"
    )
    assert keywright.run("member", "import", str(members), "-o", "acme").returncode == 0
    assert [member["name"] for member in keywright.json("member", "list")] == ["Ada", "Bo"]
    folder = tmp_path / "certificates"
    folder.mkdir()
    found = make_found("www.example.org")
    (folder / "good.pem").write_bytes(pem(found.der))
    (folder / "broken.pem").write_text(
        "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"
    )
    imported = keywright.run("certificate", "import", str(folder), "-o", "Acme")
    assert imported.returncode == 1  # the good one is in, the broken one is reported
    assert "broken.pem" in imported.stdout
    [row] = keywright.json("certificate", "list", "-o", "Acme")
    assert keywright.json("certificate", "show", row["unique_name"], "-o", "Acme")["versions"]
    name = row["unique_name"]
    place = ("saml_configuration", "Okta")
    assert keywright.run("usage", "add", name, *place, "-o", "Acme").returncode == 0
    refused = keywright.run("certificate", "delete", name, "-o", "Acme")
    assert (refused.returncode, "saml_configuration: Okta" in refused.stderr) == (1, True)
    assert keywright.run("usage", "remove", *place, "-o", "Acme").returncode == 0
    assert keywright.json("usage", "list", "-o", "Acme") == []
    assert keywright.run("certificate", "delete", name, "-o", "Acme").returncode == 0
    assert keywright.json("certificate", "list", "-o", "Acme") == []


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("certificate", "list", "-o", "Nobody"), "There is no organization named “Nobody”"),
        (("job", "show", "4711"), "There is no job 4711"),
        (("job", "retry", "4711"), "There is no job 4711"),
        (("enqueue", "expiry.scam"), "There is no kind of job called expiry.scam"),
        (("enqueue", "job.purge", "-a", "older_than_days=0"), "older_than_days"),
        (("enqueue", "job.purge", "-a", "older"), "write it as name=value"),
        (("organization", "add", "X", "--time-zone", "Mars"), "no IANA time zone"),
        (("member", "add", "no-address", "-o", "X", "--name", "N"), "email"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    keywright: Keywright, command: tuple[str, ...], says: str
) -> None:
    done = keywright.run(*command)
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.startswith("keywright: ")
    assert "Traceback" not in done.stderr
