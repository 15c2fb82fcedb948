"""Whether one version can take the place of another, and what to mind."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from workers.certificates.replacement.plan import VersionRef
from workers.certificates.replacement.successor import (
    Candidate,
    check_successor,
    reason_against_use,
)
from workers.errors import ConflictError

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
OLD = Candidate(
    ref=VersionRef(unique_name="old", version_number=1),
    version_id=1,
    certificate_id=1,
    not_before=NOW - 300 * DAY,
    not_after=NOW + 60 * DAY,
    key_algorithm="RSA",
    key_size=2048,
    has_private_key=True,
    is_replaced=False,
    is_deleted=False,
    is_retired_default=False,
    certificate_der=None,
)
NEW = replace(
    OLD,
    ref=VersionRef(unique_name="new", version_number=1),
    version_id=2,
    not_before=NOW - DAY,
    not_after=NOW + 365 * DAY,
)
KEY = generate_private_key(SECP256R1())


def check(new: Candidate, *kinds: str, old: Candidate = OLD) -> tuple[str, ...]:
    return check_successor(old, new, now=NOW, place_kinds=frozenset(kinds))


def der(purposes: list[x509.ObjectIdentifier], names: list[str]) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + DAY)
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if names:
        sans = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(sans, critical=False)
    return builder.sign(KEY, SHA256()).public_bytes(Encoding.DER)


def test_a_newer_one_of_the_same_kind_takes_over_without_remark() -> None:
    assert check(NEW, "api_client", "saml_configuration") == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version_id": 1}, "the same version"),
        ({"not_before": None, "not_after": None}, "not signed yet"),
        ({"not_after": NOW + 59 * DAY}, "ends earlier (2026-07-30) than the old one (2026-07-31)"),
        ({"not_after": NOW - DAY}, "it has ended"),
        ({"is_retired_default": True}, "retired default"),
    ],
)
def test_what_cannot_take_over_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ConflictError) as refusal:
        check(replace(NEW, **change))
    assert says in str(refusal.value)
    assert str(refusal.value).endswith("Nothing was changed.")


def test_every_reason_is_said_at_once() -> None:
    poor = replace(
        NEW, not_after=NOW, has_private_key=False, key_algorithm="Ed25519", is_retired_default=True
    )
    with pytest.raises(ConflictError) as refusal:
        check(poor, "saml_configuration")
    said = str(refusal.value)
    assert [said.count(each) for each in ("earlier", "default", "private key", "Ed25519")] == [
        1
    ] * 4
    with pytest.raises(ConflictError) as refusal:
        check(poor, "api_client")
    assert "private key" not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"not_before": NOW + DAY}, "Places can switch from 2026-06-02 00:00 UTC on"),
        ({"key_size": 4096}, "The key is RSA 4096 and was RSA 2048"),
        ({"key_algorithm": "EC P-256", "key_size": None}, "The key is EC P-256 and was RSA 2048"),
        ({"has_private_key": False}, "The private key of the new one is not here"),
        ({"is_replaced": True}, "was replaced itself"),
        ({"not_after": OLD.not_after}, "ends when the old one does"),
    ],
)
def test_what_is_to_be_minded_is_said(change: dict[str, Any], says: str) -> None:
    [remark] = check(replace(NEW, **change))
    assert says in remark


def test_purposes_and_names_that_are_lost_are_said() -> None:
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    old = replace(OLD, certificate_der=der(both, [f"{n}.example" for n in range(6)]))
    new = replace(NEW, certificate_der=der(both[:1], ["0.example"]))
    assert check(new, old=old) == (
        "The new one is not for client authentication, as the old one was.",
        "The new one does not name 1.example, 2.example, 3.example, 4.example, 5.example.",
    )
    # Without the extension it is for everything.
    assert (
        check(replace(NEW, certificate_der=der([], [f"{n}.example" for n in range(6)])), old=old)
        == ()
    )
    assert check(replace(NEW, certificate_der=b"strange"), old=old) == ()


def test_what_no_place_can_begin_to_use_is_said() -> None:
    assert reason_against_use(NEW, now=NOW) is None
    for change, says in (
        ({"is_deleted": True}, "was deleted"),
        ({"not_before": None, "not_after": None}, "not signed"),
        ({"not_before": NOW + DAY}, "not valid before"),
        ({"not_after": NOW - DAY}, "ended on"),
    ):
        reason = reason_against_use(replace(NEW, **change), now=NOW)
        assert reason is not None
        assert says in reason


def test_of_many_names_that_are_lost_the_first_are_said() -> None:
    old = replace(OLD, certificate_der=der([], [f"{number}.example" for number in range(9)]))
    [remark] = check(replace(NEW, certificate_der=der([], [])), old=old)
    assert remark.endswith("4.example and 4 more.")
