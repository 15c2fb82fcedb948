"""The demo's two organizations and their certificates: real input where there is any.

Organization one has holders of the permission, organization two has none. The generated
certificates stand at each tier on the day the demo first runs; the Mozilla trust store comes with
its real dates.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from workers.organizations.members import NewMember

# Notices of the demo's day are due from its first minute, whenever somebody runs it.
SENDING_HOUR = 0


@dataclass(frozen=True, kw_only=True)
class Role:
    """One generated certificate: how long it lives yet and in all, and where it is used.

    With 0 days left it ends when the organization's day does.
    """

    name: str
    days_left: float
    life_days: int = 365
    used_in: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Troupe:
    """One organization with its members and certificates; ``renewed`` got a successor already."""

    name: str
    time_zone: str
    is_sandbox: bool
    members: tuple[NewMember, ...]
    roles: tuple[Role, ...]
    renewed: tuple[str, ...] = ()


NORTHWIND = Troupe(
    name="Northwind Traders",
    time_zone="Europe/Berlin",
    is_sandbox=False,
    members=(
        NewMember(
            name="Ada Holder",
            email="ada@northwind.example",
            permissions=("receive_expiration_notices",),
        ),
        NewMember(
            name="Bo Both",
            email="bo@northwind.example",
            profile="system_administrator",
            permissions=("receive_expiration_notices",),
            time_zone="America/New_York",
        ),
        NewMember(
            name="Cem Administrator",
            email="cem@northwind.example",
            profile="system_administrator",
        ),
        NewMember(
            name="Dana Departed",
            email="dana@northwind.example",
            permissions=("receive_expiration_notices",),
            active=False,
        ),
        NewMember(name="Eve Everyone", email="eve@northwind.example"),
    ),
    roles=(
        Role(name="legacy_sso", days_left=0),
        Role(name="intranet", days_left=1, used_in=(("tls_listener", "intranet.northwind"),)),
        Role(
            name="saml_signing",
            days_left=9,
            used_in=(("saml_configuration", "Okta"), ("identity_provider", "Northwind login")),
        ),
        Role(name="billing_client", days_left=29, used_in=(("api_client", "Billing"),)),
        Role(name="partner_gateway", days_left=59),
        Role(name="edge_47_days", days_left=3, life_days=47, used_in=(("tls_listener", "edge"),)),
        Role(name="payroll", days_left=9.5, used_in=(("api_client", "Payroll, not switched yet"),)),
        Role(name="warehouse", days_left=9.7),
        Role(name="healthy", days_left=200),
    ),
    renewed=("payroll", "warehouse"),
)

GLOBEX = Troupe(
    name="Globex",
    time_zone="Asia/Tokyo",
    is_sandbox=True,
    members=(
        NewMember(
            name="Finn Administrator",
            email="finn@globex.example",
            profile="system_administrator",
        ),
        NewMember(
            name="Gia Modifier", email="gia@globex.example", permissions=("modify_all_data",)
        ),
        NewMember(name="Hal Standard", email="hal@globex.example"),
        NewMember(
            name="Ivy Inactive",
            email="ivy@globex.example",
            profile="system_administrator",
            active=False,
        ),
    ),
    roles=(
        Role(name="today", days_left=0),
        Role(name="ten_days", days_left=9.2, used_in=(("saml_configuration", "Globex portal"),)),
        Role(name="thirty_days", days_left=29.2),
        Role(name="sixty_days", days_left=59.2),
    ),
)

TROUPES = (NORTHWIND, GLOBEX)


def end_of(role: Role, *, now: datetime, time_zone: str) -> datetime:
    """Return when the certificate of ``role`` ends."""
    if role.days_left:
        return now + timedelta(days=role.days_left)
    return now.astimezone(ZoneInfo(time_zone)).replace(hour=23, minute=59, second=59)


def self_signed_pem(name: str, *, not_after: datetime, life: timedelta) -> bytes:
    """Make a certificate that ends at ``not_after`` after a life of ``life``; drop its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_after - life)
        .not_valid_after(not_after)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)
