"""The generated snippets, with the real programs that read them, and rule 36: the bounded delay."""

import json
import threading
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from tests.integration.certificates.mutual_tls.listeners import (
    Answer,
    echo,
    get,
    nginx_reload,
    running_envoy,
    running_haproxy,
    running_nginx,
    serving,
)
from tests.integration.certificates.mutual_tls.partners import (
    BY,
    FORGER,
    ISSUING,
    PARTNER,
    ROOT,
    SERVER_CERTIFICATE,
    STRANGER,
    Partners,
    another,
    client_context,
    write_identity,
)
from tests.servers.ports import free_port
from tests.servers.waiting import until
from workers.certificates.mutual_tls.enabling import disable
from workers.certificates.mutual_tls.listener_files import Listener
from workers.certificates.mutual_tls.presented import read_header
from workers.certificates.mutual_tls.refreshing import Refreshed, refresh
from workers.certificates.mutual_tls.watching import watch

NONE = "Client certificate error: No client certificate provided."
UNKNOWN = "Client certificate error: This certificate was not uploaded in this organization."


class Desk:
    """A folder with a bundle, and the clients that try it."""

    def __init__(self, partners: Partners, folder: Path) -> None:
        self.partners = partners
        self.folder = folder
        self.bundle = folder / "bundle"
        self.server = write_identity(folder, SERVER_CERTIFICATE, ROOT)
        self.port = free_port()
        self.reload: list[str] = []
        self.listener = Listener(
            folder=PurePosixPath(self.bundle),
            listen=f"127.0.0.1:{self.port}",
            server_certificate=str(self.server),
        )

    def refresh(self) -> Refreshed:
        return refresh(
            self.partners.connection,
            organization_id=self.partners.organization_id,
            folder=self.bundle,
            listener=self.listener,
            reload_command=self.reload,
        )

    def answers(self, port: int) -> dict[str, Answer]:
        """Ask as everybody there is."""
        identities = {
            "partner": write_identity(self.folder, PARTNER, ISSUING),
            "partner with its leaf alone": write_identity(self.folder / "leaf", PARTNER),
            "stranger": write_identity(self.folder, STRANGER, ISSUING),
            "forger": write_identity(self.folder, FORGER),
            "nobody": None,
        }
        return {
            who: get(port, client_context(identity, self.folder), {"X-Client-Certificate": "mine"})
            for who, identity in identities.items()
        }


def test_nginx_accepts_whom_the_bundle_names_and_nobody_else(
    partners: Partners, tmp_path: Path
) -> None:
    desk = Desk(partners, tmp_path)
    uploaded = partners.upload(PARTNER)
    desk.refresh()
    nginx = tmp_path / "nginx"
    with serving(echo) as service, running_nginx(nginx, desk.bundle, desk.server, service) as port:
        answers = desk.answers(port)
        assert answers["nobody"] == (400, NONE)
        assert answers["stranger"] == (403, UNKNOWN)
        assert answers["forger"] == (400, UNKNOWN)
        for who in ("partner", "partner with its leaf alone"):
            status, text = answers[who]
            assert status == 200, text
            headers = json.loads(text)["headers"]
            presented = read_header(headers["x-client-certificate"])
            assert presented is not None
            assert presented.fingerprint == uploaded.fingerprint
            assert headers["x-client-certificate-name"] == "partner"
        desk.reload = nginx_reload(nginx)
        partners.withdraw("partner")
        partners.upload(STRANGER)
        assert desk.refresh() == Refreshed(clients=1, changed=True, reloaded=True)
        until(lambda: desk.answers(port)["partner"] == (403, UNKNOWN), "the withdrawal")
        # For a moment, workers of before the reload still take connections.
        until(lambda: desk.answers(port)["stranger"][0] == 200, "the new client")
        disable(partners.connection, organization_id=partners.organization_id, by=BY)
        assert desk.refresh() == Refreshed(clients=0, changed=True, reloaded=True)
        until(lambda: desk.answers(port)["stranger"] == (403, UNKNOWN), "nobody to be accepted")


