"""A certificate about to be kept: what is asked for, and then its key pair, too. Pure."""

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import random_serial_number

from workers.certificates.issuance.building import request, self_signed
from workers.certificates.issuance.key_types import (
    describe,
    generate_key,
    private_der,
    public_der,
)
from workers.certificates.issuance.made_from import MadeFrom
from workers.certificates.issuance.profiles import validity
from workers.certificates.making import Kind, NewVersion
from workers.certificates.reading.fields import read_certificate
from workers.contract.certificates import LifetimeCaps


@dataclass(frozen=True, kw_only=True)
class Order:
    """A certificate that is asked for, checked; ``after_version``: the next version of one.

    ``after_version`` is the newest that there was when it was asked for.
    """

    organization_id: int
    unique_name: str
    label: str
    kind: Kind
    private_key_exportable: bool
    made_from: MadeFrom
    after_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The key pair with its certificate or request, and what there is to be said about it."""

    order: Order
    version: NewVersion
    warnings: tuple[str, ...] = ()


def carry_out(order: Order, *, now: datetime, usual_caps: LifetimeCaps) -> Draft:
    """Make the key pair, and the certificate or the request.

    This takes as long as the key type has it: seconds for a large RSA key. Whoever calls it holds
    neither a transaction nor a connection meanwhile.

    Raises:
        LifetimeError: it would last longer than it may.
    """
    made_from = order.made_from
    # Before the key, which may take a while: the dates may be refused.
    dates = None
    if order.kind == "self_signed":
        dates = validity(made_from, now=now, usual_caps=usual_caps)
    key = generate_key(made_from.key_type)
    algorithm, size = describe(made_from.key_type)
    found = csr = None
    if dates is not None:
        certificate = self_signed(
            key,
            subject=made_from.subject,
            sans=made_from.alternative_names,
            profile=made_from.profile,
            not_before=dates.not_before,
            not_after=dates.not_after,
            serial=random_serial_number(),
        )
        found = read_certificate(
            certificate.public_bytes(Encoding.DER), source=order.unique_name, position=1
        )
    else:
        csr = request(
            key,
            subject=made_from.subject,
            sans=made_from.alternative_names,
            profile=made_from.profile,
        ).public_bytes(Encoding.DER)
    version = NewVersion(
        private_key=private_der(key),
        public_key=public_der(key),
        key_algorithm=algorithm,
        key_size=size,
        found=found,
        csr=csr,
    )
    return Draft(order=order, version=version, warnings=dates.warnings if dates else ())
