"""Rules 34 and 35 on a real TLS listener that decides on every call."""

import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import psycopg
import pytest

from tests.integration.certificates.mutual_tls.listeners import Answer, Handling, get, serving
from tests.integration.certificates.mutual_tls.partners import (
    BY,
    FORGER,
    ISSUING,
    PARTNER,
    ROOT,
    SERVER_CERTIFICATE,
    STRANGER,
    Partners,
    client,
    client_context,
    write_identity,
)
from tests.servers.waiting import until
from tests.unit.certificates.signing.authority import Issued
from workers.certificates.mutual_tls.calls import decide_call
from workers.certificates.mutual_tls.decision import Accepted, Door, PresentedCertificate
from workers.certificates.mutual_tls.enabling import disable
from workers.database.pool import database_clock
from workers.errors import NotFoundError

FAILED = (
    "MUTUAL_AUTHENTICATION_FAILED: This session could not be mutually authenticated for use with"
    " the API"
)
NONE = "Client certificate error: No client certificate provided."
UNKNOWN = "Client certificate error: This certificate was not uploaded in this organization."
WITHDRAWN = "Client certificate error: This certificate was withdrawn."
OTHERS = "Client certificate error: This certificate belongs to another member."
OFF = "Client certificate error: Mutual authentication is off for this organization."


@dataclass
class Service:
    """The same service behind two doors, as the model has it on 443 and on 8443."""

    partners: Partners
    folder: Path
    plain_port: int = 0
    mutual_port: int = 0

    @contextmanager
    def running(self) -> Iterator["Service"]:
        """Open both doors."""
        with (
            serving(self.handling(Door.PLAIN), self.context(Door.PLAIN)) as self.plain_port,
            serving(self.handling(Door.MUTUAL), self.context(Door.MUTUAL)) as self.mutual_port,
        ):
            yield self

    def context(self, door: Door) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(write_identity(self.folder, SERVER_CERTIFICATE))
        if door is Door.MUTUAL:
            context.load_verify_locations(cadata=(ROOT.pem + ISSUING.pem).decode())
            context.verify_mode = ssl.CERT_OPTIONAL  # so that the refusal can be told
        return context

    def handling(self, door: Door) -> Handling:
        """Return what a service does with a call: ask, and then answer or refuse."""

        def handle(request: BaseHTTPRequestHandler) -> Answer:
            assert isinstance(request.connection, ssl.SSLSocket)
            der = request.connection.getpeercert(binary_form=True)
            with psycopg.connect(self.partners.connection.info.dsn) as connection:
                decision = decide_call(
                    connection,
                    organization_id=self.partners.organization_id,
                    email=request.headers["Session-Of"],
                    door=door,
                    presented=PresentedCertificate.of_der(der) if der else None,
                    now=database_clock(connection),
                )
            if isinstance(decision, Accepted):
                return 200, decision.client.unique_name if decision.client else "no certificate"
            return 403, decision.text

        return handle

    def call(self, who: str, *, port: int, certificate: Issued | None = None) -> Answer:
        """Call as a member, with a certificate or without."""
        identity = write_identity(self.folder, certificate, ISSUING) if certificate else None
        return get(port, client_context(identity, self.folder), {"Session-Of": who})


@pytest.fixture
def service(partners: Partners, tmp_path: Path) -> Iterator[Service]:
    """A service with both doors open."""
    with Service(partners, tmp_path).running() as service:
        yield service


ANA, BEN = "ana@example.org", "Ben@Example.org"


def test_rule_34_a_member_with_the_permission_is_refused_at_443(service: Service) -> None:
    service.partners.upload(PARTNER)
    assert service.call(ANA, port=service.plain_port) == (403, FAILED)
    assert service.call(ANA, port=service.plain_port, certificate=PARTNER) == (403, FAILED)


def test_rule_34_at_8443_only_an_uploaded_certificate_is_accepted(service: Service) -> None:
    service.partners.upload(PARTNER)
    assert service.call(ANA, port=service.mutual_port) == (403, NONE)
    assert service.call(ANA, port=service.mutual_port, certificate=STRANGER) == (403, UNKNOWN)
    assert service.call(ANA, port=service.mutual_port, certificate=FORGER)[0] == 0
    assert service.call(ANA, port=service.mutual_port, certificate=PARTNER) == (200, "partner")


def test_rule_35_a_member_without_the_permission_is_unaffected_at_443(service: Service) -> None:
    assert service.call(BEN, port=service.plain_port) == (200, "no certificate")
    disable(service.partners.connection, organization_id=1, by=BY)
    assert service.call(BEN, port=service.plain_port) == (200, "no certificate")
    assert service.call(ANA, port=service.plain_port) == (403, FAILED)
    assert service.call(BEN, port=service.mutual_port) == (403, NONE)


def test_rule_34_every_call_of_a_connection_is_decided_anew(service: Service) -> None:
    service.partners.upload(PARTNER)
    identity = write_identity(service.folder, PARTNER, ISSUING)
    connection = http.client.HTTPSConnection(
        "localhost", service.mutual_port, context=client_context(identity, service.folder)
    )

    def call() -> Answer:
        connection.request("GET", "/", headers={"Session-Of": ANA})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    assert call() == (200, "partner")
    one_connection = connection.sock
    service.partners.withdraw("partner")
    assert call() == (403, WITHDRAWN)
    service.partners.upload(PARTNER)
    assert call() == (200, "partner")
    disable(service.partners.connection, organization_id=1, by=BY)
    assert call() == (403, OFF)
    assert connection.sock is one_connection
    connection.close()


def test_a_certificate_of_one_member_does_not_serve_another(service: Service) -> None:
    ana = service.partners.connection.execute(
        "SELECT member_id FROM keywright.member WHERE email = %s", [ANA]
    ).fetchone()
    assert ana is not None
    service.partners.upload(PARTNER, member_id=ana[0])
    assert service.call(ANA, port=service.mutual_port, certificate=PARTNER) == (200, "partner")
    assert service.call(BEN, port=service.mutual_port, certificate=PARTNER) == (403, OTHERS)
    service.partners.connection.execute("UPDATE keywright.member SET active = false")
    assert service.call(ANA, port=service.mutual_port, certificate=PARTNER)[0] == 403


def test_a_certificate_that_ends_during_a_session_is_refused_from_then_on(
    service: Service,
) -> None:
    brief = client("brief", lasts=timedelta(seconds=3))
    service.partners.upload(brief)
    assert service.call(ANA, port=service.mutual_port, certificate=brief) == (200, "brief")
    # A new connection would be refused by TLS itself; the decision alone has to refuse, too.
    connection = service.partners.connection
    presented = PresentedCertificate.of_der(brief.der)

    def refused() -> bool:
        return not isinstance(
            decide_call(
                connection,
                organization_id=1,
                email=ANA,
                door=Door.MUTUAL,
                presented=presented,
                now=database_clock(connection),
            ),
            Accepted,
        )

    until(refused, "its end")


def test_a_call_of_nobody_is_an_error_that_does_not_repeat_the_address(partners: Partners) -> None:
    with pytest.raises(NotFoundError) as error:
        decide_call(
            partners.connection,
            organization_id=partners.organization_id,
            email="eve@example.org",
            door=Door.MUTUAL,
            presented=None,
            now=partners.now,
        )
    assert "eve@" not in str(error.value)
