"""Profiles: what a certificate may be asked to be. ``standard`` is the model's. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from workers.certificates.issuance.alternative_names import checked
from workers.certificates.issuance.key_types import KEY_TYPES, RSA_KEY_TYPES
from workers.certificates.issuance.lifetimes import cap_days, check_cap, years_later
from workers.certificates.issuance.made_from import MadeFrom
from workers.contract.certificates import (
    AlternativeNames,
    GenerateCertificate,
    KeyType,
    LifetimeCaps,
    ProfileName,
    Subject,
)
from workers.errors import InvalidRequestError

_USUAL_DAYS = 365
_NO_NAMES = AlternativeNames()


@dataclass(frozen=True)
class Profile:
    """What a profile allows; ``is_model`` is the model's, whose validity nobody chooses."""

    key_types: tuple[KeyType, ...]
    usual_key_type: KeyType
    server: bool = False
    client: bool = False
    is_model: bool = False


PROFILES: dict[ProfileName, Profile] = {
    "standard": Profile(RSA_KEY_TYPES, "RSA-2048", is_model=True),
    "signing": Profile(KEY_TYPES, "P-256"),
    "tls_server": Profile(KEY_TYPES, "P-256", server=True),
    "tls_client": Profile(KEY_TYPES, "P-256", client=True),
    "tls_server_and_client": Profile(KEY_TYPES, "P-256", server=True, client=True),
}


@dataclass(frozen=True, kw_only=True)
class Validity:
    """When a certificate is valid, and what is to be said about that."""

    not_before: datetime
    not_after: datetime
    warnings: tuple[str, ...] = ()


def parameters(request: GenerateCertificate, *, usual_subject: Subject) -> MadeFrom:
    """Return the parameters that a request comes to, checked against its profile.

    ``usual_subject`` is that of a self-signed certificate for which nobody gave one.

    Raises:
        InvalidRequestError: the profile has no such certificates; the text names the field.
    """
    profile = PROFILES[request.profile]
    key_type = request.key_type or profile.usual_key_type
    if key_type not in profile.key_types:
        raise InvalidRequestError(
            f"key_type: {key_type} is none of the {request.profile} profile, which has"
            f" {', '.join(profile.key_types)}; choose one of these, or another profile."
        )
    names = checked(request.alternative_names)
    if profile.is_model and names != _NO_NAMES:
        raise InvalidRequestError(
            f"alternative_names: the {request.profile} profile has none; choose another profile,"
            " such as tls_server."
        )
    if profile.server and not (names.dns or names.ip):
        raise InvalidRequestError(
            f"alternative_names: the {request.profile} profile needs a DNS name or an address,"
            " since clients look for the server's name nowhere else (RFC 9525)."
        )
    _check_validity(request, profile)
    return MadeFrom(
        profile=request.profile,
        key_type=key_type,
        subject=_subject(request, names, usual_subject),
        alternative_names=names,
        validity_days=request.validity_days,
        lifetime_caps=request.lifetime_caps,
    )


def validity(made_from: MadeFrom, *, now: datetime, usual_caps: LifetimeCaps) -> Validity:
    """Return the dates of a self-signed certificate that is made now.

    In the model's profile it lasts one year, with 4096 bits two (rule 8). Caps are for TLS servers
    (rule 10: the model's are exempt); ``usual_caps`` holds where the parameters do not say.

    Raises:
        LifetimeError: it would last longer than the caps allow, and that is to be refused.
    """
    not_before = now.replace(microsecond=0)  # certificates count in seconds
    profile = PROFILES[made_from.profile]
    if profile.is_model:
        years = 2 if made_from.key_type == "RSA-4096" else 1
        return Validity(not_before=not_before, not_after=years_later(not_before, years))
    usual_days = cap_days(not_before) if profile.server else _USUAL_DAYS
    not_after = not_before + timedelta(days=made_from.validity_days or usual_days)
    warning = None
    if profile.server:
        warning = check_cap(
            not_before,
            not_after,
            caps=made_from.lifetime_caps or usual_caps,
            how_to_fix="ask for fewer days, or for a warning instead (lifetime_caps)",
        )
    return Validity(
        not_before=not_before, not_after=not_after, warnings=() if warning is None else (warning,)
    )


def _check_validity(request: GenerateCertificate, profile: Profile) -> None:
    if request.validity_days is None:
        return
    if request.ca_signed:
        raise InvalidRequestError(
            "validity_days: how long a CA-signed certificate lasts, its CA decides; leave it out."
        )
    if profile.is_model:
        raise InvalidRequestError(
            f"validity_days: in the {request.profile} profile the key size decides (2048 and 3072"
            " bits one year, 4096 two); leave it out, or choose another profile."
        )


def _subject(
    request: GenerateCertificate, names: AlternativeNames, usual_subject: Subject
) -> Subject:
    if request.subject is None and not request.ca_signed:
        return usual_subject
    subject = request.subject or Subject()
    if subject.common_name is None and names == _NO_NAMES:
        raise InvalidRequestError(
            "subject.common_name: a certificate needs a common name or an alternative name."
        )
    return subject