def test_haproxy_accepts_whom_the_bundle_names_and_nobody_else(
    partners: Partners, tmp_path: Path
) -> None:
    desk = Desk(partners, tmp_path)
    uploaded = partners.upload(PARTNER)
    desk.refresh()
    with (
        serving(echo) as service,
        running_haproxy(tmp_path / "haproxy", desk.bundle, desk.port, service) as desk.reload,
    ):
        answers = desk.answers(desk.port)
        assert answers["nobody"] == (400, NONE)
        assert answers["stranger"] == (403, UNKNOWN)
        assert answers["forger"][0] == 0  # within the handshake
        for who in ("partner", "partner with its leaf alone"):
            status, text = answers[who]
            assert status == 200, text
            presented = read_header(json.loads(text)["headers"]["x-client-certificate"])
            assert presented is not None
            assert presented.fingerprint == uploaded.fingerprint
        partners.withdraw("partner")
        assert desk.refresh().reloaded
        until(lambda: desk.answers(desk.port)["partner"] == (403, UNKNOWN), "the withdrawal")


def test_envoy_accepts_whom_the_bundle_names_and_nobody_else(
    partners: Partners, tmp_path: Path
) -> None:
    desk = Desk(partners, tmp_path)
    uploaded = partners.upload(PARTNER)
    desk.refresh()
    with (
        serving(echo) as service,
        running_envoy(tmp_path / "envoy", desk.bundle, desk.port, service),
    ):
        answers = desk.answers(desk.port)
        for who in ("nobody", "stranger", "forger"):
            assert answers[who][0] == 0  # all within the handshake
        for who in ("partner", "partner with its leaf alone"):
            status, text = answers[who]
            assert status == 200, text
            presented = read_header(json.loads(text)["headers"]["x-forwarded-client-cert"])
            assert presented is not None
            assert presented.fingerprint == uploaded.fingerprint
        # It watches the folder by itself: no reload.
        partners.withdraw("partner")
        partners.upload(STRANGER)
        assert desk.refresh() == Refreshed(clients=1, changed=True, reloaded=False)
        until(lambda: desk.answers(desk.port)["partner"][0] == 0, "the withdrawal")
        until(lambda: desk.answers(desk.port)["stranger"][0] == 200, "the new client")
        disable(partners.connection, organization_id=partners.organization_id, by=BY)
        desk.refresh()
        # An empty list would mean that it accepts every certificate.
        until(lambda: desk.answers(desk.port)["stranger"][0] == 0, "nobody to be accepted")


def test_rule_36_a_watched_bundle_follows_within_its_interval(
    partners: Partners, tmp_path: Path
) -> None:
    desk = Desk(partners, tmp_path)
    stop = threading.Event()
    seen: list[Refreshed] = []
    reported: list[str] = []

    def watching() -> None:
        watch(
            desk.refresh,
            every_seconds=0.2,
            stop=stop,
            report=seen.append,
            complain=reported.append,
        )

    def named() -> list[str]:
        try:
            document = json.loads((desk.bundle / "current" / "clients.json").read_bytes())
        except FileNotFoundError:
            return ["nothing yet"]
        return [each["unique_name"] for each in document["clients"]]

    with ExitStack() as stack:
        # The one connection is the watcher's as long as it runs: changes are made by another.
        other = stack.enter_context(another(partners))
        thread = threading.Thread(target=watching, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(stop.set)
        until(lambda: named() == [], "the first bundle")
        other.upload(PARTNER)
        looks = [len(seen)]
        until(lambda: named() == ["partner"], "the new client")
        other.withdraw("partner")
        looks.append(len(seen))
        until(lambda: named() == [], "the withdrawal")
    assert [each.clients for each in seen if each.changed] == [0, 1, 0]
    # The look that was under way may have missed it; the one after it may not.
    noticed = [number for number, each in enumerate(seen) if each.changed][1:]
    assert all(number <= before + 1 for number, before in zip(noticed, looks, strict=True))
    assert reported == []
