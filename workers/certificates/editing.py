"""Changing what may change of a certificate: its label and its unique name (rule 7). SQL only."""

from collections.abc import Mapping

from workers.announcements.store import announce
from workers.certificates.locking import lock_certificate, lock_organization
from workers.certificates.making import refuse_taken_names
from workers.certificates.names import check_label, check_unique_name
from workers.contract.announcements import CertificateEdited
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError

_EDITABLE = ("label", "unique_name")
_FIXED = {
    "kind": "whether it is self-signed or CA-signed",
    "ca_signed": "whether it is self-signed or CA-signed",
    "key_type": "its key type",
    "key_size": "its key size",
    "private_key_exportable": "whether its private key may leave",
    "profile": "its profile",
    "subject": "its subject",
    "alternative_names": "its alternative names",
    "validity_days": "its validity",
}


class FixedFieldError(ConflictError):
    """Something of a certificate that cannot change any more."""

    code = "fixed-field"
    title = "This cannot change after the certificate was made"


def edit_certificate(
    connection: Connection,
    *,
    organization_id: int,
    unique_name: str,
    changes: Mapping[str, object],
    requested_by: str,
) -> str:
    """Change a certificate and return its unique name from now on; all changes or none.

    Raises:
        FixedFieldError: a change is of what was settled when it was made.
        InvalidRequestError: there is no such field, or a label or name breaks its rule.
        NotFoundError: there is no such certificate.
        ConflictError: another certificate has the new name.
    """
    _check_fields(changes)
    label, name = changes.get("label"), changes.get("unique_name")
    label = None if label is None else check_label(str(label))
    name = None if name is None else check_unique_name(str(name))
    with connection.transaction():
        lock_organization(connection, organization_id)
        certificate = lock_certificate(connection, organization_id, unique_name)
        # Another case of its own name is no other certificate's.
        if name is not None and name.lower() != certificate.unique_name.lower():
            refuse_taken_names(connection, organization_id, [name])
        connection.execute(
            """
            UPDATE keywright.certificate
               SET label = coalesce(%(label)s, label),
                   unique_name = coalesce(%(unique_name)s, unique_name)
             WHERE certificate_id = %(certificate_id)s
            """,
            {
                "label": label,
                "unique_name": name,
                "certificate_id": certificate.certificate_id,
            },
        )
        announce(
            connection,
            CertificateEdited(
                unique_name=name or certificate.unique_name,
                former_unique_name=certificate.unique_name,
                changed=sorted(changes),
                requested_by=requested_by,
            ),
            organization_id=organization_id,
            subject=f"certificate/{certificate.certificate_id}",
        )
    return name or certificate.unique_name


def _check_fields(changes: Mapping[str, object]) -> None:
    fixed = [field for field in changes if field in _FIXED]
    if fixed:
        raise FixedFieldError(
            f"{', '.join(fixed)}: {' and '.join(dict.fromkeys(_FIXED[each] for each in fixed))}"
            " cannot change after a certificate was made (rule 7); generate another. Nothing was"
            " changed."
        )
    unknown = [field for field in changes if field not in _EDITABLE]
    if unknown or not changes:
        raise InvalidRequestError(
            f"{', '.join(unknown) or 'changes'}: give a new label or unique_name."
        )
