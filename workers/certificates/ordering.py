"""Asking for certificates: what a request comes to, and whether it can be met. SQL only."""

from typing import Any, NamedTuple

from workers.certificates.issuance.drafts import Order
from workers.certificates.issuance.made_from import MadeFrom, parameters_of
from workers.certificates.issuance.profiles import parameters
from workers.certificates.issuance.subject import usual_subject
from workers.certificates.locking import no_such_certificate
from workers.certificates.making import Kind, refuse_taken_names
from workers.certificates.names import check_label, check_unique_name, unique_name_from
from workers.contract.certificates import CopyCertificate, GenerateCertificate, RekeyCertificate
from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError


def order_new(
    connection: Connection, request: GenerateCertificate, *, organization_id: int
) -> Order:
    """Return what a request comes to.

    Raises:
        NotFoundError: there is no such organization.
        InvalidRequestError: the request cannot be met; the text names the field.
        ConflictError: the name is taken.
    """
    label, name = _names(request.label, request.unique_name)
    organization = _organization(connection, organization_id)
    made_from = parameters(
        request,
        usual_subject=usual_subject(
            unique_name=name, organization_id=organization_id, organization=organization
        ),
    )
    refuse_taken_names(connection, organization_id, [name])
    return Order(
        organization_id=organization_id,
        unique_name=name,
        label=label,
        kind="ca_signed" if request.ca_signed else "self_signed",
        private_key_exportable=request.private_key_exportable,
        made_from=made_from,
    )


def order_copy(connection: Connection, request: CopyCertificate, *, organization_id: int) -> Order:
    """Return an order with the parameters of another certificate (rule 19).

    Raises:
        NotFoundError: there is no such certificate.
        InvalidRequestError: the label or the name breaks its rule.
        ConflictError: the name is taken, or the source cannot be repeated.
    """
    label, name = _names(request.label, request.unique_name)
    source = _source(connection, organization_id, request.source)
    refuse_taken_names(connection, organization_id, [name])
    exportable = request.private_key_exportable
    return Order(
        organization_id=organization_id,
        unique_name=name,
        label=label,
        kind=source.repeatable_kind(),
        private_key_exportable=source.private_key_exportable if exportable is None else exportable,
        made_from=source.parameters(),
    )


def order_rekey(
    connection: Connection, request: RekeyCertificate, *, organization_id: int
) -> Order | None:
    """Return an order for the next version; None if the newest is not the expected one any more.

    Raises:
        NotFoundError: there is no such certificate.
        ConflictError: its private key was never here, or it cannot be repeated.
    """
    source = _source(connection, organization_id, request.unique_name)
    if request.expected_version not in (None, source.version_number):
        return None
    return Order(
        organization_id=organization_id,
        unique_name=source.unique_name,
        label=source.label,
        kind=source.repeatable_kind(),
        private_key_exportable=source.private_key_exportable,
        made_from=source.parameters(),
        after_version=source.version_number,
    )


class _Source(NamedTuple):
    """A certificate that is to be repeated, with its newest version."""

    unique_name: str
    label: str
    kind: str
    private_key_exportable: bool
    made_from: dict[str, Any] | None
    version_number: int
    certificate_der: bytes | None

    def repeatable_kind(self) -> Kind:
        """Return its kind, if it is one that is made here.

        Raises:
            ConflictError: it was imported: only its public part is known.
        """
        match self.kind:
            case "self_signed" | "ca_signed" as kind:
                return kind
        raise ConflictError(
            f"“{self.unique_name}” was imported and its private key is elsewhere; whoever has it"
            " makes the next one, which `keywright certificate import --renews` takes in."
        )

    def parameters(self) -> MadeFrom:
        """Return what it was made from, or what its certificate says of that.

        Raises:
            NotRepeatableError: its certificate was made elsewhere, of what is not made here.
        """
        if self.made_from is not None:
            return MadeFrom.model_validate(self.made_from)
        return parameters_of(self.certificate_der or b"", ca_signed=self.kind == "ca_signed")


def _source(connection: Connection, organization_id: int, unique_name: str) -> _Source:
    row = connection.execute(
        """
        SELECT unique_name, label, kind::text, private_key_exportable, made_from, version_number,
               certificate_der
          FROM keywright.certificate
          JOIN keywright.certificate_version AS version USING (organization_id, certificate_id)
         WHERE organization_id = %(organization_id)s AND deleted_at IS NULL
           AND lower(unique_name) = lower(%(unique_name)s)
         ORDER BY version_number DESC
         LIMIT 1
        """,
        {"organization_id": organization_id, "unique_name": unique_name},
    ).fetchone()
    if row is None:
        raise no_such_certificate(unique_name)
    return _Source(*row)


def _organization(connection: Connection, organization_id: int) -> str:
    row = connection.execute(
        """
        SELECT name FROM keywright.organization WHERE organization_id = %(organization_id)s
        """,
        {"organization_id": organization_id},
    ).fetchone()
    if row is None:
        raise NotFoundError(f"There is no organization with the id {organization_id}.")
    return str(row[0])


def _names(label: str, unique_name: str | None) -> tuple[str, str]:
    """Return label and unique name; without a name, the label gives it (rule 4)."""
    label = check_label(label)
    return label, check_unique_name(unique_name or unique_name_from(label))
