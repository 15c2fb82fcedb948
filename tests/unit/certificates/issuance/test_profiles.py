from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workers.certificates.issuance.lifetimes import LifetimeError
from workers.certificates.issuance.made_from import MadeFrom
from workers.certificates.issuance.profiles import parameters, validity
from workers.contract.certificates import AlternativeNames, GenerateCertificate, Subject
from workers.errors import InvalidRequestError

NOW = datetime(2026, 11, 5, 13, 14, 15, 999999, tzinfo=UTC)
USUAL = Subject(common_name="usual")
WWW = AlternativeNames(dns=("www.example.org",))
TLS = {"profile": "tls_server", "alternative_names": WWW}


def made_from(**given: Any) -> MadeFrom:
    return parameters(GenerateCertificate(label="x", **given), usual_subject=USUAL)


def days(parameters: MadeFrom, *, now: datetime = NOW) -> int:
    dates = validity(parameters, now=now, usual_caps="warn")
    return (dates.not_after - dates.not_before).days


def refusal(**given: Any) -> str:
    with pytest.raises(InvalidRequestError) as refused:
        made_from(**given)
    return str(refused.value)


def test_rule_5_rsa_2048_is_what_one_gets_without_a_word() -> None:
    assert made_from().key_type == "RSA-2048"
    assert made_from(key_type="RSA-3072").key_type == "RSA-3072"


@pytest.mark.parametrize("key_type", ["P-256", "P-384", "Ed25519"])
def test_rule_5_the_models_keys_are_rsa(key_type: str) -> None:
    said = refusal(key_type=key_type)
    assert said.startswith(f"key_type: {key_type} is none of the standard profile, which has RSA-")


@pytest.mark.parametrize("key_type", ["RSA-1024", "RSA-1", "2048", "P-521"])
def test_rule_5_other_keys_are_not_known(key_type: str) -> None:
    with pytest.raises(ValueError, match="key_type"):
        GenerateCertificate.model_validate({"label": "x", "key_type": key_type})


@pytest.mark.parametrize(
    ("key_type", "end"),
    [
        ("RSA-2048", datetime(2027, 11, 5, 13, 14, 15, tzinfo=UTC)),
        ("RSA-3072", datetime(2027, 11, 5, 13, 14, 15, tzinfo=UTC)),
        ("RSA-4096", datetime(2028, 11, 5, 13, 14, 15, tzinfo=UTC)),
    ],
)
def test_rule_8_the_key_size_says_how_long_it_lasts(key_type: str, end: datetime) -> None:
    dates = validity(made_from(key_type=key_type), now=NOW, usual_caps="refuse")
    assert (dates.not_before, dates.not_after) == (NOW.replace(microsecond=0), end)
    assert dates.warnings == ()


@pytest.mark.parametrize("wanted", [1, 365, 366])
def test_rule_8_a_validity_that_was_chosen_is_refused(wanted: int) -> None:
    assert refusal(validity_days=wanted).startswith("validity_days: in the standard profile")


def test_rule_10_the_models_self_signed_certificates_know_no_caps() -> None:
    in_2030 = datetime(2030, 1, 1, tzinfo=UTC)
    parameters = made_from(lifetime_caps="refuse", key_type="RSA-4096")
    assert days(parameters, now=in_2030) == 730


@pytest.mark.parametrize("profile", ["signing", "tls_client"])
def test_beyond_the_model_the_validity_is_chosen(profile: str) -> None:
    assert days(made_from(profile=profile)) == 365
    assert days(made_from(profile=profile, validity_days=3650)) == 3650
    assert validity(made_from(profile=profile), now=NOW, usual_caps="refuse").warnings == ()


@pytest.mark.parametrize(("year", "longest"), [(2026, 398), (2027, 200), (2028, 100), (2030, 47)])
def test_a_tls_server_gets_what_the_caps_allow(year: int, longest: int) -> None:
    assert days(made_from(**TLS), now=datetime(year, 1, 1, tzinfo=UTC)) == longest


def test_a_longer_life_is_a_warning_or_a_refusal_as_it_was_configured() -> None:
    parameters = made_from(**TLS, validity_days=365)
    dates = validity(parameters, now=NOW, usual_caps="warn")
    assert dates.not_after - dates.not_before == timedelta(days=365)
    assert [each[:18] for each in dates.warnings] == ["It lasts 365 days,"]
    assert validity(parameters, now=NOW, usual_caps="ignore").warnings == ()
    with pytest.raises(LifetimeError, match="ask for fewer days"):
        validity(parameters, now=NOW, usual_caps="refuse")


def test_what_was_asked_for_goes_before_what_is_usual() -> None:
    lenient = made_from(**TLS, validity_days=365, lifetime_caps="ignore")
    assert validity(lenient, now=NOW, usual_caps="refuse").warnings == ()
    strict = made_from(**TLS, validity_days=365, lifetime_caps="refuse")
    with pytest.raises(LifetimeError):
        validity(strict, now=NOW, usual_caps="ignore")


def test_a_ca_decides_how_long_its_certificates_last() -> None:
    said = refusal(profile="tls_client", ca_signed=True, validity_days=90)
    assert said.startswith("validity_days: how long a CA-signed")


def test_alternative_names_are_beyond_the_model() -> None:
    assert refusal(alternative_names=WWW).startswith("alternative_names: the standard profile")
    assert made_from(profile="signing", alternative_names=WWW).alternative_names == WWW


@pytest.mark.parametrize("profile", ["tls_server", "tls_server_and_client"])
def test_a_tls_server_is_known_by_an_alternative_name(profile: str) -> None:
    assert "needs a DNS name or an address" in refusal(profile=profile)
    assert "needs a DNS name or an address" in refusal(
        profile=profile, alternative_names=AlternativeNames(email=("a@example.org",))
    )
    assert made_from(profile=profile, alternative_names=WWW).key_type == "P-256"


def test_a_certificate_is_for_somebody() -> None:
    assert refusal(ca_signed=True).startswith("subject.common_name:")
    assert refusal(subject=Subject(country="DE")).startswith("subject.common_name:")
    assert made_from().subject == USUAL
    nameless = made_from(**TLS, ca_signed=True)
    assert nameless.subject == Subject()
