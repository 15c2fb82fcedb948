"""Rules 34 and 35 as a table: member, door, certificate, time → accepted or the refusal."""

from datetime import timedelta

import pytest

from tests.unit.certificates.signing.authority import NOW
from workers.certificates.mutual_tls.decision import (
    TEXTS,
    Accepted,
    Caller,
    Door,
    KnownClient,
    KnownClients,
    PresentedCertificate,
    Refusal,
    Refused,
    decide,
)

SECOND = timedelta(seconds=1)
ANA = Caller(member_id=1, enforces_mutual_tls=True)
BEN = Caller(member_id=2, enforces_mutual_tls=False)


def known(**changes: object) -> KnownClient:
    values = {
        "unique_name": "partner",
        "version_number": 1,
        "not_before": NOW,
        "not_after": NOW + timedelta(days=1),
    }
    return KnownClient(**(values | changes))  # type: ignore[arg-type]


PARTNER = PresentedCertificate.of_der(b"the partner's certificate")
STRANGER = PresentedCertificate.of_der(b"a stranger's certificate")


def asked(
    caller: Caller = ANA,
    *,
    door: Door = Door.MUTUAL,
    presented: PresentedCertificate | None = PARTNER,
    client: KnownClient | None = None,
    is_enabled: bool = True,
    after: timedelta = timedelta(hours=1),
) -> Refusal | str | None:
    """Return the refusal, or the name of the certificate that was accepted."""
    decision = decide(
        caller,
        door=door,
        presented=presented,
        known=KnownClients(
            is_enabled=is_enabled, by_fingerprint={PARTNER.fingerprint: client or known()}
        ),
        now=NOW + after,
    )
    if isinstance(decision, Refused):
        return decision.reason
    return decision.client.unique_name if decision.client else None


def test_rule_34_the_texts_are_those_of_the_model() -> None:
    assert Refused(Refusal.MUTUAL_AUTHENTICATION_FAILED).text.startswith(
        "MUTUAL_AUTHENTICATION_FAILED: "
    )
    assert TEXTS[Refusal.NO_CLIENT_CERTIFICATE].endswith("No client certificate provided.")
    assert set(TEXTS) == set(Refusal)


@pytest.mark.parametrize("presented", [None, PARTNER, STRANGER])
@pytest.mark.parametrize("is_enabled", [True, False])
def test_rule_34_whoever_has_the_permission_is_refused_at_443(
    presented: PresentedCertificate | None, *, is_enabled: bool
) -> None:
    refusal = asked(door=Door.PLAIN, presented=presented, is_enabled=is_enabled)
    assert refusal is Refusal.MUTUAL_AUTHENTICATION_FAILED


@pytest.mark.parametrize("is_enabled", [True, False])
def test_rule_35_whoever_has_not_is_unaffected_at_443(*, is_enabled: bool) -> None:
    assert asked(BEN, door=Door.PLAIN, presented=None, is_enabled=is_enabled) is None


@pytest.mark.parametrize("caller", [ANA, BEN])
def test_rule_34_at_8443_everybody_presents_what_was_uploaded(caller: Caller) -> None:
    assert asked(caller, presented=None) is Refusal.NO_CLIENT_CERTIFICATE
    assert asked(caller, presented=STRANGER) is Refusal.UNKNOWN_CERTIFICATE
    assert asked(caller) == "partner"


def test_rule_31_nothing_is_accepted_at_8443_while_it_is_off() -> None:
    assert asked(is_enabled=False) is Refusal.MUTUAL_TLS_IS_OFF
    assert asked(is_enabled=False, presented=None) is Refusal.NO_CLIENT_CERTIFICATE


def test_a_certificate_is_accepted_from_its_first_to_its_last_second() -> None:
    assert asked(after=-SECOND) is Refusal.NOT_YET_VALID
    assert asked(after=timedelta(0)) == "partner"
    assert asked(after=timedelta(days=1)) == "partner"
    assert asked(after=timedelta(days=1, microseconds=1)) is Refusal.EXPIRED


def test_a_withdrawn_one_and_one_whose_root_is_gone_are_refused() -> None:
    assert asked(client=known(is_withdrawn=True)) is Refusal.WITHDRAWN_CERTIFICATE
    assert asked(client=known(root_is_trusted=False)) is Refusal.UNTRUSTED_ROOT


def test_a_certificate_of_a_member_is_of_use_to_nobody_else() -> None:
    assert asked(client=known(member_id=1)) == "partner"
    assert asked(BEN, client=known(member_id=1)) is Refusal.OTHER_MEMBERS_CERTIFICATE


@pytest.mark.parametrize("door", Door)
def test_an_inactive_member_is_refused_whatever_they_present(door: Door) -> None:
    gone = Caller(member_id=2, enforces_mutual_tls=False, is_active=False)
    assert asked(gone, door=door) is Refusal.INACTIVE_MEMBER


def test_what_is_accepted_says_with_which_certificate() -> None:
    client = known()
    decision = decide(
        ANA,
        door=Door.MUTUAL,
        presented=PARTNER,
        known=KnownClients(is_enabled=True, by_fingerprint={PARTNER.fingerprint: client}),
        now=NOW,
    )
    assert decision == Accepted(client)
