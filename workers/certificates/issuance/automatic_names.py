"""Names of certificates that nobody named: rule 11. Pure."""

from datetime import UTC, datetime

# As the model writes them, in whatever language the machine speaks.
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def self_signed_name(now: datetime) -> str:
    """Return ``SelfSignedCert_DDMonYYYY_HHMMSS`` of a moment, in UTC; label and unique name."""
    moment = now.astimezone(UTC)
    return f"SelfSignedCert_{moment:%d}{_MONTHS[moment.month - 1]}{moment:%Y_%H%M%S}"
