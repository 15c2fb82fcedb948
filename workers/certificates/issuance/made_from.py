"""What a certificate was made from, kept with it so that a rekey or a copy repeats it. Pure."""

from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from pydantic import BaseModel, ConfigDict

from workers.certificates.issuance.key_types import key_type_of
from workers.certificates.issuance.subject import subject_from
from workers.contract.certificates import (
    AlternativeNames,
    KeyType,
    LifetimeCaps,
    ProfileName,
    Subject,
)
from workers.errors import ConflictError

_LONGEST_DAYS = 3650
_PROFILES: dict[frozenset[x509.ObjectIdentifier], ProfileName] = {
    frozenset(): "signing",
    frozenset({ExtendedKeyUsageOID.SERVER_AUTH}): "tls_server",
    frozenset({ExtendedKeyUsageOID.CLIENT_AUTH}): "tls_client",
    frozenset(
        {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    ): "tls_server_and_client",
}


class MadeFrom(BaseModel):
    """The parameters of a certificate, without its name, its key or its dates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: ProfileName
    key_type: KeyType
    subject: Subject
    alternative_names: AlternativeNames = AlternativeNames()
    validity_days: int | None = None
    lifetime_caps: LifetimeCaps | None = None


class NotRepeatableError(ConflictError):
    """A certificate that was made elsewhere holds what keywright cannot make."""

    code = "not-repeatable"
    title = "The certificate's parameters cannot be repeated"


def parameters_of(der: bytes, *, ca_signed: bool) -> MadeFrom:
    """Return the parameters of a certificate that was made elsewhere (rule 19).

    Raises:
        NotRepeatableError: another certificate could not say the same; the text says of what.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        key_type = key_type_of(certificate.public_key())
        extensions = certificate.extensions
    except Exception as error:  # whatever is wrong with it, and there are many ways
        raise _not_repeatable("it is not well-formed") from error
    if key_type is None:
        raise _not_repeatable("its key is of a type that is not made here")
    subject = subject_from(certificate.subject)
    if subject is None:
        raise _not_repeatable("its subject has parts that are not made here")
    days = (certificate.not_valid_after_utc - certificate.not_valid_before_utc) // timedelta(days=1)
    return MadeFrom(
        profile=_profile(extensions),
        key_type=key_type,
        subject=subject,
        alternative_names=_names(extensions),
        validity_days=None if ca_signed else min(max(days, 1), _LONGEST_DAYS),
    )


def _profile(extensions: x509.Extensions) -> ProfileName:
    try:
        usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return "signing"
    profile = _PROFILES.get(frozenset(usages))
    if profile is None:
        raise _not_repeatable("it is for purposes other than TLS")
    return profile


def _names(extensions: x509.Extensions) -> AlternativeNames:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return AlternativeNames()
    found = AlternativeNames(
        dns=tuple(names.get_values_for_type(x509.DNSName)),
        ip=tuple(map(str, names.get_values_for_type(x509.IPAddress))),
        email=tuple(names.get_values_for_type(x509.RFC822Name)),
        uri=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
    )
    if sum(map(len, (found.dns, found.ip, found.email, found.uri))) != len(list(names)):
        raise _not_repeatable("it has alternative names of kinds that are not made here")
    return found


def _not_repeatable(why: str) -> NotRepeatableError:
    return NotRepeatableError(
        f"The certificate's parameters cannot be repeated, because {why}; generate a new one with"
        " the parameters that you want."
    )
