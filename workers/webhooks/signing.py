"""Signatures and secrets as Standard Webhooks have them (https://www.standardwebhooks.com)."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from math import floor
from secrets import token_bytes
from uuid import UUID

from standardwebhooks import Webhook

_PREFIX = "whsec_"
_SECRET_BYTES = 32  # the specification wants 24 to 64


def new_secret() -> str:
    """Return another secret: ``whsec_`` and 32 random bytes in base64."""
    return _PREFIX + b64encode(token_bytes(_SECRET_BYTES)).decode()


def signed_headers(
    body: str, *, event_id: UUID, now: datetime, secrets: Sequence[str]
) -> dict[str, str]:
    """Return the headers that say which message this is, when it was sent, and by whom.

    Each of the ``secrets`` signs, so that a receiver needs to know only one of them.
    """
    message_id = str(event_id)
    # The library takes any time for UTC, whatever its zone.
    sent_at = now.astimezone(UTC)
    signatures = [Webhook(each).sign(message_id, sent_at, body) for each in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(floor(sent_at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
