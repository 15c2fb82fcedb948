"""``keywright demo`` as a newcomer runs it: over memory and over RabbitMQ, once and again."""

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.acceptance.keywright_command import Keywright, url_of
from tests.servers.rabbitmq import RabbitmqNode
from workers.contract import Queue
from workers.jobs.intake.topology import INTAKE, REFUSED
from workers.jobs.queues import dead_letter_queue


def mails(keywright: Keywright) -> list[EmailMessage]:
    """Read the caught messages."""
    return [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in sorted((keywright.data_dir / "mail").glob("*.eml"))
    ]


def body(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def assert_notices_agree_with_mails(keywright: Keywright) -> None:
    """Every sent notice stands in the mail it names, and no mail holds anything else."""
    notices = keywright.json("notice", "list")
    sent = [notice for notice in notices if notice["state"] == "sent"]
    by_id = {mail["Message-ID"]: mail for mail in mails(keywright)}
    assert {notice["message_id"] for notice in sent} == set(by_id)
    for notice in sent:
        mail = by_id[notice["message_id"]]
        assert mail["To"].addresses[0].addr_spec == notice["email"]
        assert notice["certificate"] in body(mail)
        assert notice["smtp_reply"]
    for message_id, mail in by_id.items():
        told = {notice["certificate"] for notice in sent if notice["message_id"] == message_id}
        assert body(mail).count("Expires") >= len(told)


def assert_reencrypted(keywright: Keywright, said: str, *, keys: int) -> None:
    """Every made-up patient's values are under the newest of so many master keys."""
    for words in (f"Master key {keys} is active, {keys - 1} is archived", "\ncompleted\n"):
        assert words in said
    assert "shown as ****-****-****-" in said
    assert "\x1b" not in said  # no bar where there is no terminal
    latest, *_, first = keywright.json("reencryption", "list")
    assert (first["purpose"], first["state"]) == ("encrypt", "completed")
    assert (latest["purpose"], latest["target_number"]) == ("reencrypt", keys)
    report = keywright.json("reencryption", "report", str(latest["run_id"]))
    assert {
        census["field_name"]: (census["by_key"], census["plaintext"])
        for census in report["census_after"]
    } == {
        "demo.patient.card": ({str(keys): 50_000}, 0),
        "demo.patient.note": ({str(keys): 50_000}, 0),
    }
    assert (report["quarantined"], report["verified"]) == ({}, 50_000)


def test_the_demo_tells_whom_it_should_and_nobody_twice(tmp_path: Path) -> None:
    keywright = Keywright(tmp_path / "data")
    first = keywright.run("demo")
    assert (first.returncode, first.stderr) == (0, "")
    for said in ("Ada Holder", "administrator; no holders", "not active", "Try next"):
        assert said in first.stdout
    assert_notices_agree_with_mails(keywright)
    assert_reencrypted(keywright, first.stdout, keys=2)
    sent = len(mails(keywright))
    assert sent == 5
    tiers = {
        (notice["organization"], notice["tier_days"])
        for notice in keywright.json("notice", "list")
        if notice["state"] == "sent"
    }
    assert tiers == {
        (organization, tier)
        for organization, found in (
            ("Northwind Traders", (60, 30, 10, 1, 0)),
            ("Globex", (60, 30, 10, 0)),
        )
        for tier in found
    }

    second = keywright.run("demo")
    assert second.returncode == 0
    assert "Nobody was told anything by this run" in second.stdout
    assert_reencrypted(keywright, second.stdout, keys=3)
    assert len(mails(keywright)) == sent
    status = keywright.run("status")
    assert (status.returncode, "all is well" in status.stdout) == (0, True)


def test_the_same_demo_runs_over_rabbitmq(
    tmp_path: Path, rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    keywright = Keywright(
        tmp_path / "data", {"KEYWRIGHT_BROKER_URL": rabbitmq_node.url(broker_vhost)}
    )
    first = keywright.run("demo")
    assert first.returncode == 0, first.stderr
    assert len(mails(keywright)) == 5
    assert_notices_agree_with_mails(keywright)
    # The hints went through the queues, and none is left or was refused.
    names = {name for queue in Queue for name in (queue.value, dead_letter_queue(queue.value))}
    names |= {INTAKE, f"{INTAKE}.XQ", REFUSED}
    assert rabbitmq_node.queue_depths(broker_vhost) == dict.fromkeys(names, 0)
    workers = {
        keywright.json("job", "show", str(job["job_id"]))["worker"]
        for job in keywright.json("job", "list", "--kind", "notice.deliver")
    }
    assert all(workers)
    assert_reencrypted(keywright, first.stdout, keys=2)
    second = keywright.run("demo")
    assert second.returncode == 0, second.stderr
    assert_reencrypted(keywright, second.stdout, keys=3)
    assert len(mails(keywright)) == 5


def test_a_server_without_a_root_key_gets_one_in_the_data_folder(
    tmp_path: Path, conninfo: str, broker_url: str
) -> None:
    settings = {
        "KEYWRIGHT_DATABASE_URL": url_of(conninfo),
        "KEYWRIGHT_BROKER_URL": broker_url,
    }
    keywright = Keywright(tmp_path / "data", settings)
    for keys in (2, 3):
        demo = keywright.run("demo")
        assert (demo.returncode, demo.stderr) == (0, "")
        assert_reencrypted(keywright, demo.stdout, keys=keys)
    root_key = tmp_path / "data" / "root.key"
    assert root_key.stat().st_mode & 0o777 == 0o600
    assert f"file:{root_key}" in demo.stdout


@pytest.mark.parametrize("broken", ["KEYWRIGHT_BROKER_URL", "KEYWRIGHT_DATABASE_URL"])
def test_a_setting_that_is_wrong_is_named_in_one_line(tmp_path: Path, broken: str) -> None:
    done = Keywright(tmp_path / "data", {broken: "http://user:hunter2@nowhere"}).run("demo")
    assert done.returncode == 1
    assert done.stderr.startswith(f"keywright: {broken}: ")
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr + done.stdout
