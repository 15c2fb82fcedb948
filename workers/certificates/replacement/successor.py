"""Whether one certificate version can take the place of another. Pure."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from workers.certificates.replacement.plan import VersionRef
from workers.errors import ConflictError

SAML_PLACE = "saml_configuration"
RETIRED_DEFAULT = "it is a retired default certificate, which no SAML configuration may select"

_PURPOSES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "server authentication",
    ExtendedKeyUsageOID.CLIENT_AUTH: "client authentication",
    ExtendedKeyUsageOID.CODE_SIGNING: "code signing",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "e-mail protection",
}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What is known of a version that gives way or takes over."""

    ref: VersionRef
    version_id: int
    certificate_id: int
    not_before: datetime | None
    not_after: datetime | None
    key_algorithm: str
    key_size: int | None
    has_private_key: bool
    is_replaced: bool
    is_deleted: bool
    is_retired_default: bool
    certificate_der: bytes | None


def check_successor(
    old: Candidate, new: Candidate, *, now: datetime, place_kinds: frozenset[str]
) -> tuple[str, ...]:
    """Return what to mind when ``new`` takes the place of ``old``; sentences for people.

    ``place_kinds`` are the kinds of places that ``old`` has.

    Raises:
        ConflictError: it cannot; the text says every reason at once.
    """
    reasons = list(_reasons_against(old, new, now))
    if SAML_PLACE in place_kinds:
        reasons += [each for each in reasons_against_signing(new) if each not in reasons]
    if reasons:
        raise ConflictError(
            f"{new.ref} cannot take the place of {old.ref}: {'; '.join(reasons)}. Nothing was"
            " changed."
        )
    return tuple(_remarks(old, new, now))


def reasons_against_signing(candidate: Candidate) -> list[str]:
    """Return why a version cannot sign SAML requests."""
    reasons = []
    if candidate.is_retired_default:
        reasons.append(RETIRED_DEFAULT)
    if not candidate.has_private_key:
        reasons.append("its private key is not here, so it signs nothing")
    if not candidate.key_algorithm.startswith(("RSA", "EC P-")):
        reasons.append(
            f"SAML partners cannot check {candidate.key_algorithm} signatures; take an RSA or an"
            " EC key"
        )
    return reasons


def reason_against_use(candidate: Candidate, *, now: datetime) -> str | None:
    """Return why no place can begin to use a version at this moment; None: it can."""
    if candidate.is_deleted:
        return f"“{candidate.ref.unique_name}” was deleted"
    if candidate.not_before is None or candidate.not_after is None:
        return f"{candidate.ref} is not signed yet"
    if candidate.not_before > now:
        return f"{candidate.ref} is not valid before {candidate.not_before:%Y-%m-%d %H:%M} UTC"
    if candidate.not_after < now:
        return f"{candidate.ref} ended on {candidate.not_after:%Y-%m-%d %H:%M} UTC"
    return None


def _reasons_against(old: Candidate, new: Candidate, now: datetime) -> list[str]:
    if new.version_id == old.version_id:
        return ["it is the same version"]
    if new.not_after is None:
        return ["it is not signed yet; upload its signed chain first"]
    reasons = []
    if new.not_after < now:
        reasons.append("it has ended")
    elif old.not_after is not None and new.not_after < old.not_after:
        reasons.append(
            f"it ends earlier ({new.not_after:%Y-%m-%d}) than the old one"
            f" ({old.not_after:%Y-%m-%d})"
        )
    if new.is_retired_default:
        reasons.append(RETIRED_DEFAULT)
    return reasons


def _remarks(old: Candidate, new: Candidate, now: datetime) -> list[str]:
    remarks = []
    if new.not_before is not None and new.not_before > now:
        remarks.append(f"Places can switch from {new.not_before:%Y-%m-%d %H:%M} UTC on: {new.ref}"
                       " is not valid before.")  # fmt: skip
    if new.not_after == old.not_after:
        remarks.append("It ends when the old one does: only the key is another.")
    if _key(new) != _key(old):
        remarks.append(
            f"The key is {_key(new)} and was {_key(old)}: see that every place takes it."
        )
    if old.has_private_key and not new.has_private_key:
        remarks.append("The private key of the new one is not here; that of the old one is.")
    if new.is_replaced:
        remarks.append(f"{new.ref} was replaced itself; is a newer version meant?")
    remarks += _lost(old.certificate_der, new.certificate_der)
    return remarks


def _key(candidate: Candidate) -> str:
    size = "" if candidate.key_size is None else f" {candidate.key_size}"
    return f"{candidate.key_algorithm}{size}"


def _lost(old: bytes | None, new: bytes | None) -> list[str]:
    """Say what the old certificate is good for and the new one is not."""
    if old is None or new is None:
        return []
    try:
        before, after = x509.load_der_x509_certificate(old), x509.load_der_x509_certificate(new)
        purposes = _purposes(before) - _purposes(after) if _purposes(after) else set()
        names = _names(before) - _names(after)
    except ValueError:
        # Whatever stands in a strange certificate, it is no reason against its successor.
        return []
    remarks = []
    if purposes:
        remarks.append(f"The new one is not for {', '.join(sorted(purposes))}, as the old one was.")
    if names:
        shown = sorted(names)
        rest = f" and {len(shown) - 5} more" if len(shown) > 5 else ""  # noqa: PLR2004
        remarks.append(f"The new one does not name {', '.join(shown[:5])}{rest}.")
    return remarks


def _purposes(certificate: x509.Certificate) -> set[str]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return set()
    return {_PURPOSES.get(each, each.dotted_string) for each in usage}


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return set(names.get_values_for_type(x509.DNSName))
