"""Subjects of certificates to be made: rule 12. Pure."""

from cryptography import x509
from cryptography.x509.oid import NameOID

from workers.contract.certificates import Subject

# As they are written one after the other: from the country down to the person.
_ATTRIBUTES = {
    "country": NameOID.COUNTRY_NAME,
    "state": NameOID.STATE_OR_PROVINCE_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizational_unit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "common_name": NameOID.COMMON_NAME,
    "email_address": NameOID.EMAIL_ADDRESS,
}
_FIELDS = {oid: field for field, oid in _ATTRIBUTES.items()}
_LONGEST_ORGANIZATION = 64


def distinguished_name(subject: Subject) -> x509.Name:
    """Return a subject as a certificate holds it; those of CAs are built in the same order."""
    return x509.Name(
        [
            x509.NameAttribute(oid, value)
            for field, oid in _ATTRIBUTES.items()
            if (value := getattr(subject, field)) is not None
        ]
    )


def subject_from(name: x509.Name) -> Subject | None:
    """Return what a certificate's subject says; None where ours could not say the same."""
    given: dict[str, object] = {}
    for attribute in name:
        field = _FIELDS.get(attribute.oid)
        if field is None or field in given:
            return None
        given[field] = attribute.value
    try:
        return Subject.model_validate(given)
    except ValueError:
        return None


def usual_subject(*, unique_name: str, organization_id: int, organization: str) -> Subject:
    """Return the subject of a self-signed certificate for which nobody gave one, as the model's."""
    return Subject(
        common_name=unique_name,
        organizational_unit=str(organization_id),
        organization=organization[:_LONGEST_ORGANIZATION].strip(),
    )
