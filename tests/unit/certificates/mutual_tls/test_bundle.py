"""Who is in a bundle: withdrawn and expired ones leave it, and nothing hostile gets into it."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath

import pytest

from tests.unit.certificates.signing.authority import DAY, ISSUING, LEAF, MIDDLE, NOW, ROOT
from workers.certificates.mutual_tls.bundle import Bundle, Uploaded, make_bundle
from workers.certificates.mutual_tls.decision import KnownClient
from workers.certificates.mutual_tls.listener_files import AUTHORITIES, Listener, listener_files
from workers.errors import InvalidRequestError

KNOWN = KnownClient(
    unique_name="partner", version_number=1, not_before=NOW - DAY, not_after=NOW + DAY
)
LISTENER = Listener(folder=PurePosixPath("/etc/keywright/acme"))


def bundle(known: KnownClient = KNOWN, *, now: datetime = NOW, is_enabled: bool = True) -> Bundle:
    uploaded = Uploaded(
        known=known,
        issuer="CN=Issuing",
        serial="01",
        certificate=LEAF.der,
        chain=(ISSUING.der, MIDDLE.der, ROOT.der),
    )
    return make_bundle(
        [uploaded], organization_id=7, is_enabled=is_enabled, roots=[ROOT.der], now=now
    )


def test_an_accepted_client_brings_its_authorities_the_root_first() -> None:
    made = bundle()
    assert [each.unique_name for each in made.clients] == ["partner"]
    assert made.authorities[0] == ROOT.der
    assert set(made.authorities) == {ROOT.der, MIDDLE.der, ISSUING.der}


@pytest.mark.parametrize(
    "gone",
    [
        bundle(replace(KNOWN, is_withdrawn=True)),
        bundle(replace(KNOWN, root_is_trusted=False)),
        bundle(now=NOW + DAY + timedelta(seconds=1)),
        bundle(now=NOW - 2 * DAY),
        bundle(is_enabled=False),
    ],
    ids=["withdrawn", "root gone", "expired", "not yet valid", "switched off"],
)
def test_whoever_is_not_accepted_is_in_no_list(gone: Bundle) -> None:
    assert gone.clients == ()
    assert gone.authorities == (ROOT.der,)
    files = listener_files(gone, LISTENER)
    assert files["clients.pem"] == b""
    assert files["haproxy-clients.txt"].strip() == b""
    assert b'"' + b"0" * 64 + b'"' in files["envoy-clients.yaml"]
    for content in files.values():
        assert b"partner" not in content


def test_the_same_state_makes_the_same_bytes() -> None:
    assert listener_files(bundle(), LISTENER) == listener_files(
        bundle(now=NOW + timedelta(hours=1)), LISTENER
    )
    assert AUTHORITIES in listener_files(bundle(), LISTENER)


@pytest.mark.parametrize(
    "listener",
    [
        Listener(folder=PurePosixPath("/etc/a; include /etc/passwd")),
        replace(LISTENER, listen=":8443\n    use_backend evil"),
        replace(LISTENER, server_certificate="/etc/server.pem verify none"),
        replace(LISTENER, backend="api if TRUE"),
    ],
)
def test_what_would_be_read_as_configuration_is_refused(listener: Listener) -> None:
    with pytest.raises(InvalidRequestError, match="cannot be written into a configuration file"):
        listener.check()
    with pytest.raises(InvalidRequestError):
        listener_files(bundle(), listener)
